/**
 * The fused step for networks whose whole second layer fits into registers: one panel of hidden units and at most
 * four outputs. Here not the arithmetic is dear but waiting for it, so nothing on the way from one sample to the
 * next goes through memory.
 */
import { plainlySafe } from './fused';
import { forwardHidden, lanesOfPanel, smallOutputDelta } from './forward';
import { ROUNDING_MARGIN, subtractPanel } from './outer-product';
import {
  activate,
  largerMagnitude,
  largestLane,
  largestMagnitude,
  sumsOfLanes,
  timesDerivative,
} from './vector';
import {
  D,
  H,
  IDENTITY,
  K,
  PANEL,
  RELU,
  VECTOR,
  bias1,
  bias2,
  hidden,
  hiddenActivation,
  hiddenMask0,
  hiddenMask1,
  hiddenMask2,
  hiddenMask3,
  learningRate,
  parameterBound,
  queueInputs,
  queueLosses,
  queueOutputs,
  queueTargets,
  weights1,
  weights2,
} from './layout';

@inline function lane0(values: v128): v128 {
  return v128.shuffle<f32>(values, values, 0, 0, 0, 0);
}

@inline function lane1(values: v128): v128 {
  return v128.shuffle<f32>(values, values, 1, 1, 1, 1);
}

@inline function lane2(values: v128): v128 {
  return v128.shuffle<f32>(values, values, 2, 2, 2, 2);
}

@inline function lane3(values: v128): v128 {
  return v128.shuffle<f32>(values, values, 3, 3, 3, 3);
}

/**
 * At most four inputs, hidden units and outputs: all weights stay in registers over all samples. Learns from sample
 * `first` of the queue on. @returns the first sample not learned
 */
export function learnTiny(first: i32, count: i32): i32 {
  const none = f32x4.splat(0);
  let u0 = v128.load(weights1);
  let u1 = D > 1 ? v128.load(weights1 + PANEL) : none;
  let u2 = D > 2 ? v128.load(weights1 + 2 * PANEL) : none;
  let u3 = D > 3 ? v128.load(weights1 + 3 * PANEL) : none;
  let b = v128.load(bias1);
  let v0 = v128.load(weights2);
  let v1 = K > 1 ? v128.load(weights2 + PANEL) : none;
  let v2 = K > 2 ? v128.load(weights2 + 2 * PANEL) : none;
  let v3 = K > 3 ? v128.load(weights2 + 3 * PANEL) : none;
  let c = v128.load(bias2);
  let bound = load<f64>(parameterBound);
  const rate = f32x4.splat(learningRate);
  const kind = hiddenActivation;
  const unbounded = kind == IDENTITY || kind == RELU;
  const bytesX = <usize>D << 2;
  let x = queueInputs + <usize>first * bytesX;
  let at = <usize>first * VECTOR;
  let x0 = v128.load32_splat(x);
  let x1 = D > 1 ? v128.load32_splat(x, 4) : none;
  let x2 = D > 2 ? v128.load32_splat(x, 8) : none;
  let x3 = D > 3 ? v128.load32_splat(x, 12) : none;
  let z = f32x4.add(b, f32x4.mul(u0, x0));
  if (D > 1) z = f32x4.add(z, f32x4.mul(u1, x1));
  if (D > 2) z = f32x4.add(z, f32x4.mul(u2, x2));
  if (D > 3) z = f32x4.add(z, f32x4.mul(u3, x3));
  let sample = first;
  for (; sample < count; sample++, at += VECTOR) {
    const h = v128.and(activate(kind, z), hiddenMask0);
    let p0 = f32x4.mul(v0, h);
    let p1 = f32x4.mul(v1, h);
    let p2 = f32x4.mul(v2, h);
    let p3 = f32x4.mul(v3, h);
    if (H == 4) {
      // The other vectors of the panel add +0, which shows when all four lanes are −0.
      p0 = f32x4.add(p0, none);
      p1 = f32x4.add(p1, none);
      p2 = f32x4.add(p2, none);
      p3 = f32x4.add(p3, none);
    }
    const lossAt = queueLosses + (<usize>sample << 2);
    const z2 = sumsOfLanes(p0, p1, p2, p3);
    const delta = smallOutputDelta(z2, c, queueOutputs + at, queueTargets + at, lossAt);
    let inputs = largerMagnitude(largerMagnitude(none, x0), x1);
    inputs = largerMagnitude(largerMagnitude(inputs, x2), x3);
    const largestX = max<f64>(1, largestLane(inputs));
    const largestH = unbounded ? max<f64>(1, largestLane(largerMagnitude(none, h))) : 1;
    if (!plainlySafe(bound, largestLane(largerMagnitude(none, delta)), largestX, largestH)) break;
    const toOutputs = f32x4.mul(rate, delta);
    let s = f32x4.mul(v0, lane0(delta));
    v0 = f32x4.sub(v0, f32x4.mul(lane0(toOutputs), h));
    if (K > 1) {
      s = f32x4.add(s, f32x4.mul(v1, lane1(delta)));
      v1 = f32x4.sub(v1, f32x4.mul(lane1(toOutputs), h));
    }
    if (K > 2) {
      s = f32x4.add(s, f32x4.mul(v2, lane2(delta)));
      v2 = f32x4.sub(v2, f32x4.mul(lane2(toOutputs), h));
    }
    if (K > 3) {
      s = f32x4.add(s, f32x4.mul(v3, lane3(delta)));
      v3 = f32x4.sub(v3, f32x4.mul(lane3(toOutputs), h));
    }
    c = f32x4.sub(c, toOutputs);
    const step = f32x4.mul(rate, timesDerivative(kind, s, h));
    if (sample + 1 < count) x += bytesX;
    b = f32x4.sub(b, step);
    u0 = f32x4.sub(u0, f32x4.mul(step, x0));
    x0 = v128.load32_splat(x);
    z = f32x4.add(b, f32x4.mul(u0, x0));
    if (D > 1) {
      u1 = f32x4.sub(u1, f32x4.mul(step, x1));
      x1 = v128.load32_splat(x, 4);
      z = f32x4.add(z, f32x4.mul(u1, x1));
    }
    if (D > 2) {
      u2 = f32x4.sub(u2, f32x4.mul(step, x2));
      x2 = v128.load32_splat(x, 8);
      z = f32x4.add(z, f32x4.mul(u2, x2));
    }
    if (D > 3) {
      u3 = f32x4.sub(u3, f32x4.mul(step, x3));
      x3 = v128.load32_splat(x, 12);
      z = f32x4.add(z, f32x4.mul(u3, x3));
    }
    const change1 = largestLane(largerMagnitude(none, step)) * largestX;
    const change2 = largestLane(largerMagnitude(none, toOutputs)) * largestH;
    bound = (bound + max<f64>(change1, change2)) * ROUNDING_MARGIN;
  }
  v128.store(weights1, u0);
  if (D > 1) v128.store(weights1 + PANEL, u1);
  if (D > 2) v128.store(weights1 + 2 * PANEL, u2);
  if (D > 3) v128.store(weights1 + 3 * PANEL, u3);
  v128.store(bias1, b);
  v128.store(weights2, v0);
  if (K > 1) v128.store(weights2 + PANEL, v1);
  if (K > 2) v128.store(weights2 + 2 * PANEL, v2);
  if (K > 3) v128.store(weights2 + 3 * PANEL, v3);
  v128.store(bias2, c);
  store<f64>(parameterBound, bound);
  return sample;
}

/**
 * One panel of hidden units and at most four outputs; the weights are in memory, all else in registers. Learns from
 * sample `first` of the queue on. @returns the first sample not learned
 */
export function learnSmall(first: i32, count: i32): i32 {
  const none = f32x4.splat(0);
  const rate = f32x4.splat(learningRate);
  const kind = hiddenActivation;
  const unbounded = kind == IDENTITY || kind == RELU;
  const bytesX = <usize>D << 2;
  const end = weights1 + (<usize>D * PANEL);
  let bound = load<f64>(parameterBound);
  let x = queueInputs + <usize>first * bytesX;
  let at = <usize>first * VECTOR;
  forwardHidden(x, hidden, PANEL);
  let h0 = v128.load(hidden, 0);
  let h1 = v128.load(hidden, 16);
  let h2 = v128.load(hidden, 32);
  let h3 = v128.load(hidden, 48);
  let sample = first;
  for (; sample < count; sample++, at += VECTOR) {
    const p0 = lanesOfPanel(weights2, h0, h1, h2, h3);
    const p1 = K > 1 ? lanesOfPanel(weights2 + PANEL, h0, h1, h2, h3) : none;
    const p2 = K > 2 ? lanesOfPanel(weights2 + 2 * PANEL, h0, h1, h2, h3) : none;
    const p3 = K > 3 ? lanesOfPanel(weights2 + 3 * PANEL, h0, h1, h2, h3) : none;
    const lossAt = queueLosses + (<usize>sample << 2);
    const bias = v128.load(bias2);
    const z = sumsOfLanes(p0, p1, p2, p3);
    const delta = smallOutputDelta(z, bias, queueOutputs + at, queueTargets + at, lossAt);
    const largestX = max<f64>(1, largestMagnitude(x, D));
    let largestH: f64 = 1;
    if (unbounded) {
      const bits = largerMagnitude(largerMagnitude(none, h0), h1);
      largestH = max<f64>(1, largestLane(largerMagnitude(largerMagnitude(bits, h2), h3)));
    }
    if (!plainlySafe(bound, largestLane(largerMagnitude(none, delta)), largestX, largestH)) break;
    const toOutputs = f32x4.mul(rate, delta);
    v128.store(bias2, f32x4.sub(bias, toOutputs));
    let splatted = lane0(delta);
    let s0 = f32x4.mul(v128.load(weights2, 0), splatted);
    let s1 = f32x4.mul(v128.load(weights2, 16), splatted);
    let s2 = f32x4.mul(v128.load(weights2, 32), splatted);
    let s3 = f32x4.mul(v128.load(weights2, 48), splatted);
    subtractPanel(weights2, h0, h1, h2, h3, lane0(toOutputs));
    if (K > 1) {
      splatted = lane1(delta);
      s0 = f32x4.add(s0, f32x4.mul(v128.load(weights2, 64), splatted));
      s1 = f32x4.add(s1, f32x4.mul(v128.load(weights2, 80), splatted));
      s2 = f32x4.add(s2, f32x4.mul(v128.load(weights2, 96), splatted));
      s3 = f32x4.add(s3, f32x4.mul(v128.load(weights2, 112), splatted));
      subtractPanel(weights2 + PANEL, h0, h1, h2, h3, lane1(toOutputs));
    }
    if (K > 2) {
      splatted = lane2(delta);
      s0 = f32x4.add(s0, f32x4.mul(v128.load(weights2, 128), splatted));
      s1 = f32x4.add(s1, f32x4.mul(v128.load(weights2, 144), splatted));
      s2 = f32x4.add(s2, f32x4.mul(v128.load(weights2, 160), splatted));
      s3 = f32x4.add(s3, f32x4.mul(v128.load(weights2, 176), splatted));
      subtractPanel(weights2 + 2 * PANEL, h0, h1, h2, h3, lane2(toOutputs));
    }
    if (K > 3) {
      splatted = lane3(delta);
      s0 = f32x4.add(s0, f32x4.mul(v128.load(weights2, 192), splatted));
      s1 = f32x4.add(s1, f32x4.mul(v128.load(weights2, 208), splatted));
      s2 = f32x4.add(s2, f32x4.mul(v128.load(weights2, 224), splatted));
      s3 = f32x4.add(s3, f32x4.mul(v128.load(weights2, 240), splatted));
      subtractPanel(weights2 + 3 * PANEL, h0, h1, h2, h3, lane3(toOutputs));
    }
    s0 = f32x4.mul(rate, timesDerivative(kind, s0, h0));
    s1 = f32x4.mul(rate, timesDerivative(kind, s1, h1));
    s2 = f32x4.mul(rate, timesDerivative(kind, s2, h2));
    s3 = f32x4.mul(rate, timesDerivative(kind, s3, h3));
    h0 = f32x4.sub(v128.load(bias1, 0), s0);
    h1 = f32x4.sub(v128.load(bias1, 16), s1);
    h2 = f32x4.sub(v128.load(bias1, 32), s2);
    h3 = f32x4.sub(v128.load(bias1, 48), s3);
    v128.store(bias1, h0, 0);
    v128.store(bias1, h1, 16);
    v128.store(bias1, h2, 32);
    v128.store(bias1, h3, 48);
    const toNext: usize = sample + 1 < count ? bytesX : 0; // after the last one hidden is scratch
    for (let w = weights1, from = x; w < end; w += PANEL, from += 4) {
      const before = v128.load32_splat(from);
      const after = v128.load32_splat(from + toNext);
      let weight = f32x4.sub(v128.load(w, 0), f32x4.mul(s0, before));
      v128.store(w, weight, 0);
      h0 = f32x4.add(h0, f32x4.mul(weight, after));
      weight = f32x4.sub(v128.load(w, 16), f32x4.mul(s1, before));
      v128.store(w, weight, 16);
      h1 = f32x4.add(h1, f32x4.mul(weight, after));
      weight = f32x4.sub(v128.load(w, 32), f32x4.mul(s2, before));
      v128.store(w, weight, 32);
      h2 = f32x4.add(h2, f32x4.mul(weight, after));
      weight = f32x4.sub(v128.load(w, 48), f32x4.mul(s3, before));
      v128.store(w, weight, 48);
      h3 = f32x4.add(h3, f32x4.mul(weight, after));
    }
    x += toNext;
    h0 = v128.and(activate(kind, h0), hiddenMask0);
    h1 = v128.and(activate(kind, h1), hiddenMask1);
    h2 = v128.and(activate(kind, h2), hiddenMask2);
    h3 = v128.and(activate(kind, h3), hiddenMask3);
    const steps = largerMagnitude(largerMagnitude(largerMagnitude(largerMagnitude(none, s0), s1), s2), s3);
    const change2 = largestLane(largerMagnitude(none, toOutputs)) * largestH;
    bound = (bound + max<f64>(largestLane(steps) * largestX, change2)) * ROUNDING_MARGIN;
  }
  store<f64>(parameterBound, bound);
  return sample;
}
