/**
 * The scalar functions of the engine, written so that every machine gives the same bits: only + - * / and
 * rounding, never `Math.exp` and its kin, which differ between machines and between versions of Node.
 *
 * All float32 functions take and return float32 values (as JavaScript numbers) and round after every single
 * operation. The SIMD kernels do exactly these operations in exactly this order.
 *
 * exp and tanh rest on one polynomial: with y = x·log2(e), n = y rounded to the nearest integer and f = y − n,
 *
 *     2^f − 1 = f·R(f),    R of degree 5 on [−½, ½], relative error 1.8e-8
 *
 * R is a minimax fit (Remez exchange on (2^f − 1)/f, relative error, then each coefficient rounded to float32
 * and moved by up to two units in the last place where that lowered the error).
 */

const { fround } = Math;

const R0 = fround(0.6931471824645996);
const R1 = fround(0.24022649228572845);
const R2 = fround(0.05550360679626465);
const R3 = fround(0.009618245996534824);
const R4 = fround(0.0013390745734795928);
const R5 = fround(0.00015403525321744382);

const LOG2E = fround(1.4426950408889634);
const TWO_LOG2E = fround(2.8853900817779268);

/** |y| beyond this is cut off, so that 2^n stays a normal float32. exp reaches 8.5e37 and 1.2e-38. */
const Y_MAX = 126;

/**
 * Adding and subtracting this in float32 rounds to the nearest integer, since numbers around 1.5·2^23 are a whole
 * one apart. The low eight bits of the sum are n + 127: the exponent of 2^n, which a kernel has only to shift.
 */
const ROUNDER = 12_582_912 + 127;

/** POWERS_OF_TWO[n + 126] = 2^n for n in -126..126. */
const POWERS_OF_TWO = Float32Array.from({ length: 2 * Y_MAX + 1 }, (_, index) => 2 ** (index - Y_MAX));

/** NaN passes: both comparisons are false. */
function clampExponent(y: number): number {
  return y < -Y_MAX ? -Y_MAX : y > Y_MAX ? Y_MAX : y;
}

function nearestInteger(y: number): number {
  return fround(fround(y + ROUNDER) - ROUNDER);
}

/** 2^n for an integral n in -126..126; of a NaN the least power, since the NaN survives in the other factor. */
function powerOfTwo(n: number): number {
  return POWERS_OF_TWO[(n + Y_MAX) | 0];
}

/**
 * first + f²·(R1 + R2·f) + f⁴·(R3 + R4·f + R5·f²): with first = R0·f this is 2^f − 1, with first = 1 + R0·f it is
 * 2^f. Short terms first (Estrin's scheme): in a small network each step waits for this chain twice.
 */
function exp2Series(first: number, f: number): number {
  const f2 = fround(f * f);
  const middle = fround(R1 + fround(R2 * f));
  const high = fround(fround(R3 + fround(R4 * f)) + fround(R5 * f2));
  return fround(fround(first + fround(f2 * middle)) + fround(fround(f2 * f2) * high));
}

/** e^x in float32; relative error below 1e-6 for |x| <= 20, growing with |x|; between 1.2e-38 and 8.5e37. */
export function exp(x: number): number {
  const y = clampExponent(fround(x * LOG2E));
  const n = nearestInteger(y);
  const f = fround(y - n);
  return fround(exp2Series(fround(1 + fround(R0 * f)), f) * powerOfTwo(n));
}

/** 1/(1 + e^-x) in float32; absolute error below 1.2e-7. */
export function sigmoid(x: number): number {
  return fround(1 / fround(1 + exp(-x)));
}

/** tanh(x) in float32 as (e^2x − 1)/(e^2x + 1) with e^2x − 1 computed whole: accurate near zero, too. */
export function tanh(x: number): number {
  const y = clampExponent(fround(x * TWO_LOG2E));
  const n = nearestInteger(y);
  const f = fround(y - n);
  const power = powerOfTwo(n);
  const expMinus1 = fround(fround(power * exp2Series(fround(R0 * f), f)) + fround(power - 1));
  return fround(expMinus1 / fround(expMinus1 + 2));
}

const LN2_HIGH = 0.6931471803691238; // 33 significant bits, so that k·LN2_HIGH is exact
const LN2_LOW = 1.9082149292705877e-10;
const SQRT_HALF = 0.7071067811865476;
const TWO_POW_54 = 18_014_398_509_481_984;

const bitsFloat64 = new Float64Array(1);
const bitsInt32 = new Int32Array(bitsFloat64.buffer);
/** Index of the word with sign and exponent: both targets are little-endian. */
const HIGH_WORD = 1;

/**
 * Natural logarithm in float64, relative error below 5e-16. x = 2^k·m with m in [√½, √2); with
 * s = (m − 1)/(m + 1), log m = 2·(s + s³/3 + s⁵/5 + ...), |s| < 0.172.
 */
export function log(x: number): number {
  // So small that it is always inlined; a double that a larger function takes or returns may be boxed.
  logarithm[0] = x;
  takeLogarithm();
  return logarithm[0];
}

const logarithm = new Float64Array(1);

function takeLogarithm(): void {
  let x = logarithm[0];
  if (!(x > 0)) {
    logarithm[0] = x === 0 ? -Infinity : NaN;
    return;
  }
  if (x === Infinity) return;
  let exponent = 0;
  if (x < 2.2250738585072014e-308) {
    x *= TWO_POW_54; // subnormal: bring it into the normal range first
    exponent = -54;
  }
  bitsFloat64[0] = x;
  const high = bitsInt32[HIGH_WORD];
  exponent += (high >>> 20) - 1022;
  bitsInt32[HIGH_WORD] = (high & 0x000f_ffff) | 0x3fe0_0000; // m in [½, 1)
  let mantissa = bitsFloat64[0];
  if (mantissa < SQRT_HALF) {
    mantissa *= 2;
    exponent -= 1;
  }
  const s = (mantissa - 1) / (mantissa + 1);
  const s2 = s * s;
  let series = 1 / 21;
  for (let odd = 19; odd >= 3; odd -= 2) series = series * s2 + 1 / odd;
  logarithm[0] = exponent * LN2_HIGH + (2 * s + (2 * s * s2 * series + exponent * LN2_LOW));
}
