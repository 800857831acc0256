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
import {
  type Features,
  type FeaturesParts,
  advanceFeatures,
  openFeatures,
  planFeatures,
  writeFeatures,
} from './features.ts';
import {
  type InputsConfig,
  type Run,
  checkInputs,
  inputCount,
  isPlain,
  placesOf,
  runsOf,
  scalerColumnCount,
  windowColumns,
} from './input-layout.ts';
import { NO_LABEL } from './ring.ts';
import { type Scaler, openScaler, planScaler, scaleColumns, scaleMany, updateColumns } from './scaler.ts';
import {
  type Window,
  countRow,
  emptyWindow,
  openWindow,
  planWindow,
  pushRow,
  windowStart,
} from './window.ts';

export {
  FEATURE_KINDS,
  type FeatureKind,
  type FeatureSpec,
  type InputsConfig,
  inputCount,
  inputNames,
} from './input-layout.ts';

type SampleParts = {
  readonly raw: Part<'float32'>;
  readonly label: Part<'int32'>;
};

export interface InputsParts {
  readonly scaler: ReturnType<typeof planScaler>;
  readonly window: ReturnType<typeof planWindow>;
  readonly features: FeaturesParts;
  readonly sample: SampleParts;
}

/** Words of a run of inputs in the lists below: its first input, how many they are, its (first) column. */
const RUN = { input: 0, length: 1, column: 2 } as const;
const RUN_WORDS = 3;

/** Inputs laid over an arena: views that hold the state, and constants that follow from the config. */
export interface Inputs extends Views<SampleParts> {
  readonly config: InputsConfig;
  readonly scaler: Scaler;
  readonly window: Window;
  readonly features: Features;
  /** Runs of newest values; columns of the row. */
  readonly newest: Int32Array;
  /** Windows of plain values; columns of the window. */
  readonly raws: Int32Array;
  /** Runs of features; columns of the scaler. */
  readonly own: Int32Array;
  /** Runs of inputs with a column of the scaler each, `newest` and `own`; those that share one, `raws`. */
  readonly single: Int32Array;
  readonly shared: Int32Array;
}

/** @throws EdgeloopError ELOOP_CONFIG for sizes that cannot be */
export function planInputs(plan: ArenaPlan, config: InputsConfig): InputsParts {
  checkInputs(config);
  return {
    scaler: planScaler(plan, scalerColumnCount(config)),
    window: planWindow(plan, windowColumns(config).length, config.windowRows),
    features: planFeatures(plan, config),
    sample: {
      raw: plan.float32('inputs.raw', inputCount(config)), // newest sample, not standardised [D]
      label: plan.int32('inputs.label', 1), //                newest label + 1; 0: none yet
    },
  };
}

/** Lays planned inputs over `buffer`, whose zeros are the start: nothing seen. */
export function openInputs(buffer: ArrayBufferLike, config: InputsConfig, parts: InputsParts): Inputs {
  const columns = windowColumns(config);
  const places = placesOf(config);
  const raws = places.filter(({ spec }) => spec.kind === 'raw');
  const window = openWindow(
    buffer,
    parts.window,
    Int32Array.from(columns),
    config.windowRows,
    config.hopRows,
  );
  return {
    ...viewsOf(buffer, parts.sample),
    config,
    scaler: openScaler(buffer, parts.scaler),
    window,
    features: openFeatures(buffer, parts.features, config, window),
    newest: wordsOf(runsOf(places.filter(({ spec }) => spec.kind === 'newest'))),
    own: wordsOf(runsOf(places.filter(({ spec }) => !isPlain(spec)))),
    single: wordsOf(runsOf(places.filter(({ spec }) => spec.kind !== 'raw'))),
    shared: wordsOf(raws.map((place) => ({ ...runsOf([place])[0], column: place.spec.column }))),
    raws: wordsOf(
      raws.map((place) => ({ ...runsOf([place])[0], column: columns.indexOf(place.spec.column) })),
    ),
  };
}

function wordsOf(runs: readonly Run[]): Int32Array {
  return Int32Array.from(runs.flatMap(({ input, length, column }) => [input, length, column]));
}

/**
 * Takes the row at values[first ..] into statistics, window and features.
 * @param values C of them from `first` on, left as they are
 * @returns 1 when a sample is ready, in `inputs.raw` [D]; else 0
 */
export function takeRow(inputs: Inputs, values: Float32Array, first: number): number {
  const { scaler, window, features, config } = inputs;
  updateColumns(scaler, 0, config.columns, values, first);
  // Without a window a row would pay more for calls with nothing to do than for what it needs.
  const windowed = window.columns.length > 0;
  if (windowed) advanceFeatures(features, window, pushRow(window, values, first));
  if (countRow(window) === 0) return 0;
  writeNewest(inputs, values, first);
  if (!windowed) return 1;
  writeWindows(inputs);
  writeFeatures(features, window, inputs.raw);
  updateOwn(inputs);
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
  { scaler, single, shared, config }: Inputs,
  raw: Float32Array,
  rawFirst: number,
  scaled: Float32Array,
  scaledFirst: number,
): void {
  const { clip } = config;
  for (let at = 0; at < single.length; at += RUN_WORDS) {
    const input = single[at + RUN.input];
    const length = single[at + RUN.length];
    const column = single[at + RUN.column];
    scaleColumns(scaler, column, length, clip, raw, rawFirst + input, scaled, scaledFirst + input);
  }
  for (let at = 0; at < shared.length; at += RUN_WORDS) {
    const input = shared[at + RUN.input];
    const length = shared[at + RUN.length];
    const column = shared[at + RUN.column];
    scaleMany(scaler, column, length, clip, raw, rawFirst + input, scaled, scaledFirst + input);
  }
}

function writeNewest({ raw, newest }: Inputs, values: Float32Array, first: number): void {
  for (let at = 0; at < newest.length; at += RUN_WORDS) {
    const input = newest[at + RUN.input];
    const length = newest[at + RUN.length];
    const from = first + newest[at + RUN.column];
    for (let i = 0; i < length; i++) {
      const value = values[from + i];
      // Two stores: a choice between a value and a constant would be boxed until V8 is at its best.
      raw[input + i] = NaN;
      if (value - value === 0) raw[input + i] = value;
    }
  }
}

function writeWindows({ raw, raws, window }: Inputs): void {
  const { values, rows } = window;
  for (let at = 0; at < raws.length; at += RUN_WORDS) {
    const from = windowStart(window, raws[at + RUN.column]);
    const input = raws[at + RUN.input];
    for (let row = 0; row < rows; row++) raw[input + row] = values[from + row];
  }
}

/** The sample's features go into their own statistics before they are scaled with them. */
function updateOwn({ scaler, own, raw }: Inputs): void {
  for (let at = 0; at < own.length; at += RUN_WORDS) {
    updateColumns(scaler, own[at + RUN.column], own[at + RUN.length], raw, own[at + RUN.input]);
  }
}
