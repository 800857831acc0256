/**
 * Power spectrum of a block of N real values, N a power of two, the same to the bit on every machine: our own
 * twiddles, from square roots alone, and one order of operations.
 *
 *     x ── mean removed, Hann window ──> pairs as N/2 complex numbers ── FFT ──> X_1 .. X_N/2 ──> power
 *
 * power[k − 1] = 2·|X_k|²/(N·Σw²), half of that at k = N/2: the sum over all bins is the variance of the block as the
 * window sees it (for white noise that of the noise). Missing values take the place of the mean.
 * Method: radix-2 decimation in time (Cooley and Tukey); the spectrum of reals from half as many complex numbers.
 */

/** Constants and scratch for blocks of one size; nothing in it outlives a call. */
export interface Spectrum {
  /** N. */
  readonly rows: number;
  /** cos(2πk/N) and sin(2πk/N) for k below N/2. */
  readonly cosines: Float64Array;
  readonly sines: Float64Array;
  /** w [N] = ½ − ½·cos(2πk/N). */
  readonly hann: Float64Array;
  /** 2/(N·Σw²). */
  readonly norm: Float64Array;
  /** Where the k-th complex number goes before the first stage [N/2]. */
  readonly reversed: Int32Array;
  /** Scratch: the complex numbers [N/2]. */
  readonly real: Float64Array;
  readonly imaginary: Float64Array;
  /** Result: power of the bins 1 .. N/2, at index 0 .. N/2 − 1. */
  readonly power: Float64Array;
}

/** The largest power of two that is not above `rows`. */
export function blockRowsOf(rows: number): number {
  return 2 ** (31 - Math.clz32(rows));
}

/** @param rows N, a power of two of at least 2 */
export function makeSpectrum(rows: number): Spectrum {
  const half = rows / 2;
  const [cosines, sines] = makeTwiddles(rows);
  const hann = new Float64Array(rows);
  let squares = 0;
  for (let k = 0; k < rows; k++) {
    const cosine = k < half ? cosines[k] : -cosines[k - half];
    hann[k] = 0.5 - 0.5 * cosine;
    squares += hann[k] * hann[k];
  }
  return {
    rows,
    cosines,
    sines,
    hann,
    norm: Float64Array.of(2 / (rows * squares)),
    reversed: reversedBits(half),
    real: new Float64Array(half),
    imaginary: new Float64Array(half),
    power: new Float64Array(half),
  };
}

/**
 * Transforms the N values at values[first ..]; the result is `spectrum.power`.
 * @returns how many of them were there, not missing
 */
export function transform(spectrum: Spectrum, values: Float32Array, first: number): number {
  const present = load(spectrum, values, first);
  for (let size = 2; size < spectrum.rows; size *= 2) combine(spectrum, size);
  takePower(spectrum);
  return present;
}

/** Even values become real parts, odd ones imaginary parts, in the order that the stages want. */
function load(
  { rows, hann, reversed, real, imaginary }: Spectrum,
  values: Float32Array,
  first: number,
): number {
  let present = 0;
  let sum = 0;
  for (let i = 0; i < rows; i++) {
    const value = values[first + i];
    if (value !== value) continue;
    present += 1;
    sum += value;
  }
  const mean = sum / present;
  for (let i = 0; i < rows; i += 2) {
    const even = values[first + i] - mean;
    const odd = values[first + i + 1] - mean;
    const to = reversed[i >> 1];
    if (even === even) real[to] = even * hann[i];
    else real[to] = 0;
    if (odd === odd) imaginary[to] = odd * hann[i + 1];
    else imaginary[to] = 0;
  }
  return present;
}

/** One stage: pairs of transforms of size/2 become transforms of `size`. Butterfly i is the k-th of its pair. */
function combine({ rows, cosines, sines, real, imaginary }: Spectrum, size: number): void {
  const half = size >> 1;
  const step = (rows / size) | 0;
  const butterflies = real.length >> 1;
  for (let i = 0; i < butterflies; i++) {
    const k = i & (half - 1);
    const low = 2 * i - k;
    const high = low + half;
    const cosine = cosines[k * step];
    const sine = sines[k * step];
    const turnedReal = real[high] * cosine + imaginary[high] * sine;
    const turnedImaginary = imaginary[high] * cosine - real[high] * sine;
    const lowReal = real[low];
    const lowImaginary = imaginary[low];
    real[high] = lowReal - turnedReal;
    imaginary[high] = lowImaginary - turnedImaginary;
    real[low] = lowReal + turnedReal;
    imaginary[low] = lowImaginary + turnedImaginary;
  }
}

/** X_k = E_k + e^(−2πik/N)·O_k, E and O being the transforms of the even and the odd values. */
function takePower({ cosines, sines, norm, real, imaginary, power }: Spectrum): void {
  const half = real.length;
  for (let k = 1; k < half; k++) {
    const mirror = half - k;
    const evenReal = 0.5 * (real[k] + real[mirror]);
    const evenImaginary = 0.5 * (imaginary[k] - imaginary[mirror]);
    const oddReal = 0.5 * (imaginary[k] + imaginary[mirror]);
    const oddImaginary = 0.5 * (real[mirror] - real[k]);
    const re = evenReal + (oddReal * cosines[k] + oddImaginary * sines[k]);
    const im = evenImaginary + (oddImaginary * cosines[k] - oddReal * sines[k]);
    power[k - 1] = (re * re + im * im) * norm[0];
  }
  const last = real[0] - imaginary[0];
  power[half - 1] = 0.5 * (last * last) * norm[0];
}

/**
 * cos and sin of 2πk/N for k < N/2. Halving: from cos 2a and sin 2a, cos a = √((1 + cos 2a)/2) and sin a = sin 2a/(2
 * cos a), which loses nothing near 0. The angle of k is then the sum of those of its highest bit and of the rest, so
 * that errors grow with the number of bits, not with k.
 */
function makeTwiddles(rows: number): [Float64Array, Float64Array] {
  const half = rows / 2;
  const cosines = new Float64Array(half);
  const sines = new Float64Array(half);
  cosines[0] = 1;
  let cosine = -1; // of π, half a turn: N/2
  let sine = 0;
  for (let bit = half / 2; bit >= 1; bit /= 2) {
    // A quarter of a turn cannot be divided by the cosine of a quarter.
    if (bit === half / 2) [cosine, sine] = [0, 1];
    else {
      cosine = Math.sqrt((1 + cosine) / 2);
      sine /= 2 * cosine;
    }
    cosines[bit] = cosine;
    sines[bit] = sine;
  }
  for (let k = 1; k < half; k++) {
    const bit = blockRowsOf(k);
    const rest = k - bit;
    if (rest === 0) continue;
    cosines[k] = cosines[bit] * cosines[rest] - sines[bit] * sines[rest];
    sines[k] = sines[bit] * cosines[rest] + cosines[bit] * sines[rest];
  }
  return [cosines, sines];
}

/** Each index below `count`, a power of two, with its bits in reverse. */
function reversedBits(count: number): Int32Array {
  const reversed = new Int32Array(count);
  for (let filled = 1; filled < count; filled *= 2) {
    for (let i = 0; i < filled; i++) {
      reversed[i] *= 2;
      reversed[filled + i] = reversed[i] + 1;
    }
  }
  return reversed;
}
