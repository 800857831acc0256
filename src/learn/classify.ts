/** The task `classify`: what a label means for the samples that wait (supervised.ts). */
import { exp, log } from '../engine/arithmetic.ts';
import { type Inputs, standardise } from '../stream/inputs.ts';
import { forwardCandidates, learnCandidates } from './candidates.ts';
import { takeLossOf } from './drift.ts';
import { agePriors, countLabel } from './priors.ts';
import { RACE_STATE, takeLosses } from './race.ts';
import { countAbsence, drawAbsent, keepSample, shiftShares } from './rehearsal.ts';
import { scoreStored } from './scores/classification.ts';
import {
  COUNT,
  NEWEST,
  type Supervised,
  endSample,
  learnSample,
  loosen,
  predictSample,
  recallSample,
} from './supervised.ts';
import { MARK, type Waiting, markOf, takeDue } from './waiting.ts';

/** Keeps the loss of a class that was thought impossible finite: its logarithm is −69. */
const PROBABILITY_MIN = 1e-30;

/** The sample that `inputs` has made is answered: which class, how probable. */
export function answerClass(model: Supervised, inputs: Inputs, row: number, timeUs: number): void {
  const { newest, numbers, waiting, candidates, priors, race } = model;
  if (newest[NEWEST.isLabelled] === 0) agePriors(priors);
  predictSample(model, inputs, row, timeUs);
  const K = candidates.config.outputs;
  const place = newest[NEWEST.place];
  keepPriors(model, place);
  const answering = race.state[RACE_STATE.answering];
  const output = (place * candidates.members.length + answering) * K;
  const prior = (place * race.ways + race.state[RACE_STATE.way]) * K;
  newest[NEWEST.class] = largestOf(waiting.outputs, output, waiting.priors, prior, K);
  writeProbability(waiting, output, prior, K, newest[NEWEST.class], numbers);
  newest[NEWEST.isLabelled] = 0;
}

/** Where logits are not adjusted the priors are in the outputs already: those kept stay zero. */
function keepPriors({ waiting, priors, race }: Supervised, place: number): void {
  if (race.ways === 1) return;
  const { logits } = priors;
  for (let i = 0; i < logits.length; i++) waiting.priors[place * logits.length + i] = logits[i];
}

/**
 * A row brings a label: the sample that waited for it is scored and learned.
 * @param isFrozen 1: nothing is learned
 */
export function takeClass(
  model: Supervised,
  inputs: Inputs,
  label: number,
  row: number,
  timeUs: number,
  isFrozen: number,
): void {
  const { config, waiting, counts, drift, losses } = model;
  const place = takeDue(waiting, row, timeUs);
  if (place < 0) return;
  counts[COUNT.labelled] += 1;
  scoreSample(model, place, label);
  if (isFrozen === 1) return;
  takeLosses(model.race, losses);
  model.newest[NEWEST.isLabelled] = 1;
  countLabel(model.priors, label);
  countAbsence(model.rehearsal, label);
  if (model.race.ways === 1)
    for (let k = 0; k < model.known.length; k++) model.known[k] = model.priors.logits[k];
  learnClass(model, place, label);
  rehearse(model, inputs);
  if (model.rehearsal.config.samples > 0) {
    keepSample(model.rehearsal, waiting.raw, place * inputs.raw.length, label);
  }
  if (takeLossOf(drift, model.loss) === 1 && config.respondToDrift && config.rehearsalSamples > 0) {
    loosen(model, inputs);
  }
  endSample(model);
}

function scoreSample(model: Supervised, place: number, label: number): void {
  const { candidates, waiting, losses, linear, classes, race } = model;
  const C = candidates.members.length;
  const K = candidates.config.outputs;
  const answering = markOf(waiting, place, MARK.answering);
  const way = markOf(waiting, place, MARK.way);
  let predicted = 0;
  let linearPredicted = -1;
  for (let c = 0; c < C; c++) {
    const output = (place * C + c) * K;
    for (let v = 0; v < race.ways; v++) {
      const prior = (place * race.ways + v) * K;
      const largest = largestOf(waiting.outputs, output, waiting.priors, prior, K);
      if (largest === label) losses[c * race.ways + v] = 0;
      else losses[c * race.ways + v] = 1;
      if (c === answering && v === way) predicted = largest;
      if (c === linear && v === 0) linearPredicted = largest;
    }
  }
  writeProbability(waiting, (place * C + answering) * K, (place * race.ways + way) * K, K, label, model.loss);
  model.loss[0] = -log(Math.max(model.loss[0], PROBABILITY_MIN));
  classes!.logLoss[0] = model.loss[0];
  scoreStored(classes!, predicted, label, linearPredicted);
}

function learnClass(model: Supervised, place: number, label: number): void {
  const { candidates, rehearsal } = model;
  recallSample(model, place);
  setTarget(model, label);
  if (rehearsal.config.samples > 0) shiftShares(rehearsal, label, candidates.offsets);
  learnSample(model);
}

/** One more step on a sample of a class that has not come for a while. */
function rehearse(model: Supervised, inputs: Inputs): void {
  const { candidates, rehearsal } = model;
  if (rehearsal.config.samples === 0) return;
  const member = drawAbsent(rehearsal);
  if (member < 0) return;
  const label = rehearsal.labels[member];
  standardise(inputs, rehearsal.raw, member * inputs.raw.length, candidates.inputs, 0);
  forwardCandidates(candidates);
  setTarget(model, label);
  shiftShares(rehearsal, label, candidates.offsets);
  learnCandidates(candidates);
}

function setTarget({ candidates }: Supervised, label: number): void {
  candidates.targets.fill(0);
  candidates.targets[label] = 1;
}

/** Index k of the largest outputs[output + k] + priors[prior + k], the first of equals. */
function largestOf(
  outputs: Float32Array,
  output: number,
  priors: Float32Array,
  prior: number,
  count: number,
): number {
  let best = 0;
  let largest = outputs[output] + priors[prior];
  for (let k = 1; k < count; k++) {
    const logit = outputs[output + k] + priors[prior + k];
    if (!(logit > largest)) continue;
    largest = logit;
    best = k;
  }
  return best;
}

/** softmax(outputs + priors)[index] into to[0] */
function writeProbability(
  { outputs, priors }: Waiting,
  output: number,
  prior: number,
  count: number,
  index: number,
  to: Float64Array,
): void {
  let largest = -Infinity;
  for (let k = 0; k < count; k++) largest = Math.max(largest, outputs[output + k] + priors[prior + k]);
  let sum = 0;
  let own = 0;
  for (let k = 0; k < count; k++) {
    const power = exp(Math.fround(outputs[output + k] + priors[prior + k] - largest));
    sum += power;
    if (k === index) own = power;
  }
  to[0] = own / sum;
}
