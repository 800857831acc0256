/**
 * Learning on a stream of rows: predict, score, then learn (prequential). A pure function of the records: the
 * learner has no clock, no randomness and no memory but the arena, so that a copy of the arena goes on exactly as
 * the original.
 *
 * Beside the network's accuracy stand the two trivial baselines, "always the most frequent class" and "same label
 * as before", and the accuracy on the first row after each change of label, where the second is always wrong.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../engine/arena.ts';
import { type Network, type NetworkConfig, openNetwork, planNetwork } from '../engine/network.ts';
import { LEARNED } from '../engine/reference.ts';
import { NO_LABEL } from '../stream/ring.ts';
import { type Scaler, openScaler, planScaler, scale, updateScaler } from '../stream/scaler.ts';

/** Weight of the newest sample in the fading mean of the loss: a window of about a hundred samples. */
const LOSS_FADING_RATE = 0.01;

/** Slots of the score counters, all float64. */
export const SCORE = {
  /** Rows taken, labelled or not. */
  rows: 0,
  /** Rows with a label: those that are scored. */
  labelled: 1,
  /** Training steps taken. */
  learned: 2,
  /** Training steps left out because a weight would not have stayed finite. */
  skipped: 3,
  correct: 4,
  majorityCorrect: 5,
  lastLabelCorrect: 6,
  /** Rows whose label differs from the last one, with no gap between. */
  changes: 7,
  changesCorrect: 8,
  /** Fading mean of the loss, NaN before the first step. */
  loss: 9,
  /** Gaps in the stream, and rows lost in them. */
  gaps: 10,
  rowsLost: 11,
} as const;

const SCORE_SLOTS = 12;

type ScoreParts = {
  readonly scores: Part<'float64'>;
  readonly classCounts: Part<'float64'>;
  /** [prediction of the newest row, the last label, 1 when a gap came after it]. */
  readonly newest: Part<'int32'>;
};

const NEWEST = { prediction: 0, label: 1, afterGap: 2 } as const;

export interface LearnerParts {
  readonly network: ReturnType<typeof planNetwork>;
  readonly scaler: ReturnType<typeof planScaler>;
  readonly scores: ScoreParts;
}

export function planLearner(plan: ArenaPlan, config: NetworkConfig): LearnerParts {
  return {
    network: planNetwork(plan, config),
    scaler: planScaler(plan, config.inputs),
    scores: {
      scores: plan.float64('scores.counters', SCORE_SLOTS),
      classCounts: plan.float64('scores.classCounts', config.outputs), // labels seen per class [K]
      newest: plan.int32('scores.newest', 3),
    },
  };
}

/** What predicts and takes the step: the kernels, or in tests the reference, bound to the learner's network. */
export interface Engine {
  /** inputs -> outputs */
  forward(): void;
  /** One step on the sample whose `forward` was just computed. @returns LEARNED or SKIPPED */
  learn(): number;
}

/** A learner laid over an arena; the main thread lays one over a snapshot to read it. */
export interface Learner extends Views<ScoreParts> {
  readonly network: Network;
  readonly scaler: Scaler;
}

/** Lays a planned learner over `buffer`, whose content it leaves as it is. */
export function openLearner(buffer: ArrayBufferLike, config: NetworkConfig, parts: LearnerParts): Learner {
  return {
    ...viewsOf(buffer, parts.scores),
    network: openNetwork(buffer, config, parts.network),
    scaler: openScaler(buffer, parts.scaler),
  };
}

/** Sets the scores of a new run; the rest of a new arena is zero, which is right for it. */
export function startScores({ scores, newest }: Learner): void {
  scores[SCORE.loss] = NaN;
  newest[NEWEST.prediction] = 0;
  newest[NEWEST.label] = NO_LABEL;
}

/**
 * Takes the row at values[first ..]: statistics, standardised inputs, prediction; and, if it has a label, scores
 * and one training step.
 * @param label class index or NO_LABEL
 */
export function takeRow(
  learner: Learner,
  engine: Engine,
  values: Float32Array,
  first: number,
  label: number,
): void {
  const { network, scaler, scores, newest } = learner;
  scores[SCORE.rows] += 1;
  updateScaler(scaler, values, first);
  scale(scaler, values, first, network.inputs);
  engine.forward();
  newest[NEWEST.prediction] = indexOfLargest(network.outputs, network.config.outputs);
  if (label === NO_LABEL) return;
  score(learner, label);
  network.targets.fill(0);
  network.targets[label] = 1;
  if (engine.learn() === LEARNED) {
    scores[SCORE.learned] += 1;
    fadeLoss(scores, network.loss[0]);
  } else {
    scores[SCORE.skipped] += 1;
  }
}

/** The class that the newest row was predicted to be. */
export function predictionOf({ newest }: Learner): number {
  return newest[NEWEST.prediction];
}

/** Takes a gap of `rowsLost` rows: what follows is not the row after what came before. */
export function takeGap({ scores, newest }: Learner, rowsLost: number): void {
  scores[SCORE.gaps] += 1;
  scores[SCORE.rowsLost] += rowsLost;
  newest[NEWEST.afterGap] = 1;
}

function score({ network, scores, classCounts, newest }: Learner, label: number): void {
  const correct = newest[NEWEST.prediction] === label ? 1 : 0;
  const before = newest[NEWEST.label];
  const majority = indexOfLargest(classCounts, network.config.outputs);
  if (scores[SCORE.labelled] > 0 && majority === label) scores[SCORE.majorityCorrect] += 1;
  if (before === label) scores[SCORE.lastLabelCorrect] += 1;
  // Across a gap nobody knows whether this is the first row of the new state.
  else if (before !== NO_LABEL && newest[NEWEST.afterGap] === 0) {
    scores[SCORE.changes] += 1;
    scores[SCORE.changesCorrect] += correct;
  }
  scores[SCORE.labelled] += 1;
  scores[SCORE.correct] += correct;
  classCounts[label] += 1;
  newest[NEWEST.label] = label;
  newest[NEWEST.afterGap] = 0;
}

function fadeLoss(scores: Float64Array, loss: number): void {
  const mean = scores[SCORE.loss];
  scores[SCORE.loss] = mean === mean ? mean + LOSS_FADING_RATE * (loss - mean) : loss;
}

/** Index of the largest of the first `count` values; the first of equals. */
function indexOfLargest(values: Float32Array | Float64Array, count: number): number {
  let best = 0;
  for (let i = 1; i < count; i++) if (values[i] > values[best]) best = i;
  return best;
}
