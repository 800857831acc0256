/** Features straight from their definitions, in double, over an array: what the incremental ones are compared with. */
import type { FeatureSpec } from '../../src/stream/inputs.ts';

/** @param window W values, oldest first, NaN where missing. @returns the inputs that the feature gives */
export function naiveFeature({ kind, bands = 0 }: FeatureSpec, window: readonly number[]): number[] {
  const there = window.filter((value) => !Number.isNaN(value));
  if (kind === 'newest') return window.slice(-1);
  if (kind === 'raw') return [...window];
  if (kind === 'bands') return naiveBands(window, bands);
  if (there.length < (['deviation', 'zeroCrossings', 'slope'].includes(kind) ? 2 : 1)) return [NaN];
  const mean = averageOf(there);
  const deviation = Math.sqrt(averageOf(there.map((value) => (value - mean) ** 2)));
  if (kind === 'mean') return [mean];
  if (kind === 'deviation') return [deviation];
  if (kind === 'rms') return [Math.sqrt(averageOf(there.map((value) => value * value)))];
  if (kind === 'min') return [Math.min(...there)];
  if (kind === 'max') return [Math.max(...there)];
  if (kind === 'slope') return [naiveSlope(window)];
  const sides = there.map((value) => value - mean).filter((d) => Math.abs(d) > deviation / 1024);
  return [sides.filter((side, i) => i > 0 && Math.sign(side) !== Math.sign(sides[i - 1])).length];
}

function averageOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function naiveSlope(window: readonly number[]): number {
  const points = window.flatMap((x, t) => (Number.isNaN(x) ? [] : [{ t, x }]));
  const meanT = averageOf(points.map(({ t }) => t));
  const meanX = averageOf(points.map(({ x }) => x));
  const across = points.reduce((sum, { t, x }) => sum + (t - meanT) * (x - meanX), 0);
  return across / points.reduce((sum, { t }) => sum + (t - meanT) ** 2, 0);
}

function naiveBands(window: readonly number[], bands: number): number[] {
  const rows = 2 ** Math.floor(Math.log2(window.length));
  const block = window.slice(-rows);
  const there = block.filter((value) => !Number.isNaN(value));
  if (2 * there.length <= rows) return Array.from({ length: bands }, () => NaN);
  const power = naivePower(block);
  return Array.from({ length: bands }, (_, band) => {
    const from = Math.floor((band * power.length) / bands);
    const to = Math.floor(((band + 1) * power.length) / bands);
    return power.slice(from, to).reduce((sum, each) => sum + each, 0) ** 0.25;
  });
}

/** Power of the bins 1 .. N/2 by the sum that defines a discrete Fourier transform. */
export function naivePower(block: readonly number[]): number[] {
  const rows = block.length;
  const mean = averageOf(block.filter((value) => !Number.isNaN(value)));
  const hann = block.map((_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / rows));
  const squares = hann.reduce((sum, w) => sum + w * w, 0);
  const signal = block.map((value, n) => (Number.isNaN(value) ? 0 : (value - mean) * hann[n]));
  return Array.from({ length: rows / 2 }, (_, index) => {
    const k = index + 1;
    let re = 0;
    let im = 0;
    for (const [n, value] of signal.entries()) {
      const angle = (2 * Math.PI * ((k * n) % rows)) / rows;
      re += value * Math.cos(angle);
      im -= value * Math.sin(angle);
    }
    return ((k === rows / 2 ? 1 : 2) * (re * re + im * im)) / (rows * squares);
  });
}
