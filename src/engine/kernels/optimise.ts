/**
 * One step of SGD, momentum or Adam by a gradient that is written down. Flat loops over all parameters; the places
 * are taken into locals first, since a global is loaded anew in every round.
 */
import { ROUNDING_MARGIN, SAFE_BOUND, clippingScale } from './outer-product';
import { agree, agreedFirst, agreedSecond, leads, workers } from './team';
import { largerMagnitude, largestLane, squaredNorm } from './vector';
import {
  ADAM,
  K,
  MOMENTUM,
  P,
  PANEL,
  SGD,
  VECTOR,
  biasCorrections,
  clipNorm,
  clipValue,
  endPanel,
  firstPanel,
  gradient,
  learningRate,
  moment1,
  moment2,
  momentBounds,
  momentum,
  optimiser,
  outputVectors,
  parameterBound,
  rowStride,
  weights1,
  weights1Stride,
} from './layout';

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f32 = 1e-8;

/** What one step multiplies by, the same for every parameter. */
let scale: f32 = 1;
let stepSize: f32 = 0;
let inverseRoot: f32 = 1;
let correction1: f64 = 0;
let correction2: f64 = 0;

/** The largest |parameter| and |moments| that a pass without writing found. */
let largestParameter: f64 = 0;
let largestMoment1: f64 = 0;
let largestMoment2: f64 = 0;

function parameterBytes(): usize {
  return <usize>P * weights1Stride + <usize>(K + 1) * rowStride + <usize>outputVectors * VECTOR;
}

/**
 * @param ownLargest the largest |component| of this worker's gradient before clipping by value
 * @returns 1, or 0 if the step was skipped
 */
export function learnGradient(ownLargest: f64): i32 {
  agree(ownLargest, 0);
  const largest = agreedFirst;
  if (!(largest < Infinity)) return 0;
  // The norm has one order over all parameters: every worker of a team computes the whole of it.
  scale = clipNorm == Infinity ? 1 : clippingScale(squaredNorm(gradient, <i32>(parameterBytes() >> 2)));
  setFactors();
  if (!staysFinite(min<f64>(largest, <f64>clipValue))) return 0;
  apply(true);
  if (optimiser == ADAM) {
    store<f64>(biasCorrections, correction1, 0);
    store<f64>(biasCorrections, correction2, 8);
  }
  return 1;
}

function setFactors(): void {
  stepSize = learningRate;
  if (optimiser != ADAM) return;
  correction1 = BETA1 * load<f64>(biasCorrections, 0) + (1 - BETA1);
  correction2 = BETA2 * load<f64>(biasCorrections, 8) + (1 - BETA2);
  stepSize = <f32>(<f64>learningRate / correction1);
  inverseRoot = <f32>(1 / sqrt<f64>(correction2));
}

function staysFinite(largest: f64): bool {
  let first: f64 = 0;
  let second: f64 = 0;
  let change = <f64>stepSize * largest;
  if (optimiser == MOMENTUM) {
    first = (<f64>momentum * load<f64>(momentBounds, 0) + largest) * ROUNDING_MARGIN;
    change = <f64>stepSize * first;
  } else if (optimiser == ADAM) {
    const fresh = <f64>(<f32>(1 - BETA1)) * largest;
    first = (<f64>(<f32>BETA1) * load<f64>(momentBounds, 0) + fresh) * ROUNDING_MARGIN;
    const freshSquare = <f64>(<f32>(1 - BETA2)) * largest * largest;
    second = (<f64>(<f32>BETA2) * load<f64>(momentBounds, 8) + freshSquare) * ROUNDING_MARGIN;
    change = (<f64>stepSize * first) / <f64>EPSILON;
  }
  const bound = (load<f64>(parameterBound) + change) * ROUNDING_MARGIN;
  if (bound <= SAFE_BOUND && first <= SAFE_BOUND && second <= SAFE_BOUND) {
    setBounds(bound, first, second);
    return true;
  }
  largestParameter = 0;
  largestMoment1 = 0;
  largestMoment2 = 0;
  apply(false);
  agree(largestParameter, largestMoment1);
  const parameter = agreedFirst;
  const moment = agreedSecond;
  agree(largestMoment2, 0);
  if (!(parameter < Infinity && moment < Infinity && agreedFirst < Infinity)) return false;
  setBounds(max<f64>(1, parameter), moment, agreedFirst);
  return true;
}

/** The parameters of this worker: all of them, or of its panels, and bias2 if it leads. */
function apply(write: bool): void {
  if (workers == 1) return applyRange(0, parameterBytes(), write);
  const first = <usize>firstPanel;
  const end = <usize>endPanel;
  applyRange(first * weights1Stride, end * weights1Stride, write);
  let row = <usize>P * weights1Stride; // bias1, then the rows of weights2, are cut alike
  for (let k = 0; k <= K; k++, row += rowStride) applyRange(row + first * PANEL, row + end * PANEL, write);
  if (leads) applyRange(row, parameterBytes(), write);
}

function applyRange(from: usize, to: usize, write: bool): void {
  if (optimiser == SGD) {
    if (write) applySgd(from, to, true);
    else applySgd(from, to, false);
  } else if (optimiser == MOMENTUM) {
    if (write) applyMomentum(from, to, true);
    else applyMomentum(from, to, false);
  } else {
    if (write) applyAdam(from, to, true);
    else applyAdam(from, to, false);
  }
}

function setBounds(parameter: f64, first: f64, second: f64): void {
  store<f64>(parameterBound, parameter);
  store<f64>(momentBounds, first, 0);
  store<f64>(momentBounds, second, 8);
}

@inline function applySgd(from: usize, to: usize, write: bool): void {
  const gradientAt = gradient;
  const parametersAt = weights1;
  const factor = f32x4.splat(scale);
  const step = f32x4.splat(stepSize);
  let largest = i32x4.splat(0);
  for (let at = from; at < to; at += VECTOR) {
    const component = f32x4.mul(v128.load(gradientAt + at), factor);
    const parameter = f32x4.sub(v128.load(parametersAt + at), f32x4.mul(step, component));
    if (write) v128.store(parametersAt + at, parameter);
    else largest = largerMagnitude(largest, parameter);
  }
  if (!write) largestParameter = max<f64>(largestParameter, largestLane(largest));
}

@inline function applyMomentum(from: usize, to: usize, write: bool): void {
  const gradientAt = gradient;
  const parametersAt = weights1;
  const velocityAt = moment1;
  const factor = f32x4.splat(scale);
  const step = f32x4.splat(stepSize);
  const keep = f32x4.splat(momentum);
  let largest = i32x4.splat(0);
  let largestVelocity = i32x4.splat(0);
  for (let at = from; at < to; at += VECTOR) {
    const component = f32x4.mul(v128.load(gradientAt + at), factor);
    const velocity = f32x4.add(f32x4.mul(keep, v128.load(velocityAt + at)), component);
    const parameter = f32x4.sub(v128.load(parametersAt + at), f32x4.mul(step, velocity));
    if (write) {
      v128.store(velocityAt + at, velocity);
      v128.store(parametersAt + at, parameter);
    } else {
      largest = largerMagnitude(largest, parameter);
      largestVelocity = largerMagnitude(largestVelocity, velocity);
    }
  }
  if (write) return;
  largestParameter = max<f64>(largestParameter, largestLane(largest));
  largestMoment1 = max<f64>(largestMoment1, largestLane(largestVelocity));
}

@inline function applyAdam(from: usize, to: usize, write: bool): void {
  const gradientAt = gradient;
  const parametersAt = weights1;
  const meanAt = moment1;
  const squareAt = moment2;
  const factor = f32x4.splat(scale);
  const step = f32x4.splat(stepSize);
  const inverse = f32x4.splat(inverseRoot);
  const keep1 = f32x4.splat(<f32>BETA1);
  const keep2 = f32x4.splat(<f32>BETA2);
  const add1 = f32x4.splat(<f32>(1 - BETA1));
  const add2 = f32x4.splat(<f32>(1 - BETA2));
  let largest = i32x4.splat(0);
  let largestMean = i32x4.splat(0);
  let largestSquare = i32x4.splat(0);
  for (let at = from; at < to; at += VECTOR) {
    const component = f32x4.mul(v128.load(gradientAt + at), factor);
    const mean = f32x4.add(f32x4.mul(keep1, v128.load(meanAt + at)), f32x4.mul(add1, component));
    const fresh = f32x4.mul(f32x4.mul(add2, component), component);
    const square = f32x4.add(f32x4.mul(keep2, v128.load(squareAt + at)), fresh);
    const root = f32x4.add(f32x4.mul(f32x4.sqrt(square), inverse), f32x4.splat(EPSILON));
    const change = f32x4.div(f32x4.mul(step, mean), root);
    const parameter = f32x4.sub(v128.load(parametersAt + at), change);
    if (write) {
      v128.store(meanAt + at, mean);
      v128.store(squareAt + at, square);
      v128.store(parametersAt + at, parameter);
    } else {
      largest = largerMagnitude(largest, parameter);
      largestMean = largerMagnitude(largestMean, mean);
      largestSquare = largerMagnitude(largestSquare, square);
    }
  }
  if (write) return;
  largestParameter = max<f64>(largestParameter, largestLane(largest));
  largestMoment1 = max<f64>(largestMoment1, largestLane(largestMean));
  largestMoment2 = max<f64>(largestMoment2, largestLane(largestSquare));
}
