/** The functions of src/engine/arithmetic.ts on four lanes at once: the same operations in the same order. */
import { RELU, SIGMOID, TANH } from './layout';

/**
 * Constants are globals and not literals: a global is loaded in one instruction, a literal vector is put together in
 * four or five every time. `setConstants` fills them, so that the compiler does not know their values.
 */
export let ONE: v128 = i32x4.splat(0);
let TWO: v128 = i32x4.splat(0);
let R0: v128 = i32x4.splat(0);
let R1: v128 = i32x4.splat(0);
let R2: v128 = i32x4.splat(0);
let R3: v128 = i32x4.splat(0);
let R4: v128 = i32x4.splat(0);
let R5: v128 = i32x4.splat(0);
let LOG2E: v128 = i32x4.splat(0);
let MINUS_LOG2E: v128 = i32x4.splat(0);
let TWO_LOG2E: v128 = i32x4.splat(0);
let Y_MAX: v128 = i32x4.splat(0);
let Y_MIN: v128 = i32x4.splat(0);
let ROUNDER: v128 = i32x4.splat(0);
let MAGNITUDE: v128 = i32x4.splat(0);

/** To be called once, before anything else. */
export function setConstants(): void {
  ONE = f32x4.splat(1);
  TWO = f32x4.splat(2);
  R0 = f32x4.splat(0.6931471824645996);
  R1 = f32x4.splat(0.24022649228572845);
  R2 = f32x4.splat(0.05550360679626465);
  R3 = f32x4.splat(0.009618245996534824);
  R4 = f32x4.splat(0.0013390745734795928);
  R5 = f32x4.splat(0.00015403525321744382);
  LOG2E = f32x4.splat(1.4426950408889634);
  MINUS_LOG2E = f32x4.splat(-1.4426950408889634);
  TWO_LOG2E = f32x4.splat(2.8853900817779268);
  Y_MAX = f32x4.splat(126);
  Y_MIN = f32x4.splat(-126);
  ROUNDER = f32x4.splat(12583039);
  MAGNITUDE = i32x4.splat(0x7fffffff);
}

/** This order of pmin and pmax lets a NaN through. */
@inline function clampExponent(y: v128): v128 {
  return f32x4.pmin(f32x4.pmax(y, Y_MIN), Y_MAX);
}

/** 2^n, whose exponent field n + 127 is in the low bits of y + ROUNDER. */
@inline function powerOfTwo(rounded: v128): v128 {
  return i32x4.shl(rounded, 23);
}

@inline function exp2Series(first: v128, f: v128): v128 {
  const f2 = f32x4.mul(f, f);
  const middle = f32x4.add(R1, f32x4.mul(R2, f));
  const high = f32x4.add(f32x4.add(R3, f32x4.mul(R4, f)), f32x4.mul(R5, f2));
  return f32x4.add(f32x4.add(first, f32x4.mul(f2, middle)), f32x4.mul(f32x4.mul(f2, f2), high));
}

/** e^x where y = x·log2(e) was computed before. */
@inline function exp2(unclamped: v128): v128 {
  const y = clampExponent(unclamped);
  const rounded = f32x4.add(y, ROUNDER);
  const f = f32x4.sub(y, f32x4.sub(rounded, ROUNDER));
  const first = f32x4.add(ONE, f32x4.mul(R0, f));
  return f32x4.mul(exp2Series(first, f), powerOfTwo(rounded));
}

@inline export function exp(x: v128): v128 {
  return exp2(f32x4.mul(x, LOG2E));
}

@inline export function sigmoid(x: v128): v128 {
  return f32x4.div(ONE, f32x4.add(ONE, exp2(f32x4.mul(x, MINUS_LOG2E))));
}

@inline export function tanh(x: v128): v128 {
  const y = clampExponent(f32x4.mul(x, TWO_LOG2E));
  const rounded = f32x4.add(y, ROUNDER);
  const f = f32x4.sub(y, f32x4.sub(rounded, ROUNDER));
  const power = powerOfTwo(rounded);
  const series = exp2Series(f32x4.mul(R0, f), f);
  const expMinus1 = f32x4.add(f32x4.mul(power, series), f32x4.sub(power, ONE));
  return f32x4.div(expMinus1, f32x4.add(expMinus1, TWO));
}

/** Lanes below zero become +0; NaN and −0 stay. */
@inline function relu(x: v128): v128 {
  return v128.andnot(x, f32x4.lt(x, f32x4.splat(0)));
}

/**
 * f(z). Branches are written as assignments: from returns the optimiser makes code that computes every function
 * and drops those that were not asked for.
 */
@inline export function activate(kind: i32, z: v128): v128 {
  let a = z;
  if (kind == SIGMOID) a = sigmoid(z);
  else if (kind == TANH) a = tanh(z);
  else if (kind == RELU) a = relu(z);
  return a;
}

/** delta = gradient ⊙ f'(z), in terms of a = f(z). */
@inline export function timesDerivative(kind: i32, gradient: v128, a: v128): v128 {
  let delta = gradient;
  if (kind == SIGMOID) delta = f32x4.mul(gradient, f32x4.mul(a, f32x4.sub(ONE, a)));
  else if (kind == TANH) delta = f32x4.mul(gradient, f32x4.sub(ONE, f32x4.mul(a, a)));
  else if (kind == RELU) delta = f32x4.mul(gradient, v128.and(f32x4.gt(a, f32x4.splat(0)), ONE));
  return delta;
}

/** (0 + 1) + (2 + 3) */
@inline export function sumOfLanes(lanes: v128): f32 {
  return (
    f32x4.extract_lane(lanes, 0) +
    f32x4.extract_lane(lanes, 1) +
    (f32x4.extract_lane(lanes, 2) + f32x4.extract_lane(lanes, 3))
  );
}

/** (0 + 1) + (2 + 3) of each of four vectors, as one vector. */
@inline export function sumsOfLanes(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 2, 4, 6), v128.shuffle<f32>(a, b, 1, 3, 5, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 2, 4, 6), v128.shuffle<f32>(c, d, 1, 3, 5, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 2, 4, 6), v128.shuffle<f32>(ab, cd, 1, 3, 5, 7));
}

/**
 * The larger magnitude, lane by lane. Bits of magnitudes compare as integers do, and a NaN is above infinity: so it
 * is never lost, as it would be in pmax.
 */
@inline export function largerMagnitude(bits: v128, values: v128): v128 {
  return i32x4.max_s(bits, v128.and(values, MAGNITUDE));
}

/** The largest lane of what `largerMagnitude` gathered, exact in float64; NaN if there was one. */
@inline export function largestLane(bits: v128): f64 {
  const pairs = i32x4.max_s(bits, v128.shuffle<i32>(bits, bits, 2, 3, 0, 1));
  const all = i32x4.max_s(pairs, v128.shuffle<i32>(pairs, pairs, 1, 0, 3, 2));
  return <f64>f32x4.extract_lane(all, 0);
}

/** The largest |value| of `count` float32 at `at`; NaN if one of them is. */
export function largestMagnitude(at: usize, count: i32): f64 {
  let bits = i32x4.splat(0);
  let i = 0;
  for (; i + 4 <= count; i += 4, at += 16) bits = largerMagnitude(bits, v128.load(at));
  for (; i < count; i++, at += 4) bits = largerMagnitude(bits, v128.load32_zero(at));
  return largestLane(bits);
}

/** Σ values² of `count` float32 at `at`, in four float64 lanes. */
export function squaredNorm(at: usize, count: i32): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  for (let i = 0; i < count; i += 4, at += 16) {
    const values = i + 4 <= count ? v128.load(at) : loadFirst(at, count - i);
    const first = f64x2.promote_low_f32x4(values);
    const last = f64x2.promote_low_f32x4(v128.shuffle<i32>(values, values, 2, 3, 0, 1));
    low = f64x2.add(low, f64x2.mul(first, first));
    high = f64x2.add(high, f64x2.mul(last, last));
  }
  return (
    f64x2.extract_lane(low, 0) +
    f64x2.extract_lane(low, 1) +
    (f64x2.extract_lane(high, 0) + f64x2.extract_lane(high, 1))
  );
}

/** The first 1 to 3 lanes; what lies behind them in memory is not read. */
function loadFirst(at: usize, count: i32): v128 {
  let values = v128.load32_zero(at);
  if (count > 1) values = f32x4.replace_lane(values, 1, load<f32>(at, 4));
  if (count > 2) values = f32x4.replace_lane(values, 2, load<f32>(at, 8));
  return values;
}

const LN2_HIGH: f64 = 0.6931471803691238;
const LN2_LOW: f64 = 1.9082149292705877e-10;
const SQRT_HALF: f64 = 0.7071067811865476;
const TWO_POW_54: f64 = 18014398509481984;

/** Writes −log(x), rounded to float32. It writes, so that the optimiser cannot call it in vain. */
export function storeMinusLog(at: usize, x: f64): void {
  store<f32>(at, <f32>-log(x));
}

/** Natural logarithm in float64. */
function log(argument: f64): f64 {
  let x = argument;
  if (!(x > 0)) return x == 0 ? -Infinity : NaN;
  if (x == Infinity) return x;
  let exponent = 0;
  if (x < 2.2250738585072014e-308) {
    x *= TWO_POW_54;
    exponent = -54;
  }
  const bits = reinterpret<i64>(x);
  exponent += <i32>(bits >> 52) - 1022;
  let mantissa = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3fe0000000000000);
  if (mantissa < SQRT_HALF) {
    mantissa *= 2;
    exponent -= 1;
  }
  const s = (mantissa - 1) / (mantissa + 1);
  const s2 = s * s;
  let series: f64 = 1.0 / 21.0;
  series = series * s2 + 1.0 / 19.0;
  series = series * s2 + 1.0 / 17.0;
  series = series * s2 + 1.0 / 15.0;
  series = series * s2 + 1.0 / 13.0;
  series = series * s2 + 1.0 / 11.0;
  series = series * s2 + 1.0 / 9.0;
  series = series * s2 + 1.0 / 7.0;
  series = series * s2 + 1.0 / 5.0;
  series = series * s2 + 1.0 / 3.0;
  return <f64>exponent * LN2_HIGH + (2 * s + (2 * s * s2 * series + <f64>exponent * LN2_LOW));
}
