/**
 * How far a vector z of N values is from all those learned, in terms of how its values move together (Mahalanobis):
 *
 *     T = (z − m)ᵀ·(S + λ·I)⁻¹·(z − m)/N,    λ = 10⁻³·trace(S)/N
 *
 * m [N] and S [N x N] are mean and covariance of what was taken in; S + λI = L·Lᵀ (Cholesky) is solved once. All in
 * float64. Sums run over the values in order; the lower triangles lie packed, row after row: entry (i, j) at
 * i·(i + 1)/2 + j.
 *
 * A vector costs N²/2 products, the factor N³/6 once: N = 32 costs 528 and 5,500, N = 128 8,000 and 350,000.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../../engine/arena.ts';

/** Keeps a channel that is a sum of others, or constant, from being infinitely surprising. */
const RIDGE = 1e-3;

type MahalanobisParts = {
  readonly count: Part<'float64'>;
  readonly mean: Part<'float64'>;
  readonly spread: Part<'float64'>;
  readonly factor: Part<'float64'>;
  readonly difference: Part<'float64'>;
  readonly solved: Part<'float64'>;
};

export interface Mahalanobis extends Views<MahalanobisParts> {}

export function planMahalanobis(plan: ArenaPlan, values: number): MahalanobisParts {
  const triangle = (values * (values + 1)) / 2;
  return {
    count: plan.float64('anomaly.distance.count', 1),
    mean: plan.float64('anomaly.distance.mean', values), //             m [N]
    spread: plan.float64('anomaly.distance.spread', triangle), //        count·S, lower triangle
    factor: plan.float64('anomaly.distance.factor', triangle), //        L, lower triangle
    difference: plan.float64('anomaly.distance.difference', values), // z − m [N]
    solved: plan.float64('anomaly.distance.solved', values), //         L⁻¹·(z − m), then (S + λI)⁻¹·(z − m) [N]
  };
}

export function openMahalanobis(buffer: ArrayBufferLike, parts: MahalanobisParts): Mahalanobis {
  return viewsOf(buffer, parts);
}

export function resetMahalanobis({ count, mean, spread, factor }: Mahalanobis): void {
  count[0] = 0;
  mean.fill(0);
  spread.fill(0);
  factor.fill(0);
}

/** Takes a vector into m and S. @param z [N] */
export function takeIntoSpread({ count, mean, spread, difference }: Mahalanobis, z: Float32Array): void {
  count[0] += 1;
  const alpha = 1 / count[0];
  for (let i = 0, at = 0; i < mean.length; i++) {
    difference[i] = z[i] - mean[i];
    const factor = (1 - alpha) * difference[i];
    for (let j = 0; j <= i; j++, at++) spread[at] += factor * difference[j];
  }
  for (let i = 0; i < mean.length; i++) mean[i] += alpha * difference[i];
}

/** S + λI = L·Lᵀ, column by column of a row. The ridge keeps every pivot positive unless S is 0: then L is I. */
export function factorise({ count, mean, spread, factor }: Mahalanobis): void {
  const values = mean.length;
  let trace = 0;
  for (let i = 0; i < values; i++) trace += spread[(i * (i + 3)) / 2] / count[0];
  const ridge = trace > 0 ? (RIDGE * trace) / values : 1;
  for (let i = 0; i < values; i++) {
    const row = (i * (i + 1)) / 2;
    for (let j = 0; j <= i; j++) {
      const other = (j * (j + 1)) / 2;
      let sum = spread[row + j] / count[0];
      if (i === j) sum += ridge;
      for (let k = 0; k < j; k++) sum -= factor[row + k] * factor[other + k];
      if (i === j) factor[row + j] = Math.sqrt(Math.max(sum, ridge));
      else factor[row + j] = sum / factor[other + j];
    }
  }
}

/** T of a vector, after `factorise`. @param z [N] @param answer [slot] becomes T */
export function writeDistance(
  { mean, factor, difference, solved }: Mahalanobis,
  z: Float32Array,
  answer: Float64Array,
  slot: number,
): void {
  let squares = 0;
  for (let i = 0, at = 0; i < mean.length; i++, at++) {
    difference[i] = z[i] - mean[i];
    let sum = difference[i];
    for (let j = 0; j < i; j++, at++) sum -= factor[at] * solved[j];
    solved[i] = sum / factor[at];
    squares += solved[i] * solved[i];
  }
  answer[slot] = squares / mean.length;
}

/** The value with the largest part in the T just written: (z − m)ᵢ·((S + λI)⁻¹·(z − m))ᵢ. Overwrites `solved`. */
export function farthestValue({ mean, factor, difference, solved }: Mahalanobis): number {
  let farthest = 0;
  for (let i = mean.length - 1; i >= 0; i--) {
    let sum = solved[i];
    for (let j = i + 1; j < mean.length; j++) sum -= factor[(j * (j + 1)) / 2 + i] * solved[j];
    solved[i] = sum / factor[(i * (i + 3)) / 2];
  }
  for (let i = 1; i < mean.length; i++) {
    if (difference[i] * solved[i] > difference[farthest] * solved[farthest]) farthest = i;
  }
  return farthest;
}
