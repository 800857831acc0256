/**
 * Plain SGD over queued samples by a team: as in fused.ts, each worker passing over its own panels. The lane sums of
 * the next sample's outputs are handed over, one meeting to each sample; outputs and their deltas every worker
 * computes for itself.
 */
import { forwardHidden, forwardOutputsFromLanes, outputDelta, storeLanes } from './forward';
import { learnPanels, plainlySafe, updateOutputBias } from './fused';
import { ROUNDING_MARGIN } from './outer-product';
import { agree, agreedFirst, agreedSecond, copyBias2, lanes, leads, ownBias2 } from './team';
import { largestLane, largestMagnitude } from './vector';
import {
  D,
  IDENTITY,
  P,
  PANEL,
  RELU,
  VECTOR,
  delta2,
  endPanel,
  firstPanel,
  hidden,
  hiddenActivation,
  lossSlot,
  outputVectors,
  outputs,
  parameterBound,
  queueInputs,
  queueLosses,
  queueOutputs,
  queueTargets,
} from './layout';

/** |h| of this worker's panels, if it can be above 1. */
function largestOwnHidden(): f64 {
  if (hiddenActivation != IDENTITY && hiddenActivation != RELU) return 1;
  return largestMagnitude(hidden + <usize>firstPanel * PANEL, (endPanel - firstPanel) * 16);
}

/** Learns from sample `first` of the queue on. @returns the first sample not learned, the same for every worker */
export function learnTogether(first: i32, count: i32): i32 {
  const bytesX = <usize>D << 2;
  const bytesY = <usize>outputVectors * VECTOR;
  const bytesLanes = <usize>P * <usize>outputVectors * PANEL;
  let x = queueInputs + <usize>first * bytesX;
  let at = <usize>first * bytesY;
  let turn: usize = 0;
  copyBias2();
  forwardHidden(x, hidden, PANEL);
  storeLanes(hidden, lanes);
  agree(0, largestOwnHidden());
  for (let sample = first; sample < count; sample++, x += bytesX, at += bytesY) {
    const y = leads ? queueOutputs + at : outputs;
    const lossAt = leads ? queueLosses + (<usize>sample << 2) : lossSlot;
    forwardOutputsFromLanes(lanes + turn * bytesLanes, ownBias2, y);
    const delta = largestLane(outputDelta(y, queueTargets + at, delta2, lossAt));
    const bound = load<f64>(parameterBound);
    const largestX = max<f64>(1, largestMagnitude(x, D));
    const largestH = max<f64>(1, agreedSecond);
    if (!plainlySafe(bound, delta, largestX, largestH)) return sample;
    const change2 = updateOutputBias(ownBias2) * largestH;
    turn = 1 - turn;
    const ownLargest = learnPanels(x, sample + 1 < count ? x + bytesX : x);
    storeLanes(hidden, lanes + turn * bytesLanes);
    agree(ownLargest, largestOwnHidden());
    store<f64>(parameterBound, (bound + max<f64>(agreedFirst * largestX, change2)) * ROUNDING_MARGIN);
  }
  return count;
}
