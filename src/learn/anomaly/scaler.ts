/**
 * Mean and variance per channel under a weight α for the newest value, float64:
 *
 *     variance = (1 − α)·(variance + α·d²),  mean = mean + α·d,    d = x − mean
 *
 * With α = 1/n this is the mean and variance of all n values; with α constant it fades.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../../engine/arena.ts';

/** z is cut off here. */
export const Z_MAX = 5;

type ScalerParts = {
  readonly count: Part<'float64'>;
  readonly mean: Part<'float64'>;
  readonly variance: Part<'float64'>;
  readonly perDeviation: Part<'float64'>;
};

export interface FadingScaler extends Views<ScalerParts> {}

export function planFadingScaler(plan: ArenaPlan, columns: number): ScalerParts {
  return {
    count: plan.float64('anomaly.scaler.count', columns), //        values seen [C]
    mean: plan.float64('anomaly.scaler.mean', columns), //          [C]
    variance: plan.float64('anomaly.scaler.variance', columns), //  [C]
    perDeviation: plan.float64('anomaly.scaler.perDeviation', columns), // 1/√variance, 0 where that is 0 [C]
  };
}

export function openFadingScaler(buffer: ArrayBufferLike, parts: ScalerParts): FadingScaler {
  return viewsOf(buffer, parts);
}

export function resetFadingScaler({ count, mean, variance, perDeviation }: FadingScaler): void {
  count.fill(0);
  mean.fill(0);
  variance.fill(0);
  perDeviation.fill(0);
}

/**
 * Takes one value of a channel that is not missing.
 * @param fading α; 0: 1/n, n the values of this channel so far with this one
 */
export function updateFadingScaler(
  scaler: FadingScaler,
  column: number,
  value: number,
  fading: number,
): void {
  const { count, mean, variance, perDeviation } = scaler;
  count[column] += 1;
  const alpha = fading > 0 ? fading : 1 / count[column];
  const distance = value - mean[column];
  mean[column] += alpha * distance;
  variance[column] = (1 - alpha) * (variance[column] + alpha * distance * distance);
  const deviation = Math.sqrt(variance[column]);
  perDeviation[column] = 0;
  if (deviation > 0) perDeviation[column] = 1 / deviation;
}

/**
 * Standardises `rows` rows into `scaled`, in float32; a value that is not known gives 0, the mean.
 * @param raw    from index `first` on [rows x C], as a ring
 * @param oldest the row of it that becomes the first of `scaled`
 * @param scaled [rows x C], overwritten
 */
export function scaleRows(
  { mean, perDeviation }: FadingScaler,
  raw: Float32Array,
  first: number,
  rows: number,
  oldest: number,
  scaled: Float32Array,
): void {
  const columns = mean.length;
  let to = 0;
  for (let row = 0; row < rows; row++) {
    let from = first + ((oldest + row) % rows) * columns;
    for (let column = 0; column < columns; column++, from++, to++) {
      const z = (raw[from] - mean[column]) * perDeviation[column];
      scaled[to] = 0;
      if (z === z) scaled[to] = Math.min(Math.max(z, -Z_MAX), Z_MAX);
    }
  }
}
