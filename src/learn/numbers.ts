/**
 * The tasks `regress` and `forecast`: what numbers mean for the samples that wait (supervised.ts).
 *
 *     number = reference + deviation·o        regress: mean and deviation of the target, as they run
 *                                             forecast: the column's value now, and its deviation
 *
 * A missing target is no label. A sample of a forecast whose column was missing has no reference, and is passed over.
 */
import type { Inputs } from '../stream/inputs.ts';
import { takeLossOf } from './drift.ts';
import { takeLosses } from './race.ts';
import { scoreValue } from './scores/regression.ts';
import {
  COUNT,
  NEWEST,
  type Supervised,
  endSample,
  learnSample,
  predictSample,
  recallSample,
} from './supervised.ts';
import { MARK, markOf, takeDue } from './waiting.ts';

/** Standardised targets are cut off here: one enormous value must not undo what was learned. */
const TARGET_MAX = 10;

/**
 * The sample that `inputs` has made is answered, in the user's units.
 * @param values the row, at `first`
 */
export function answerNumbers(
  model: Supervised,
  inputs: Inputs,
  values: Float32Array,
  first: number,
  row: number,
  timeUs: number,
): void {
  predictSample(model, inputs, row, timeUs);
  const { config, newest, waiting, candidates, numbers, reference, deviation } = model;
  if (config.task === 'forecast') setForecastScale(model, inputs, values, first);
  else setTargetScale(model);
  const K = config.outputs;
  const at = newest[NEWEST.answering] * K;
  const kept = 2 * K * newest[NEWEST.place];
  for (let k = 0; k < K; k++) {
    numbers[k] = reference[k] + deviation[k] * candidates.outputs[at + k];
    waiting.scales[kept + k] = reference[k];
    waiting.scales[kept + K + k] = deviation[k];
  }
}

function setTargetScale({ reference, deviation, targetMean, targetCount, targetM2 }: Supervised): void {
  for (let k = 0; k < reference.length; k++) {
    reference[k] = targetMean[k];
    if (targetCount[k] > 0) deviation[k] = Math.sqrt(targetM2[k] / targetCount[k]);
  }
}

function setForecastScale(
  { config, reference, deviation }: Supervised,
  { scaler }: Inputs,
  values: Float32Array,
  first: number,
): void {
  for (let k = 0; k < reference.length; k++) {
    const column = config.targets[k];
    reference[k] = values[first + column];
    if (scaler.count[column] > 0) deviation[k] = Math.sqrt(scaler.m2[column] / scaler.count[column]);
  }
}

/**
 * A row comes, and with it the targets of the sample that waited for it, which is scored and learned.
 * @param isFrozen 1: nothing is learned
 */
export function takeNumbers(
  model: Supervised,
  values: Float32Array,
  first: number,
  row: number,
  timeUs: number,
  isFrozen: number,
): void {
  const { config, waiting, counts, losses, drift, lastTargets } = model;
  const place = takeDue(waiting, row, timeUs);
  if (isIncomplete(model, place, values, first)) return;
  const K = config.outputs;
  counts[COUNT.labelled] += 1;
  scoreSample(model, place, values, first);
  for (let k = 0; k < K; k++) lastTargets[k] = values[first + config.targets[k]];
  if (config.task === 'regress') updateTargets(model, values, first, isFrozen);
  setTargets(model, place, values, first);
  measureLosses(model, place);
  if (isFrozen === 1) return;
  takeLosses(model.race, losses);
  const answering = markOf(waiting, place, MARK.answering);
  model.loss[0] = 0.5 * losses[answering];
  recallSample(model, place);
  learnSample(model);
  takeLossOf(drift, model.loss);
  endSample(model);
}

function isIncomplete(
  { config, waiting }: Supervised,
  place: number,
  values: Float32Array,
  first: number,
): boolean {
  if (place < 0) return true;
  const K = config.outputs;
  for (let k = 0; k < K; k++) {
    const value = values[first + config.targets[k]];
    const reference = waiting.scales[2 * K * place + k];
    if (value - value !== 0 || reference - reference !== 0) return true;
  }
  return false;
}

function scoreSample(model: Supervised, place: number, values: Float32Array, first: number): void {
  const { config, waiting, candidates, linear, lastTargets } = model;
  const K = config.outputs;
  const stored = place * candidates.outputs.length;
  const own = stored + markOf(waiting, place, MARK.answering) * K;
  for (let k = 0; k < K; k++) {
    const reference = waiting.scales[2 * K * place + k];
    const deviation = waiting.scales[2 * K * place + K + k];
    const predicted = reference + deviation * waiting.outputs[own + k];
    const ofLinear = reference + deviation * waiting.outputs[stored + linear * K + k];
    const before = config.task === 'forecast' ? reference : lastTargets[k];
    scoreValue(model.values!, k, predicted, values[first + config.targets[k]], ofLinear, before);
  }
}

/** Welford's method, in float64. */
function updateTargets(model: Supervised, values: Float32Array, first: number, isFrozen: number): void {
  if (isFrozen === 1) return;
  const { config, targetMean, targetCount, targetM2 } = model;
  for (let k = 0; k < config.outputs; k++) {
    const value = values[first + config.targets[k]];
    const distance = value - targetMean[k];
    targetCount[k] += 1;
    targetMean[k] += distance / targetCount[k];
    targetM2[k] += distance * (value - targetMean[k]);
  }
}

/** The standardised targets of the sample at `place`, into the targets of the candidates. */
function setTargets(model: Supervised, place: number, values: Float32Array, first: number): void {
  const { config, candidates, waiting, reference, deviation } = model;
  const K = config.outputs;
  if (config.task === 'regress') setTargetScale(model);
  for (let k = 0; k < K; k++) {
    if (config.task === 'forecast') {
      reference[k] = waiting.scales[2 * K * place + k];
      deviation[k] = waiting.scales[2 * K * place + K + k];
    }
    const change = values[first + config.targets[k]] - reference[k];
    if (deviation[k] > 0) {
      candidates.targets[k] = Math.min(Math.max(change / deviation[k], -TARGET_MAX), TARGET_MAX);
    } else {
      candidates.targets[k] = 0;
    }
  }
}

/** Σ(o − y)² of what each candidate had said. */
function measureLosses({ candidates, waiting, losses }: Supervised, place: number): void {
  const { targets, members, outputs, config } = candidates;
  const K = config.outputs;
  const stored = place * outputs.length;
  for (let c = 0; c < members.length; c++) {
    losses[c] = 0;
    for (let k = 0; k < K; k++) {
      const error = waiting.outputs[stored + c * K + k] - targets[k];
      losses[c] += error * error;
    }
  }
}
