/**
 * Running standardisation: per column the mean and variance of everything seen (Welford's method, float64, since a
 * float32 count stops at 16,777,216 rows), and z = (x − mean)/deviation, cut off at ±5.
 *
 * Every row of the stream updates the statistics before it is scaled. A missing value (NaN) updates nothing and
 * scales to 0, the mean.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../engine/arena.ts';

/** A constant column that moves for the first time would otherwise be hundreds of deviations away. */
export const CLIP = 5;

type ScalerParts = {
  readonly count: Part<'float64'>;
  readonly mean: Part<'float64'>;
  readonly m2: Part<'float64'>;
};

export interface Scaler extends Views<ScalerParts> {}

export function planScaler(plan: ArenaPlan, columns: number): ScalerParts {
  return {
    count: plan.float64('scaler.count', columns), // values seen [columns]
    mean: plan.float64('scaler.mean', columns), //   running mean [columns]
    m2: plan.float64('scaler.m2', columns), //       sum of squared distances from the mean [columns]
  };
}

export function openScaler(buffer: ArrayBufferLike, parts: ScalerParts): Scaler {
  return viewsOf(buffer, parts);
}

/** Takes the row at values[first ..] into the statistics. */
export function updateScaler({ count, mean, m2 }: Scaler, values: Float32Array, first: number): void {
  for (let column = 0; column < count.length; column++) {
    const value = values[first + column];
    if (value !== value) continue; // missing
    const distance = value - mean[column];
    count[column] += 1;
    mean[column] += distance / count[column];
    m2[column] += distance * (value - mean[column]);
  }
}

/** Standardises the row at values[first ..] into `scaled` [columns], rounded to float32. */
export function scale(scaler: Scaler, values: Float32Array, first: number, scaled: Float32Array): void {
  const { count, mean, m2 } = scaler;
  for (let column = 0; column < count.length; column++) {
    const value = values[first + column];
    const deviation = Math.sqrt(m2[column] / count[column]);
    // Two stores and no conditional value: a choice between an integer and a double would be boxed, 16 bytes each.
    if (deviation > 0 && value === value) {
      scaled[column] = Math.min(Math.max((value - mean[column]) / deviation, -CLIP), CLIP);
    } else {
      scaled[column] = 0;
    }
  }
}
