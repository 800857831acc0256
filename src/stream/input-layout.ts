/**
 * What the inputs are: the config, its checks, and where each input comes from.
 */
import { EdgeloopError } from '../errors.ts';
import { blockRowsOf } from './spectrum.ts';

/**
 * Over the window of W rows, of the values that are there:
 * - `newest`         the value of the newest row, whatever the window
 * - `raw`            the W values, oldest first
 * - `mean`, `rms`, `min`, `max`   missing when no value is there
 * - `deviation`      from the mean, of the population; missing below two values
 * - `zeroCrossings`  how often the values change sides of their mean; missing below two values
 * - `slope`          least squares, per row; missing below two values
 * - `bands`          the spectrum in B equal bands, as fourth roots of power; missing when half of the values are
 */
export const FEATURE_KINDS = [
  'newest',
  'raw',
  'mean',
  'deviation',
  'rms',
  'min',
  'max',
  'zeroCrossings',
  'slope',
  'bands',
] as const;
export type FeatureKind = (typeof FEATURE_KINDS)[number];

/** A group of inputs: a feature of one column of the row. */
export interface FeatureSpec {
  readonly column: number;
  readonly kind: FeatureKind;
  /** B, of `bands` only. */
  readonly bands?: number;
}

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

/** A window is kept twice, and for each of its rows up to ten numbers more. */
const WINDOW_ROWS_MAX = 65_536;
const INPUTS_MAX = 65_536;

const NEEDS_TWO_ROWS: readonly FeatureKind[] = ['deviation', 'zeroCrossings', 'slope', 'bands'];

/** D, the number of inputs. */
export function inputCount(config: InputsConfig): number {
  return config.features.reduce((count, spec) => count + inputsOf(spec, config), 0);
}

/** Inputs that a feature gives. */
export function inputsOf({ kind, bands }: FeatureSpec, { windowRows }: InputsConfig): number {
  if (kind === 'raw') return windowRows;
  return kind === 'bands' ? (bands ?? 0) : 1;
}

/** A name for each input: `x` the newest value, `x[-2]` the one two rows before it, `x.slope`, `x.bands[0]`. */
export function inputNames(config: InputsConfig, columnNames: readonly string[]): string[] {
  return config.features.flatMap((spec) => {
    const name = columnNames[spec.column];
    if (spec.kind === 'newest') return [name];
    const inputs = Array.from({ length: inputsOf(spec, config) }, (_, index) => index);
    if (spec.kind === 'raw') return inputs.map((row) => `${name}[${row - config.windowRows + 1}]`);
    if (spec.kind === 'bands') return inputs.map((band) => `${name}.bands[${band}]`);
    return [`${name}.${spec.kind}`];
  });
}

/** @throws EdgeloopError ELOOP_CONFIG for what cannot be */
export function checkInputs(config: InputsConfig): void {
  const { columns, windowRows, hopRows, features, clip } = config;
  checkInteger('columns of a row', columns, 1, INPUTS_MAX);
  checkInteger('window in rows', windowRows, 1, WINDOW_ROWS_MAX);
  checkInteger('hop in rows', hopRows, 1, 2 ** 31 - 1);
  if (!(clip > 0)) refuse(`clip: expected a number above 0, got ${clip}`, 'The usual one is 5');
  if (features.length === 0)
    refuse('features: expected at least one, got none', '`newest` is the plain value');
  for (const spec of features) checkFeature(spec, config);
  const inputs = inputCount(config);
  if (inputs > INPUTS_MAX) {
    refuse(
      `inputs: expected at most ${INPUTS_MAX}, got ${inputs}`,
      'Take a shorter window, or fewer features',
    );
  }
}

function checkFeature({ column, kind, bands }: FeatureSpec, { columns, windowRows }: InputsConfig): void {
  if (!FEATURE_KINDS.includes(kind)) {
    refuse(`feature: expected one of ${FEATURE_KINDS.join(', ')}, got ${String(kind)}`);
  }
  checkInteger(`column of ${kind}`, column, 0, columns - 1);
  if (windowRows < 2 && NEEDS_TWO_ROWS.includes(kind)) {
    refuse(`${kind}: expected a window of at least 2 rows, got ${windowRows}`, 'Take a longer window');
  }
  if (kind === 'bands') checkInteger('bands', bands ?? 0, 1, blockRowsOf(windowRows) / 2);
}

function checkInteger(what: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  refuse(`${what}: expected an integer from ${min} to ${max}, got ${value}`);
}

function refuse(sentence: string, remedy?: string): never {
  throw new EdgeloopError('ELOOP_CONFIG', remedy === undefined ? `${sentence}.` : `${sentence}. ${remedy}.`);
}

/** Where the inputs of a feature lie. */
export interface Place {
  readonly spec: FeatureSpec;
  readonly firstInput: number;
  readonly inputs: number;
  /** Of the scaler: the row's column, or the first of the feature's own. */
  readonly scalerColumn: number;
}

/** Plain values share the scaler's column of their row's column; it is updated by rows, not by samples. */
export function isPlain({ kind }: FeatureSpec): boolean {
  return kind === 'newest' || kind === 'raw';
}

/** Places of all features, in order. */
export function placesOf(config: InputsConfig): Place[] {
  let firstInput = 0;
  let nextColumn = config.columns;
  return config.features.map((spec) => {
    const inputs = inputsOf(spec, config);
    const place = { spec, firstInput, inputs, scalerColumn: isPlain(spec) ? spec.column : nextColumn };
    firstInput += inputs;
    if (!isPlain(spec)) nextColumn += inputs;
    return place;
  });
}

/** Columns of the scaler: those of the row, then one for each input that is no plain value. */
export function scalerColumnCount(config: InputsConfig): number {
  const own = config.features.filter((spec) => !isPlain(spec));
  return own.reduce((count, spec) => count + inputsOf(spec, config), config.columns);
}

/** Columns of the row of which a window is kept, each once. */
export function windowColumns({ features }: InputsConfig): number[] {
  return [...new Set(features.filter(({ kind }) => kind !== 'newest').map(({ column }) => column))];
}

/** Inputs that follow each other and whose columns do, too. */
export interface Run {
  readonly input: number;
  length: number;
  readonly column: number;
}

/** As few runs as the given places make. */
export function runsOf(places: readonly Place[]): Run[] {
  const runs: Run[] = [];
  for (const { firstInput, inputs, scalerColumn } of places) {
    const last = runs.at(-1);
    const follows =
      last !== undefined &&
      last.input + last.length === firstInput &&
      last.column + last.length === scalerColumn;
    if (follows) last.length += inputs;
    else runs.push({ input: firstInput, length: inputs, column: scalerColumn });
  }
  return runs;
}
