/** What the module offers to src/engine/kernels.ts, with the meaning of the same names in src/engine/reference.ts. */
import { forwardHidden, forwardHiddenPair, forwardOutputs, outputDelta } from './forward';
import { gradientOf, hiddenDelta } from './gradient';
import { learnGradient } from './optimise';
import { learnFused } from './fused';
import { learn as learnOuterProduct } from './outer-product';
import { learnSmall, learnTiny } from './small';
import { batchOfCall, call, followLeader, leads, meet, shareEnd, shareFrom, takeShare, waitForCall, workers } from './team';
import { learnTogether } from './together';
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
  setPanels,
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

export { forwardLinear, learnLinearPaced, learnPaced } from './paced';
export { setLeader, setTeam } from './team';
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

/** `learnMany` by the team, of which this worker leads. The others must have been sent to `follow`. */
export function lead(count: i32, batch: i32): i32 {
  call(count, batch);
  const learned = learnMany(count, batch);
  meet();
  return learned;
}

/** Takes its share in whatever the leader does, until a call for fewer than no samples. */
export function follow(): void {
  for (let count = waitForCall(); count >= 0; count = waitForCall()) {
    followLeader();
    learnMany(count, batchOfCall());
    meet();
  }
}

/** Sends the team away; it can do nothing afterwards. */
export function dismiss(): void {
  call(-1, 1);
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
  if (workers > 1) return learnTogether(first, count);
  if (P == 1 && K <= 4) return D <= 4 && H <= 4 ? learnTiny(first, count) : learnSmall(first, count);
  return learnFused(first, count);
}

/** One step on samples first to first + size − 1 of the queue. */
function learnBatch(first: i32, size: i32): i32 {
  if (size == 1 && workers == 1) return learnQueued(first);
  if (size == 1 && outerProduct) return leaderLearns(first);
  const x = queueInputs + <usize>first * (<usize>D << 2);
  forwardHiddenBatch(x, size);
  meet();
  outputDeltas(first, shareFrom(size), shareEnd(size));
  meet();
  const bytesY = <usize>outputVectors * VECTOR;
  let at: usize = 0;
  for (let delta = batchDelta2; at < <usize>size * PANEL; at += PANEL, delta += bytesY) {
    hiddenDelta(batchHidden + at, batchStride, delta, batchDelta1 + at);
  }
  return learnGradient(gradientOf(size, x, batchHidden, batchDelta1, batchStride, batchDelta2));
}

/** Outputs, losses and delta2 of samples from `from` on of the batch that begins at `first`. */
function outputDeltas(first: i32, from: i32, end: i32): void {
  const bytesY = <usize>outputVectors * VECTOR;
  for (let sample = from; sample < end; sample++) {
    const at = <usize>(first + sample) * bytesY;
    const y = queueOutputs + at;
    const delta = batchDelta2 + <usize>sample * bytesY;
    forwardOutputs(batchHidden + <usize>sample * PANEL, batchStride, y);
    outputDelta(y, queueTargets + at, delta, queueLosses + (<usize>(first + sample) << 2));
  }
}

/** One step on one sample of the queue. */
function learnQueued(sample: i32): i32 {
  const at = <usize>sample * <usize>outputVectors * VECTOR;
  const x = queueInputs + <usize>sample * (<usize>D << 2);
  forwardHidden(x, hidden, PANEL);
  forwardOutputs(hidden, PANEL, queueOutputs + at);
  outputDelta(queueOutputs + at, queueTargets + at, delta2, queueLosses + (<usize>sample << 2));
  return learnSample(x);
}

/** The rare steps that do not pay to share: the leader takes all panels, the others wait. */
function leaderLearns(sample: i32): i32 {
  let learned = 0;
  meet(); // the others may still be writing what they learned before
  if (leads) {
    setPanels(0, P);
    learned = learnQueued(sample);
    takeShare();
  }
  meet();
  followLeader();
  return learned;
}

/** The hidden units of `count` samples from x on, into batchHidden from its beginning. */
function forwardHiddenBatch(x: usize, count: i32): void {
  const bytesX = <usize>D << 2;
  let h = batchHidden;
  for (; count > 1; count -= 2, x += 2 * bytesX, h += 2 * PANEL) forwardHiddenPair(x, h, batchStride);
  if (count > 0) forwardHidden(x, h, batchStride);
}
