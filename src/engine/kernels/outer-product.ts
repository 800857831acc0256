/** Plain SGD on one sample by itself: the gradient is an outer product and is never written down. */
import { hiddenDelta } from './gradient';
import { largerMagnitude, largestLane, largestMagnitude, squaredNorm } from './vector';
import {
  D,
  IDENTITY,
  K,
  P,
  PANEL,
  RELU,
  VECTOR,
  bias1,
  bias2,
  clipNorm,
  delta1,
  delta2,
  hidden,
  hiddenActivation,
  learningRate,
  outputVectors,
  parameterBound,
  rowStride,
  step1,
  step2,
  weights1,
  weights1Stride,
  weights2,
} from './layout';

/** As in src/engine/reference.ts. */
export const SAFE_BOUND: f64 = 1e38;
export const ROUNDING_MARGIN: f64 = 1.00000095367431640625;

/** max(1, |h|): of the sigmoid and tanh it is known. */
export function largestHidden(): f64 {
  if (hiddenActivation != IDENTITY && hiddenActivation != RELU) return 1;
  return max<f64>(1, largestMagnitude(hidden, P * 16));
}

/** Learns the sample at x, for which hidden and delta2 are computed. @returns 1, or 0 if the step was skipped */
export function learn(x: usize): i32 {
  hiddenDelta(hidden, PANEL, delta2, delta1);
  const scale = clippingScaleOf(x);
  return takeStep(x, learningRate, scale);
}

/** deltas *= scale, then the update at the rate given. @returns 1, or 0 if the step was skipped */
export function takeStep(x: usize, rate: f32, scale: f32): i32 {
  const largest1 = scaleSteps(delta1, step1, <usize>P * PANEL, rate, scale);
  const largest2 = scaleSteps(delta2, step2, <usize>outputVectors * VECTOR, rate, scale);
  if (!staysFinite(x, largest1, largest2)) return 0;
  updateHidden(x);
  updateOutputs();
  return 1;
}

/** The same of layer 1 alone, for a linear model. */
export function takeLinearStep(x: usize, rate: f32): i32 {
  const largest1 = scaleSteps(delta1, step1, <usize>P * PANEL, rate, 1);
  if (!raiseBound(largest1 * max<f64>(1, largestMagnitude(x, D)))) {
    if (!startBound(largestLane(largestAfterUpdate1(x, i32x4.splat(0))))) return 0;
  }
  updateHidden(x);
  return 1;
}

function clippingScaleOf(x: usize): f32 {
  if (clipNorm == Infinity) return 1;
  const squared1 = squaredNorm(delta1, P * 16) * (1 + squaredNorm(x, D));
  const squared2 = squaredNorm(delta2, outputVectors * 4) * (1 + squaredNorm(hidden, P * 16));
  return clippingScale(squared1 + squared2);
}

/** What brings a gradient of this squared norm down to clipNorm; 1 if it is below. */
export function clippingScale(squared: f64): f32 {
  const norm = sqrt<f64>(squared);
  return norm > clipNorm ? <f32>(clipNorm / norm) : 1;
}

/** delta *= scale, step = rate·delta. @returns the largest |step| */
function scaleSteps(delta: usize, step: usize, size: usize, rate: f32, scale: f32): f64 {
  let largest = i32x4.splat(0);
  for (let at: usize = 0; at < size; at += VECTOR) {
    const clipped = f32x4.mul(v128.load(delta + at), f32x4.splat(scale));
    const scaled = f32x4.mul(f32x4.splat(rate), clipped);
    v128.store(delta + at, clipped);
    v128.store(step + at, scaled);
    largest = largerMagnitude(largest, scaled);
  }
  return largestLane(largest);
}

function staysFinite(x: usize, largest1: f64, largest2: f64): bool {
  const change1 = largest1 * max<f64>(1, largestMagnitude(x, D));
  const change2 = largest2 * largestHidden();
  if (raiseBound(max<f64>(change1, change2))) return true;
  return startBound(largestLane(largestAfterUpdate2(largestAfterUpdate1(x, i32x4.splat(0)))));
}

/** As in src/engine/reference.ts. */
function raiseBound(change: f64): bool {
  const bound = (load<f64>(parameterBound) + change) * ROUNDING_MARGIN;
  if (!(bound <= SAFE_BOUND)) return false;
  store<f64>(parameterBound, bound);
  return true;
}

function startBound(largest: f64): bool {
  if (!(largest < Infinity)) return false;
  store<f64>(parameterBound, max<f64>(1, largest));
  return true;
}

/** `largest` with the |parameters| of layer 1 that the update would leave. */
function largestAfterUpdate1(x: usize, largest: v128): v128 {
  const size = <usize>P * PANEL;
  for (let at: usize = 0; at < size; at += VECTOR) {
    const step = v128.load(step1 + at);
    largest = largerMagnitude(largest, f32x4.sub(v128.load(bias1 + at), step));
    let w = weights1 + (at / PANEL) * weights1Stride + (at % PANEL);
    for (let d = 0; d < D; d++, w += PANEL) {
      const change = f32x4.mul(step, v128.load32_splat(x + (<usize>d << 2)));
      largest = largerMagnitude(largest, f32x4.sub(v128.load(w), change));
    }
  }
  return largest;
}

/** The same of layer 2. */
function largestAfterUpdate2(largest: v128): v128 {
  const size = <usize>P * PANEL;
  let w = weights2;
  for (let k = 0; k < K; k++, w += rowStride) {
    const step = v128.load32_splat(step2 + (<usize>k << 2));
    largest = largerMagnitude(largest, f32x4.sub(v128.load32_splat(bias2 + (<usize>k << 2)), step));
    for (let at: usize = 0; at < size; at += VECTOR) {
      const change = f32x4.mul(step, v128.load(hidden + at));
      largest = largerMagnitude(largest, f32x4.sub(v128.load(w + at), change));
    }
  }
  return largest;
}

/** W1 −= step1·xᵀ, b1 −= step1 */
function updateHidden(x: usize): void {
  for (let panel = 0; panel < P; panel++) {
    const at = <usize>panel * PANEL;
    const s0 = v128.load(step1 + at, 0);
    const s1 = v128.load(step1 + at, 16);
    const s2 = v128.load(step1 + at, 32);
    const s3 = v128.load(step1 + at, 48);
    subtractPanel(bias1 + at, s0, s1, s2, s3, f32x4.splat(1));
    let w = weights1 + <usize>panel * weights1Stride;
    const end = w + weights1Stride;
    for (let from = x; w < end; w += PANEL, from += 4) {
      subtractPanel(w, s0, s1, s2, s3, v128.load32_splat(from));
    }
  }
}

/** W2 −= step2·hᵀ, b2 −= step2 */
function updateOutputs(): void {
  for (let panel = 0; panel < P; panel++) {
    const at = <usize>panel * PANEL;
    const h0 = v128.load(hidden + at, 0);
    const h1 = v128.load(hidden + at, 16);
    const h2 = v128.load(hidden + at, 32);
    const h3 = v128.load(hidden + at, 48);
    let w = weights2 + at;
    for (let k = 0; k < K; k++, w += rowStride) {
      subtractPanel(w, h0, h1, h2, h3, v128.load32_splat(step2 + (<usize>k << 2)));
    }
  }
  const end = <usize>outputVectors * VECTOR;
  for (let at: usize = 0; at < end; at += VECTOR) {
    v128.store(bias2 + at, f32x4.sub(v128.load(bias2 + at), v128.load(step2 + at)));
  }
}

/** The panel at `w` −= s·factor */
@inline export function subtractPanel(w: usize, s0: v128, s1: v128, s2: v128, s3: v128, factor: v128): void {
  v128.store(w, f32x4.sub(v128.load(w, 0), f32x4.mul(s0, factor)), 0);
  v128.store(w, f32x4.sub(v128.load(w, 16), f32x4.mul(s1, factor)), 16);
  v128.store(w, f32x4.sub(v128.load(w, 32), f32x4.mul(s2, factor)), 32);
  v128.store(w, f32x4.sub(v128.load(w, 48), f32x4.mul(s3, factor)), 48);
}
