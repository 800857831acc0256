/** What the module offers to src/engine/kernels.ts, with the meaning of the same names in src/engine/reference.ts. */
import { forwardHidden, forwardHiddenPair, forwardOutputs, outputDelta } from './forward';
import { gradientOf, hiddenDelta } from './gradient';
import { learnGradient } from './optimise';
import { learnFused } from './fused';
import { learn as learnOuterProduct } from './outer-product';
import { learnSmall, learnTiny } from './small';
import {
  D,
  H,
  K,
  P,
  PANEL,
  VECTOR,
  batchDelta1,
  batchDelta2,
  batchHidden,
  batchStride,
  clipNorm,
  delta1,
  delta2,
  hidden,
  inputs,
  lossSlot,
  outerProduct,
  outputVectors,
  outputs,
  queueInputs,
  queueLosses,
  queueOutputs,
  queueTargets,
  targets,
} from './layout';

export {
  setActivations,
  setBatch,
  setDeltas,
  setFunctions,
  setOptimiser,
  setParameters,
  setQueue,
  setRule,
  setShape,
} from './layout';

export { setConstants } from './vector';

export function forward(): void {
  forwardHidden(inputs, hidden, PANEL);
  forwardOutputs(hidden, PANEL, outputs);
}

export function learn(): i32 {
  outputDelta(outputs, targets, delta2, lossSlot);
  return learnSample(inputs);
}

/** Learns the sample at x, for which hidden and delta2 are computed. */
function learnSample(x: usize): i32 {
  if (outerProduct) return learnOuterProduct(x);
  hiddenDelta(hidden, PANEL, delta2, delta1);
  return learnGradient(gradientOf(1, x, hidden, delta1, PANEL, delta2));
}

export function forwardMany(count: i32): void {
  const bytesY = <usize>outputVectors * VECTOR;
  let y = queueOutputs;
  let h = batchHidden;
  forwardHiddenBatch(queueInputs, count);
  for (let sample = 0; sample < count; sample++, h += PANEL, y += bytesY) forwardOutputs(h, batchStride, y);
}

export function learnMany(count: i32, batch: i32): i32 {
  if (count < 1) return 0;
  let learned = 0;
  if (outerProduct && batch == 1) learned = learnEach(count);
  else for (let first = 0; first < count; first += batch) learned += learnBatch(first, min(batch, count - first));
  store<f32>(lossSlot, load<f32>(queueLosses + (<usize>(count - 1) << 2)));
  return learned;
}

/** One outer-product step per sample, each fused with the next sample's forward pass. */
function learnEach(count: i32): i32 {
  let learned = 0;
  for (let sample = 0; sample < count; ) {
    const until = learnRun(sample, count);
    learned += until - sample;
    sample = until;
    if (sample < count) learned += learnBatch(sample++, 1);
  }
  return learned;
}

/** Learns from sample `first` on until a step may not be harmless. @returns the first sample not learned */
function learnRun(first: i32, count: i32): i32 {
  if (clipNorm < Infinity) return first;
  if (P == 1 && K <= 4) return D <= 4 && H <= 4 ? learnTiny(first, count) : learnSmall(first, count);
  return learnFused(first, count);
}

/** One step on samples first to first + size − 1 of the queue. */
function learnBatch(first: i32, size: i32): i32 {
  const bytesX = <usize>D << 2;
  const bytesY = <usize>outputVectors * VECTOR;
  const x = queueInputs + <usize>first * bytesX;
  let y = queueOutputs + <usize>first * bytesY;
  let t = queueTargets + <usize>first * bytesY;
  let lossAt = queueLosses + (<usize>first << 2);
  if (size == 1) {
    forwardHidden(x, hidden, PANEL);
    forwardOutputs(hidden, PANEL, y);
    outputDelta(y, t, delta2, lossAt);
    return learnSample(x);
  }
  let h = batchHidden;
  let to1 = batchDelta1;
  let to2 = batchDelta2;
  forwardHiddenBatch(x, size);
  for (let sample = 0; sample < size; sample++) {
    forwardOutputs(h, batchStride, y);
    outputDelta(y, t, to2, lossAt);
    hiddenDelta(h, batchStride, to2, to1);
    h += PANEL;
    y += bytesY;
    t += bytesY;
    to1 += PANEL;
    to2 += bytesY;
    lossAt += 4;
  }
  return learnGradient(gradientOf(size, x, batchHidden, batchDelta1, batchStride, batchDelta2));
}

/** The hidden units of `count` samples from x on, into batchHidden from its beginning. */
function forwardHiddenBatch(x: usize, count: i32): void {
  const bytesX = <usize>D << 2;
  let h = batchHidden;
  for (; count > 1; count -= 2, x += 2 * bytesX, h += 2 * PANEL) forwardHiddenPair(x, h, batchStride);
  if (count > 0) forwardHidden(x, h, batchStride);
}
