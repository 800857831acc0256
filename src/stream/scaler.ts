/**
 * Running standardisation: per column the mean and variance of everything seen (Welford's method, float64, since a
 * float32 count stops at 16,777,216 rows), and z = (x − mean)/deviation, cut off at ±clip.
 *
 * Every row of the stream updates the statistics before it is scaled. A missing value (anything not finite) updates
 * nothing and scales to 0, the mean. How the statistics follow the stream is a mode, which lies in the arena:
 *
 * - running      every value ever seen counts alike; the variance is that of the population, m2/count
 * - frozen       nothing moves
 * - exponential  a value counts `rate`, what was before 1 − rate: mean += rate·d, variance = (1 − rate)·(variance +
 *                rate·d²) with d the distance from the mean before. The count stands still, m2 is count·variance, so
 *                that every mode goes on from where another stopped.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../engine/arena.ts';

/** A constant column that moves for the first time would otherwise be hundreds of deviations away. */
export const CLIP = 5;

/** Values of CONTROL.mode. A new arena is all zeros: running. */
const MODE = { running: 0, frozen: 1, exponential: 2 } as const;
export type ScalerMode = keyof typeof MODE;

const CONTROL = { mode: 0, rate: 1 } as const;

/** A column with fewer values is still counted as running: a slow mean that starts at one value stays there for long. */
const EXPONENTIAL_FROM_COUNT = 100;

type ScalerParts = {
  readonly count: Part<'float64'>;
  readonly mean: Part<'float64'>;
  readonly m2: Part<'float64'>;
  readonly control: Part<'float64'>;
};

export interface Scaler extends Views<ScalerParts> {}

export function planScaler(plan: ArenaPlan, columns: number): ScalerParts {
  return {
    count: plan.float64('scaler.count', columns), // values seen [columns]
    mean: plan.float64('scaler.mean', columns), //   running mean [columns]
    m2: plan.float64('scaler.m2', columns), //       sum of squared distances from the mean [columns]
    control: plan.float64('scaler.control', 2), //   mode, rate of the exponential mode
  };
}

export function openScaler(buffer: ArrayBufferLike, parts: ScalerParts): Scaler {
  return viewsOf(buffer, parts);
}

/** The statistics stay as they are until `thawScaler`. */
export function freezeScaler({ control }: Scaler): void {
  control[CONTROL.mode] = MODE.frozen;
}

/** From now on every value counts alike again, beside all that were counted before. */
export function thawScaler({ control }: Scaler): void {
  control[CONTROL.mode] = MODE.running;
}

/** From now on a value counts `rate` and what was before fades: a memory of about 1/rate values. @param rate 0 to 1 */
export function fadeScaler({ control }: Scaler, rate: number): void {
  if (!(rate > 0 && rate < 1))
    throw new RangeError(`rate of the scaler: expected between 0 and 1, got ${rate}`);
  control[CONTROL.mode] = MODE.exponential;
  control[CONTROL.rate] = rate;
}

export function scalerMode({ control }: Scaler): ScalerMode {
  if (control[CONTROL.mode] === MODE.frozen) return 'frozen';
  return control[CONTROL.mode] === MODE.exponential ? 'exponential' : 'running';
}

/** Takes the row at values[first ..] into the statistics. */
export function updateScaler(scaler: Scaler, values: Float32Array, first: number): void {
  updateColumns(scaler, 0, scaler.count.length, values, first);
}

/** Takes values[first ..] into the statistics of `columns` columns from `firstColumn` on. */
export function updateColumns(
  scaler: Scaler,
  firstColumn: number,
  columns: number,
  values: Float32Array,
  first: number,
): void {
  const { count, mean, m2, control } = scaler;
  if (control[CONTROL.mode] !== MODE.running) {
    updateOtherwise(scaler, firstColumn, columns, values, first);
    return;
  }
  for (let i = 0; i < columns; i++) {
    const column = firstColumn + i;
    const value = values[first + i];
    // All reads before the branch: V8 then checks the arrays once for the loop and not at every access, 8 -> 3 ns.
    const countNow = count[column] + 1;
    const meanBefore = mean[column];
    const m2Before = m2[column];
    if (value - value !== 0) continue; // missing
    const distance = value - meanBefore;
    const meanNow = meanBefore + distance / countNow;
    count[column] = countNow;
    mean[column] = meanNow;
    m2[column] = m2Before + distance * (value - meanNow);
  }
}

function updateOtherwise(
  { count, mean, m2, control }: Scaler,
  firstColumn: number,
  columns: number,
  values: Float32Array,
  first: number,
): void {
  if (control[CONTROL.mode] === MODE.frozen) return;
  const rate = control[CONTROL.rate];
  for (let i = 0; i < columns; i++) {
    const value = values[first + i];
    if (value - value !== 0) continue; // missing
    const column = firstColumn + i;
    const distance = value - mean[column];
    if (count[column] < EXPONENTIAL_FROM_COUNT) {
      count[column] += 1;
      mean[column] += distance / count[column];
      m2[column] += distance * (value - mean[column]);
    } else {
      mean[column] += rate * distance;
      m2[column] = (1 - rate) * (m2[column] + count[column] * (rate * distance * distance));
    }
  }
}

/** Standardises the row at values[first ..] into `scaled` [columns], rounded to float32. */
export function scale(scaler: Scaler, values: Float32Array, first: number, scaled: Float32Array): void {
  scaleColumns(scaler, 0, scaler.count.length, CLIP, values, first, scaled, 0);
}

/**
 * Standardises one value each of `columns` columns from `firstColumn` on.
 * @param values from `first` on, left as they are
 * @param scaled from `scaledFirst` on overwritten, rounded to float32
 */
export function scaleColumns(
  { count, mean, m2 }: Scaler,
  firstColumn: number,
  columns: number,
  clip: number,
  values: Float32Array,
  first: number,
  scaled: Float32Array,
  scaledFirst: number,
): void {
  for (let i = 0; i < columns; i++) {
    const column = firstColumn + i;
    const value = values[first + i];
    const deviation = Math.sqrt(m2[column] / count[column]);
    const distance = value - mean[column];
    // Two stores and no conditional value: a choice between an integer and a double would be boxed, 16 bytes each.
    scaled[scaledFirst + i] = 0;
    if (deviation > 0 && value - value === 0) {
      scaled[scaledFirst + i] = Math.min(Math.max(distance / deviation, -clip), clip);
    }
  }
}

/** Standardises `length` values of one column, with one square root for all. Otherwise as `scaleColumns`. */
export function scaleMany(
  { count, mean, m2 }: Scaler,
  column: number,
  length: number,
  clip: number,
  values: Float32Array,
  first: number,
  scaled: Float32Array,
  scaledFirst: number,
): void {
  const columnMean = mean[column];
  const deviation = Math.sqrt(m2[column] / count[column]);
  for (let i = 0; i < length; i++) {
    const value = values[first + i];
    scaled[scaledFirst + i] = 0;
    if (deviation > 0 && value - value === 0) {
      scaled[scaledFirst + i] = Math.min(Math.max((value - columnMean) / deviation, -clip), clip);
    }
  }
}
