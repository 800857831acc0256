/**
 * Honest scores of a classifier on a stream: each answer was given before its label was learned from, and beside it
 * stand what needs no network: the most frequent class so far, the label before, and a linear model.
 *
 * Here K classes and C = 4 competitors. Shares of anything are quotients of these sums, in both windows of fading.ts:
 *
 *     confusion [2 x K x K]  rows by label and answer of the network
 *     labels    [2 x K]      rows by label
 *     correct   [2 x C x K]  right answers of a competitor, by label
 *     answered  [2 x C x K]  its answers, by class
 *
 * From `labels`, `correct` and `answered` follow accuracy, balanced accuracy, kappa and F1 of every competitor.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../../engine/arena.ts';
import { type Comparison, compareLosses, openComparison, planComparison } from './comparison.ts';
import { FADING_ROWS, WINDOW, WINDOWS, ageWindow, fadeSums } from './fading.ts';

/** Who answers, in the order of the sums. */
export const CLASS_COMPETITOR = { network: 0, majority: 1, lastLabel: 2, linear: 3 } as const;
export const CLASS_COMPETITORS = 4;

/** What somebody answers who has nothing to say: wrong. A linear model that never says anything is not reported. */
export const NO_ANSWER = -1;

/**
 * −log of the least normal float32. A label that got probability 0, or no finite one, costs this much; otherwise one
 * such row would make every later mean infinite.
 */
export const LOG_LOSS_MAX = 87.33654475;

/** Slots of `totals`. */
export const CLASS_TOTAL = { rows: 0, logLoss: 1, changes: 2 } as const;
export const CLASS_TOTALS = 3;

const STATE = {
  /** The last label + 1, so that a new arena says none; the class that was most frequent so far. */
  lastLabelPlus1: 0,
  majority: 1,
  /** 1: a gap came after the last label. */
  afterGap: 2,
  /** 1: this row's label is another than the last one, with no gap between. */
  changed: 3,
} as const;
const STATE_SLOTS = 4;

type ClassificationParts = {
  readonly weights: Part<'float64'>;
  readonly confusion: Part<'float64'>;
  readonly labels: Part<'float64'>;
  readonly correct: Part<'float64'>;
  readonly answered: Part<'float64'>;
  /** [2 x CLASS_TOTALS] */
  readonly totals: Part<'float64'>;
  /** [2 x C]: right answers on the first row after a change. */
  readonly changesCorrect: Part<'float64'>;
  /** [1]: loss of the row to be scored. */
  readonly logLoss: Part<'float64'>;
  /** [C]: answers to the row to be scored. */
  readonly answers: Part<'int32'>;
  readonly state: Part<'int32'>;
};

export interface ClassificationPlan {
  readonly sums: ClassificationParts;
  readonly comparison: ReturnType<typeof planComparison>;
}

export interface Classification extends Views<ClassificationParts> {
  readonly classes: number;
  /** Pairs: the network beside each of the others, in their order. */
  readonly comparison: Comparison;
}

/** @param K classes, at least 2 */
export function planClassification(plan: ArenaPlan, K: number): ClassificationPlan {
  return {
    sums: {
      weights: plan.float64('classScores.weights', WINDOWS),
      confusion: plan.float64('classScores.confusion', WINDOWS * K * K),
      labels: plan.float64('classScores.labels', WINDOWS * K),
      correct: plan.float64('classScores.correct', WINDOWS * CLASS_COMPETITORS * K),
      answered: plan.float64('classScores.answered', WINDOWS * CLASS_COMPETITORS * K),
      totals: plan.float64('classScores.totals', WINDOWS * CLASS_TOTALS),
      changesCorrect: plan.float64('classScores.changesCorrect', WINDOWS * CLASS_COMPETITORS),
      logLoss: plan.float64('classScores.logLoss', 1),
      answers: plan.int32('classScores.answers', CLASS_COMPETITORS),
      state: plan.int32('classScores.state', STATE_SLOTS),
    },
    comparison: planComparison(plan, 'classScores.comparison', CLASS_COMPETITORS - 1),
  };
}

/** Lays the scores over `buffer`, whose content it leaves as it is; a new arena, all zero, is right for a new run. */
export function openClassification(
  buffer: ArrayBufferLike,
  K: number,
  { sums, comparison }: ClassificationPlan,
): Classification {
  return { ...viewsOf(buffer, sums), classes: K, comparison: openComparison(buffer, comparison) };
}

/**
 * Scores one row, in the order in which labels arrive.
 * @param predicted       the class that was answered before the label was known, or NO_ANSWER
 * @param label           0 .. K − 1
 * @param logLoss         −log of the probability that was given to the label, in nats
 * @param linearPredicted what the linear model answered, or NO_ANSWER
 */
export function scoreClass(
  scores: Classification,
  predicted: number,
  label: number,
  logLoss: number,
  linearPredicted: number,
): void {
  scores.logLoss[0] = logLoss;
  scoreStored(scores, predicted, label, linearPredicted);
}

/** The same with the loss in `scores.logLoss` already: a double that is handed over may be boxed. */
export function scoreStored(
  scores: Classification,
  predicted: number,
  label: number,
  linearPredicted: number,
): void {
  scores.answers[CLASS_COMPETITOR.network] = predicted;
  scores.answers[CLASS_COMPETITOR.linear] = linearPredicted;
  scoreAnswers(scores, label);
}

/** The stream was interrupted: whether the next label is a change nobody knows. */
export function markClassGap({ state }: Classification): void {
  state[STATE.afterGap] = 1;
}

function scoreAnswers(scores: Classification, label: number): void {
  const { weights, logLoss, answers, state } = scores;
  const lastLabel = state[STATE.lastLabelPlus1] - 1;
  answers[CLASS_COMPETITOR.majority] = lastLabel < 0 ? NO_ANSWER : state[STATE.majority];
  answers[CLASS_COMPETITOR.lastLabel] = lastLabel;
  state[STATE.changed] = lastLabel >= 0 && lastLabel !== label && state[STATE.afterGap] === 0 ? 1 : 0;
  if (!(logLoss[0] < LOG_LOSS_MAX)) logLoss[0] = LOG_LOSS_MAX;
  if (ageWindow(weights, 0, FADING_ROWS)) fadeClassSums(scores);
  countAnswers(scores, WINDOW.all, label);
  countAnswers(scores, WINDOW.fading, label);
  compareAnswers(scores, label);
  const { labels } = scores;
  const majority = state[STATE.majority];
  // The first of the most frequent ones.
  if (labels[label] > labels[majority] || (labels[label] === labels[majority] && label < majority)) {
    state[STATE.majority] = label;
  }
  state[STATE.lastLabelPlus1] = label + 1;
  state[STATE.afterGap] = 0;
}

function countAnswers(scores: Classification, window: number, label: number): void {
  const { classes: K, confusion, labels, correct, answered, totals, changesCorrect } = scores;
  const { weights, answers, state, logLoss } = scores;
  const weight = weights[window];
  totals[window * CLASS_TOTALS + CLASS_TOTAL.rows] += weight;
  totals[window * CLASS_TOTALS + CLASS_TOTAL.logLoss] += weight * logLoss[0];
  if (state[STATE.changed] === 1) totals[window * CLASS_TOTALS + CLASS_TOTAL.changes] += weight;
  labels[window * K + label] += weight;
  const network = answers[CLASS_COMPETITOR.network];
  if (network >= 0) confusion[(window * K + label) * K + network] += weight;
  for (let competitor = 0; competitor < CLASS_COMPETITORS; competitor++) {
    const answer = answers[competitor];
    const first = window * CLASS_COMPETITORS + competitor;
    if (answer >= 0) answered[first * K + answer] += weight;
    if (answer !== label) continue;
    correct[first * K + label] += weight;
    if (state[STATE.changed] === 1) changesCorrect[first] += weight;
  }
}

/** Losses are 0 for a right answer and 1 for a wrong one. */
function compareAnswers({ comparison, answers }: Classification, label: number): void {
  const { losses } = comparison;
  losses[0] = answers[CLASS_COMPETITOR.network] === label ? 0 : 1;
  for (let competitor = 1; competitor < CLASS_COMPETITORS; competitor++) {
    losses[1] = answers[competitor] === label ? 0 : 1;
    compareLosses(comparison, competitor - 1);
  }
}

function fadeClassSums(scores: Classification): void {
  const { confusion, labels, correct, answered, totals, changesCorrect } = scores;
  fadeWindow(confusion);
  fadeWindow(labels);
  fadeWindow(correct);
  fadeWindow(answered);
  fadeWindow(totals);
  fadeWindow(changesCorrect);
}

/** The fading window is the second half. */
function fadeWindow(sums: Float64Array): void {
  fadeSums(sums, sums.length / 2, sums.length);
}
