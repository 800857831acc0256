/**
 * Plain SGD over queued samples: one pass over the weights updates them for one sample and computes the hidden units
 * of the next. Only while steps are harmless by a wide margin; src/engine/kernels/outer-product.ts takes the others.
 */
import { activatePanel, forwardHidden, forwardOutputs, outputDelta } from './forward';
import { ROUNDING_MARGIN, largestHidden } from './outer-product';
import { largerMagnitude, largestLane, largestMagnitude, timesDerivative } from './vector';
import {
  D,
  K,
  PANEL,
  VECTOR,
  bias1,
  bias2,
  delta2,
  endPanel,
  firstPanel,
  hidden,
  hiddenActivation,
  learningRate,
  outputVectors,
  parameterBound,
  queueInputs,
  queueLosses,
  queueOutputs,
  queueTargets,
  rowStride,
  step2,
  weights1,
  weights1Stride,
  weights2,
} from './layout';

/**
 * When the step is known to be harmless from the deltas of the outputs alone, updating can begin before the deltas
 * of the hidden units are known. Far below SAFE_BOUND, so that rounding is no matter, and whether this or the exact
 * bound decides makes no difference to the result.
 */
const PLAINLY_SAFE: f64 = 1e36;

/** @returns whether no sum or product of the step can come near overflow; false if anything is NaN */
@inline export function plainlySafe(bound: f64, largestDelta2: f64, largestX: f64, largestH: f64): bool {
  const delta = largestDelta2 * max<f64>(1, <f64>learningRate);
  return bound + delta * (<f64>K * bound * largestX + largestH) <= PLAINLY_SAFE;
}

/** Learns from sample `first` of the queue on. @returns the first sample not learned */
export function learnFused(first: i32, count: i32): i32 {
  const bytesX = <usize>D << 2;
  const bytesY = <usize>outputVectors * VECTOR;
  let x = queueInputs + <usize>first * bytesX;
  let at = <usize>first * bytesY;
  forwardHidden(x, hidden, PANEL);
  for (let sample = first; sample < count; sample++, x += bytesX, at += bytesY) {
    forwardOutputs(hidden, PANEL, queueOutputs + at);
    const lossAt = queueLosses + (<usize>sample << 2);
    const delta = largestLane(outputDelta(queueOutputs + at, queueTargets + at, delta2, lossAt));
    const bound = load<f64>(parameterBound);
    const largestX = max<f64>(1, largestMagnitude(x, D));
    const largestH = largestHidden();
    if (!plainlySafe(bound, delta, largestX, largestH)) return sample;
    const change2 = updateOutputBias(bias2) * largestH;
    const next = sample + 1 < count ? x + bytesX : x; // after the last one hidden is scratch
    const change1 = learnPanels(x, next) * largestX;
    store<f64>(parameterBound, (bound + max<f64>(change1, change2)) * ROUNDING_MARGIN);
  }
  return count;
}

/** step2 = η·delta2, bias −= step2. @returns the largest |step2| */
export function updateOutputBias(bias: usize): f64 {
  let largest = i32x4.splat(0);
  const end = <usize>outputVectors * VECTOR;
  for (let at: usize = 0; at < end; at += VECTOR) {
    const step = f32x4.mul(f32x4.splat(learningRate), v128.load(delta2 + at));
    v128.store(step2 + at, step);
    v128.store(bias + at, f32x4.sub(v128.load(bias + at), step));
    largest = largerMagnitude(largest, step);
  }
  return largestLane(largest);
}

/** Panel by panel: BP2 while weights2 is updated, then weights1 updated while it is applied to `next`. */
export function learnPanels(x: usize, next: usize): f64 {
  const rate = f32x4.splat(learningRate);
  const kind = hiddenActivation;
  let largest = i32x4.splat(0);
  for (let panel = firstPanel; panel < endPanel; panel++) {
    const at = <usize>panel * PANEL;
    const h = hidden + at;
    const h0 = v128.load(h, 0);
    const h1 = v128.load(h, 16);
    const h2 = v128.load(h, 32);
    const h3 = v128.load(h, 48);
    let v = weights2 + at;
    let step = v128.load32_splat(step2);
    let delta = v128.load32_splat(delta2);
    let weight = v128.load(v, 0);
    let s0 = f32x4.mul(weight, delta);
    v128.store(v, f32x4.sub(weight, f32x4.mul(step, h0)), 0);
    weight = v128.load(v, 16);
    let s1 = f32x4.mul(weight, delta);
    v128.store(v, f32x4.sub(weight, f32x4.mul(step, h1)), 16);
    weight = v128.load(v, 32);
    let s2 = f32x4.mul(weight, delta);
    v128.store(v, f32x4.sub(weight, f32x4.mul(step, h2)), 32);
    weight = v128.load(v, 48);
    let s3 = f32x4.mul(weight, delta);
    v128.store(v, f32x4.sub(weight, f32x4.mul(step, h3)), 48);
    const lastDelta = delta2 + (<usize>(K - 1) << 2);
    const toStep = step2 - delta2;
    for (let k = delta2; k < lastDelta; ) {
      k += 4;
      v += rowStride;
      delta = v128.load32_splat(k);
      step = v128.load32_splat(k + toStep);
      weight = v128.load(v, 0);
      s0 = f32x4.add(s0, f32x4.mul(weight, delta));
      v128.store(v, f32x4.sub(weight, f32x4.mul(step, h0)), 0);
      weight = v128.load(v, 16);
      s1 = f32x4.add(s1, f32x4.mul(weight, delta));
      v128.store(v, f32x4.sub(weight, f32x4.mul(step, h1)), 16);
      weight = v128.load(v, 32);
      s2 = f32x4.add(s2, f32x4.mul(weight, delta));
      v128.store(v, f32x4.sub(weight, f32x4.mul(step, h2)), 32);
      weight = v128.load(v, 48);
      s3 = f32x4.add(s3, f32x4.mul(weight, delta));
      v128.store(v, f32x4.sub(weight, f32x4.mul(step, h3)), 48);
    }
    s0 = f32x4.mul(rate, timesDerivative(kind, s0, h0)); // now η·delta1
    s1 = f32x4.mul(rate, timesDerivative(kind, s1, h1));
    s2 = f32x4.mul(rate, timesDerivative(kind, s2, h2));
    s3 = f32x4.mul(rate, timesDerivative(kind, s3, h3));
    largest = largerMagnitude(largerMagnitude(largest, s0), s1);
    largest = largerMagnitude(largerMagnitude(largest, s2), s3);
    const b = bias1 + at;
    let z0 = f32x4.sub(v128.load(b, 0), s0);
    let z1 = f32x4.sub(v128.load(b, 16), s1);
    let z2 = f32x4.sub(v128.load(b, 32), s2);
    let z3 = f32x4.sub(v128.load(b, 48), s3);
    v128.store(b, z0, 0);
    v128.store(b, z1, 16);
    v128.store(b, z2, 32);
    v128.store(b, z3, 48);
    let w = weights1 + <usize>panel * weights1Stride;
    const end = w + weights1Stride;
    const toNext = next - x;
    for (let from = x; w < end; w += PANEL, from += 4) {
      const before = v128.load32_splat(from);
      const after = v128.load32_splat(from + toNext);
      weight = f32x4.sub(v128.load(w, 0), f32x4.mul(s0, before));
      v128.store(w, weight, 0);
      z0 = f32x4.add(z0, f32x4.mul(weight, after));
      weight = f32x4.sub(v128.load(w, 16), f32x4.mul(s1, before));
      v128.store(w, weight, 16);
      z1 = f32x4.add(z1, f32x4.mul(weight, after));
      weight = f32x4.sub(v128.load(w, 32), f32x4.mul(s2, before));
      v128.store(w, weight, 32);
      z2 = f32x4.add(z2, f32x4.mul(weight, after));
      weight = f32x4.sub(v128.load(w, 48), f32x4.mul(s3, before));
      v128.store(w, weight, 48);
      z3 = f32x4.add(z3, f32x4.mul(weight, after));
    }
    activatePanel(panel, h, z0, z1, z2, z3);
  }
  return largestLane(largest);
}
