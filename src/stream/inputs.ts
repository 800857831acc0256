/**
 * From rows to what the network reads: running statistics, a sliding window, features, standardised inputs.
 *
 *     row [C] ──> statistics of the row's columns
 *             ──> window ──(filled, then every `hop` rows)──> raw inputs [D] ──> statistics of the features
 *                                                                            ──> standardised [D]
 *
 * - Column c of the scaler belongs to column c of the row and is updated by every row, before anything is scaled with
 *   it. All inputs that are plain values of that column (`newest`, `raw`) are standardised with it, as it is now.
 *   Every other input has a column of its own behind those, updated by every sample.
 * - What is missing (not finite) updates nothing, is NaN among the raw inputs and 0, the mean, when standardised.
 * - A window never reaches over a break: a gap, or a change of label if the config says so. Statistics do.
 * - All state lies in the arena. There is no clock here: windows are counted in rows.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../engine/arena.ts';
import { EdgeloopError } from '../errors.ts';
import { type FeatureSpec, inputsOf } from './features.ts';
import { NO_LABEL } from './ring.ts';
import { type Scaler, openScaler, planScaler, scaleBy, updateColumns } from './scaler.ts';
import {
  type Window,
  countRow,
  emptyWindow,
  openWindow,
  planWindow,
  pushRow,
  windowStart,
} from './window.ts';

export type { FeatureKind, FeatureSpec } from './features.ts';

export interface InputsConfig {
  /** Values per row, C. */
  readonly columns: number;
  /** W, at least 1. */
  readonly windowRows: number;
  /** A sample every so many rows once the window has filled. */
  readonly hopRows: number;
  /** In the order of the inputs: `raw` gives W inputs (oldest first), `bands` B of them, the others one. */
  readonly features: readonly FeatureSpec[];
  readonly breakAtLabelChange: boolean;
  /** Standardised inputs are cut off at so many deviations; Infinity: not at all. */
  readonly clip: number;
}

/** The window is kept twice and the features keep up to ten numbers for each of its rows. */
const WINDOW_ROWS_MAX = 65_536;

type SampleParts = {
  readonly raw: Part<'float32'>;
  readonly label: Part<'int32'>;
};

export interface InputsParts {
  readonly scaler: ReturnType<typeof planScaler>;
  readonly window: ReturnType<typeof planWindow>;
  readonly sample: SampleParts;
}

/** Inputs laid over an arena: views that hold the state, and constants that follow from the config. */
export interface Inputs extends Views<SampleParts> {
  readonly config: InputsConfig;
  /** Columns of the row first, then one for each input that is no plain value. */
  readonly scaler: Scaler;
  readonly window: Window;
  /** Column of the scaler for each input [D]. */
  readonly scalerColumns: Int32Array;
  /** Scratch for standardising, one for each column of the scaler. */
  readonly deviations: Float64Array;
  /** Inputs that are the newest value of a column: which input, which column. */
  readonly newestInputs: Int32Array;
  readonly newestColumns: Int32Array;
  /** Inputs that are a window of raw values: the first of them, and the column in the window. */
  readonly rawInputs: Int32Array;
  readonly rawColumns: Int32Array;
}

/** D, the number of inputs. */
export function inputCount({ features, windowRows }: InputsConfig): number {
  return features.reduce((count, spec) => count + inputsOf(spec, windowRows), 0);
}

/** A name for each input: `x` is the newest value, `x[-2]` the one two rows before it, `x.slope` a feature. */
export function inputNames({ features, windowRows }: InputsConfig, columnNames: readonly string[]): string[] {
  return features.flatMap(({ column, kind }) => {
    const name = columnNames[column];
    if (kind === 'newest') return [name];
    return Array.from({ length: windowRows }, (_, row) => `${name}[${row - windowRows + 1}]`);
  });
}

/** @throws EdgeloopError ELOOP_CONFIG for sizes that cannot be */
export function planInputs(plan: ArenaPlan, config: InputsConfig): InputsParts {
  checkConfig(config);
  return {
    scaler: planScaler(plan, config.columns),
    window: planWindow(plan, windowColumns(config).length, config.windowRows),
    sample: {
      raw: plan.float32('inputs.raw', inputCount(config)), // newest sample, not standardised [D]
      label: plan.int32('inputs.label', 1), //                newest label + 1; 0: none yet
    },
  };
}

/** Lays planned inputs over `buffer`, whose zeros are the start: nothing seen. */
export function openInputs(buffer: ArrayBufferLike, config: InputsConfig, parts: InputsParts): Inputs {
  const columns = windowColumns(config);
  const first: number[] = [];
  let next = 0;
  for (const spec of config.features) {
    first.push(next);
    next += inputsOf(spec, config.windowRows);
  }
  const indicesOf = (kind: string) => config.features.flatMap((spec, i) => (spec.kind === kind ? [i] : []));
  const scaler = openScaler(buffer, parts.scaler);
  return {
    ...viewsOf(buffer, parts.sample),
    config,
    scaler,
    window: openWindow(buffer, parts.window, columns, config.windowRows, config.hopRows),
    scalerColumns: Int32Array.from(
      config.features.flatMap((spec) =>
        Array.from({ length: inputsOf(spec, config.windowRows) }, () => spec.column),
      ),
    ),
    deviations: new Float64Array(scaler.count.length),
    newestInputs: Int32Array.from(indicesOf('newest'), (i) => first[i]),
    newestColumns: Int32Array.from(indicesOf('newest'), (i) => config.features[i].column),
    rawInputs: Int32Array.from(indicesOf('raw'), (i) => first[i]),
    rawColumns: Int32Array.from(indicesOf('raw'), (i) => columns.indexOf(config.features[i].column)),
  };
}

/**
 * Takes the row at values[first ..] into statistics, window and features.
 * @param values [.. C ..], left as it is
 * @returns 1 when a sample is ready, in `inputs.raw` [D]; else 0
 */
export function takeRow(inputs: Inputs, values: Float32Array, first: number): number {
  const { scaler, window, config } = inputs;
  updateColumns(scaler, 0, config.columns, values, first);
  pushRow(window, values, first);
  if (countRow(window) === 0) return 0;
  writeNewest(inputs, values, first);
  writeWindows(inputs);
  return 1;
}

/** What comes next does not follow what came before: the window starts anew. Statistics stay. */
export function breakWindow({ window }: Inputs): void {
  emptyWindow(window);
}

/**
 * To be told before its row is taken: a label other than the one before breaks the window, if the config says so.
 * A row without a label says nothing: it changes nothing here.
 * @param label class index or NO_LABEL
 */
export function takeLabel(inputs: Inputs, label: number): void {
  if (label === NO_LABEL) return;
  const before = inputs.label[0];
  inputs.label[0] = label + 1;
  if (inputs.config.breakAtLabelChange && before !== 0 && before !== label + 1) breakWindow(inputs);
}

/**
 * Standardises with the statistics as they are now: z cut off at ±clip; missing or constant: 0.
 * @param raw    [D] from rawFirst on: `inputs.raw`, or a sample kept from earlier
 * @param scaled [D] from scaledFirst on, overwritten
 */
export function standardise(
  { scaler, scalerColumns, deviations, config }: Inputs,
  raw: Float32Array,
  rawFirst: number,
  scaled: Float32Array,
  scaledFirst: number,
): void {
  scaleBy(scaler, scalerColumns, config.clip, deviations, raw, rawFirst, scaled, scaledFirst);
}

/** Columns of which a window is kept, each once. */
function windowColumns({ features }: InputsConfig): Int32Array {
  const windowed = features.filter(({ kind }) => kind !== 'newest');
  return Int32Array.from(new Set(windowed.map(({ column }) => column)));
}

function writeNewest(
  { raw, newestInputs, newestColumns }: Inputs,
  values: Float32Array,
  first: number,
): void {
  for (let i = 0; i < newestInputs.length; i++) {
    const value = values[first + newestColumns[i]];
    if (value - value === 0) raw[newestInputs[i]] = value;
    else raw[newestInputs[i]] = NaN;
  }
}

function writeWindows({ raw, rawInputs, rawColumns, window }: Inputs): void {
  const { values, rows } = window;
  for (let i = 0; i < rawInputs.length; i++) {
    const from = windowStart(window, rawColumns[i]);
    const to = rawInputs[i];
    for (let row = 0; row < rows; row++) raw[to + row] = values[from + row];
  }
}

function checkConfig({ columns, windowRows, hopRows, features, clip }: InputsConfig): void {
  checkInteger('columns of a row', columns, 1, Number.MAX_SAFE_INTEGER);
  checkInteger('window', windowRows, 1, WINDOW_ROWS_MAX);
  checkInteger('hop', hopRows, 1, 2 ** 31 - 1);
  if (features.length === 0) {
    throw new EdgeloopError('ELOOP_CONFIG', 'features: expected at least one, got none.');
  }
  if (!(clip > 0)) throw new EdgeloopError('ELOOP_CONFIG', `clip: expected a number above 0, got ${clip}.`);
  for (const { column } of features) checkInteger('column of a feature', column, 0, columns - 1);
}

function checkInteger(what: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new EdgeloopError(
    'ELOOP_CONFIG',
    `${what}: expected an integer from ${min} to ${max}, got ${value}.`,
  );
}
