/** BP2, and the gradient of a batch written down in the layout of the parameters. */
import { leads } from './team';
import { largerMagnitude, largestLane, timesDerivative } from './vector';
import {
  D,
  K,
  P,
  PANEL,
  VECTOR,
  clipValue,
  endPanel,
  firstPanel,
  gradient,
  hiddenActivation,
  hiddenMask0,
  hiddenMask1,
  hiddenMask2,
  hiddenMask3,
  outputVectors,
  rowStride,
  weightDecay,
  weights1,
  weights1Stride,
  weights2,
} from './layout';

/** BP2 of one sample: delta1 = (W2ᵀ·delta2) ⊙ f'(z1); `stride` bytes from panel to panel of h and delta1. */
export function hiddenDelta(hidden: usize, stride: usize, delta2: usize, delta1: usize): void {
  const kind = hiddenActivation;
  let h = hidden + <usize>firstPanel * stride;
  let to = delta1 + <usize>firstPanel * stride;
  const last = delta2 + (<usize>(K - 1) << 2);
  for (let panel = firstPanel; panel < endPanel; panel++, h += stride, to += stride) {
    let w = weights2 + <usize>panel * PANEL;
    let delta = v128.load32_splat(delta2);
    let s0 = f32x4.mul(v128.load(w, 0), delta);
    let s1 = f32x4.mul(v128.load(w, 16), delta);
    let s2 = f32x4.mul(v128.load(w, 32), delta);
    let s3 = f32x4.mul(v128.load(w, 48), delta);
    for (let k = delta2; k < last; ) {
      k += 4;
      w += rowStride;
      delta = v128.load32_splat(k);
      s0 = f32x4.add(s0, f32x4.mul(v128.load(w, 0), delta));
      s1 = f32x4.add(s1, f32x4.mul(v128.load(w, 16), delta));
      s2 = f32x4.add(s2, f32x4.mul(v128.load(w, 32), delta));
      s3 = f32x4.add(s3, f32x4.mul(v128.load(w, 48), delta));
    }
    s0 = timesDerivative(kind, s0, v128.load(h, 0));
    s1 = timesDerivative(kind, s1, v128.load(h, 16));
    s2 = timesDerivative(kind, s2, v128.load(h, 32));
    s3 = timesDerivative(kind, s3, v128.load(h, 48));
    const isLast = panel == P - 1;
    v128.store(to, isLast ? v128.and(s0, hiddenMask0) : s0, 0);
    v128.store(to, isLast ? v128.and(s1, hiddenMask1) : s1, 16);
    v128.store(to, isLast ? v128.and(s2, hiddenMask2) : s2, 32);
    v128.store(to, isLast ? v128.and(s3, hiddenMask3) : s3, 48);
  }
}

/** What becomes of a sum of gradients: mean, weight decay, clipping by value. Set once per batch. */
let divisor: v128 = f32x4.splat(1);
/** One sample, no decay and no clipping: nothing becomes of it. */
let asItIs: bool = true;
let largest: v128 = i32x4.splat(0);

/**
 * Finishes and stores one vector of the gradient; `offset` is its place in the parameters, too.
 * @returns what `largerMagnitude` made of `bits` and the components before clipping
 */
@inline function finish(sum: v128, offset: usize, bits: v128): v128 {
  let component = f32x4.div(sum, divisor);
  if (weightDecay != 0) {
    const decay = f32x4.mul(f32x4.splat(weightDecay), v128.load(weights1 + offset));
    component = f32x4.add(component, decay);
  }
  const clipped = f32x4.pmin(f32x4.pmax(component, f32x4.splat(-clipValue)), f32x4.splat(clipValue));
  v128.store(gradient + offset, clipped);
  return largerMagnitude(bits, component);
}

@inline function storeAsItIs(component: v128, offset: usize, bits: v128): v128 {
  v128.store(gradient + offset, component);
  return largerMagnitude(bits, component);
}

@inline function finishVector(sum: v128, offset: usize): void {
  largest = finish(sum, offset, largest);
}

/** Four vectors at once, so that `largest`, a global, is not in the way between them. */
function finishPanel(p: v128, q: v128, r: v128, s: v128, offset: usize): void {
  let bits = i32x4.splat(0);
  if (asItIs) {
    bits = storeAsItIs(q, offset + 16, storeAsItIs(p, offset, bits));
    bits = storeAsItIs(s, offset + 48, storeAsItIs(r, offset + 32, bits));
  } else {
    bits = finish(q, offset + 16, finish(p, offset, bits));
    bits = finish(s, offset + 48, finish(r, offset + 32, bits));
  }
  largest = i32x4.max_s(largest, bits);
}

/**
 * BP3 and BP4: the gradient of `count` samples, whose inputs lie one after the other at x, whose hidden and delta1
 * panels lie side by side, `stride` bytes from panel to panel, and whose delta2 lie one after the other.
 * Only of this instance's panels, and of bias2 if it leads.
 * @returns the largest |component| before clipping by value; NaN if there is one
 */
export function gradientOf(
  count: i32,
  x: usize,
  hidden: usize,
  delta1: usize,
  stride: usize,
  delta2: usize,
): f64 {
  divisor = f32x4.splat(<f32>count);
  asItIs = count == 1 && weightDecay == 0 && clipValue == Infinity;
  largest = i32x4.splat(0);
  const bytesX = <usize>D << 2;
  const bytesDelta2 = <usize>outputVectors * VECTOR;
  for (let panel = firstPanel; panel < endPanel; panel++) {
    const at = <usize>panel * stride;
    outerProducts(count, D, x, bytesX, delta1 + at, <usize>panel * weights1Stride, PANEL);
  }
  let offset = <usize>P * weights1Stride;
  for (let panel = firstPanel; panel < endPanel; panel++) {
    const from = delta1 + <usize>panel * stride;
    const at = offset + <usize>panel * PANEL;
    for (let i: usize = 0; i < PANEL; i += VECTOR) finishVector(sumOver(count, from + i, PANEL), at + i);
  }
  offset += rowStride;
  for (let panel = firstPanel; panel < endPanel; panel++) {
    const at = offset + <usize>panel * PANEL;
    outerProducts(count, K, delta2, bytesDelta2, hidden + <usize>panel * stride, at, rowStride);
  }
  if (!leads) return largestLane(largest);
  offset += <usize>K * rowStride;
  for (let at: usize = 0; at < bytesDelta2; at += VECTOR) {
    finishVector(sumOver(count, delta2 + at, bytesDelta2), offset + at);
  }
  return largestLane(largest);
}

/** The sum of `count` vectors, `stride` bytes apart. */
@inline function sumOver(count: i32, from: usize, stride: usize): v128 {
  let sum = v128.load(from);
  for (let sample = 1; sample < count; sample++) {
    from += stride;
    sum = f32x4.add(sum, v128.load(from));
  }
  return sum;
}

/**
 * Σ over samples of factor·panel for `rows` factors: those of one sample lie one after the other, `factorStride`
 * bytes from sample to sample. Two rows at a time, so that every panel is loaded once for both.
 */
function outerProducts(
  count: i32,
  rows: i32,
  factors: usize,
  factorStride: usize,
  panels: usize,
  to: usize,
  toStride: usize,
): void {
  const end = panels + <usize>count * PANEL;
  let row = 0;
  for (; row + 2 <= rows; row += 2, factors += 8, to += 2 * toStride) {
    let from = panels;
    let p = v128.load(from, 0);
    let q = v128.load(from, 16);
    let r = v128.load(from, 32);
    let s = v128.load(from, 48);
    let factor = v128.load32_splat(factors, 0);
    let p0 = f32x4.mul(p, factor);
    let q0 = f32x4.mul(q, factor);
    let r0 = f32x4.mul(r, factor);
    let s0 = f32x4.mul(s, factor);
    factor = v128.load32_splat(factors, 4);
    let p1 = f32x4.mul(p, factor);
    let q1 = f32x4.mul(q, factor);
    let r1 = f32x4.mul(r, factor);
    let s1 = f32x4.mul(s, factor);
    let f = factors + factorStride;
    for (from += PANEL; from < end; from += PANEL, f += factorStride) {
      p = v128.load(from, 0);
      q = v128.load(from, 16);
      r = v128.load(from, 32);
      s = v128.load(from, 48);
      factor = v128.load32_splat(f, 0);
      p0 = f32x4.add(p0, f32x4.mul(p, factor));
      q0 = f32x4.add(q0, f32x4.mul(q, factor));
      r0 = f32x4.add(r0, f32x4.mul(r, factor));
      s0 = f32x4.add(s0, f32x4.mul(s, factor));
      factor = v128.load32_splat(f, 4);
      p1 = f32x4.add(p1, f32x4.mul(p, factor));
      q1 = f32x4.add(q1, f32x4.mul(q, factor));
      r1 = f32x4.add(r1, f32x4.mul(r, factor));
      s1 = f32x4.add(s1, f32x4.mul(s, factor));
    }
    finishPanel(p0, q0, r0, s0, to);
    finishPanel(p1, q1, r1, s1, to + toStride);
  }
  if (row == rows) return;
  let from = panels;
  let factor = v128.load32_splat(factors);
  let p0 = f32x4.mul(v128.load(from, 0), factor);
  let q0 = f32x4.mul(v128.load(from, 16), factor);
  let r0 = f32x4.mul(v128.load(from, 32), factor);
  let s0 = f32x4.mul(v128.load(from, 48), factor);
  for (from += PANEL; from < end; from += PANEL) {
    factors += factorStride;
    factor = v128.load32_splat(factors);
    p0 = f32x4.add(p0, f32x4.mul(v128.load(from, 0), factor));
    q0 = f32x4.add(q0, f32x4.mul(v128.load(from, 16), factor));
    r0 = f32x4.add(r0, f32x4.mul(v128.load(from, 32), factor));
    s0 = f32x4.add(s0, f32x4.mul(v128.load(from, 48), factor));
  }
  finishPanel(p0, q0, r0, s0, to);
}
