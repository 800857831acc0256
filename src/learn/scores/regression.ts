/**
 * Honest scores of numbers foretold on a stream, in the unit of each target, beside the running mean, the value
 * before (persistence) and a linear model. T targets, C = 4 competitors; windows as in fading.ts, whose rows are
 * those of the one target.
 *
 *     errors [2 x T x C x 3]  rows answered, sum of squared errors, sum of absolute errors
 *     actual [2 x T x 3]      weight, mean and sum of squared distances from it (Welford's method)
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../../engine/arena.ts';
import { type Comparison, compareLosses, openComparison, planComparison } from './comparison.ts';
import { FADING_ROWS, WINDOW, WINDOWS, ageWindow, fadeSums } from './fading.ts';

/** Who answers, in the order of the sums. */
export const VALUE_COMPETITOR = { network: 0, runningMean: 1, persistence: 2, linear: 3 } as const;
export const VALUE_COMPETITORS = 4;

/** Slots of `errors` and of `actual`. */
export const ERROR_SUM = { rows: 0, squared: 1, absolute: 2 } as const;
export const ERROR_SUMS = 3;
export const ACTUAL = { rows: 0, mean: 1, m2: 2 } as const;
export const ACTUALS = 3;

/** Slot of `row` after the competitors' answers. */
const ROW_ACTUAL = VALUE_COMPETITORS;

type RegressionParts = {
  /** [T x 2] */
  readonly weights: Part<'float64'>;
  readonly errors: Part<'float64'>;
  readonly actual: Part<'float64'>;
  /** [T]: rows that were not scored since the network's answer was not a finite number. */
  readonly notFinite: Part<'float64'>;
  /** [C + 1]: answers to the row to be scored, and what came. */
  readonly row: Part<'float64'>;
};

export interface RegressionPlan {
  readonly sums: RegressionParts;
  readonly comparison: ReturnType<typeof planComparison>;
}

export interface Regression extends Views<RegressionParts> {
  readonly targets: number;
  /** Pairs of target t: the network beside each of the others, from t·(C − 1) on. */
  readonly comparison: Comparison;
}

/** @param T targets */
export function planRegression(plan: ArenaPlan, T: number): RegressionPlan {
  return {
    sums: {
      weights: plan.float64('valueScores.weights', T * WINDOWS),
      errors: plan.float64('valueScores.errors', WINDOWS * T * VALUE_COMPETITORS * ERROR_SUMS),
      actual: plan.float64('valueScores.actual', WINDOWS * T * ACTUALS),
      notFinite: plan.float64('valueScores.notFinite', T),
      row: plan.float64('valueScores.row', VALUE_COMPETITORS + 1),
    },
    comparison: planComparison(plan, 'valueScores.comparison', T * (VALUE_COMPETITORS - 1)),
  };
}

/** Lays the scores over `buffer`, whose content it leaves as it is; a new arena, all zero, is right for a new run. */
export function openRegression(
  buffer: ArrayBufferLike,
  T: number,
  { sums, comparison }: RegressionPlan,
): Regression {
  return { ...viewsOf(buffer, sums), targets: T, comparison: openComparison(buffer, comparison) };
}

/**
 * Scores one target of one row, all in its own unit. Nothing happens where `actual` is NaN: there is no label.
 * @param target          0 .. T − 1
 * @param predicted       what was answered before `actual` was known
 * @param linearPredicted what the linear model answered, or NaN
 * @param persistence     the value before, or NaN: after a gap there is none
 */
export function scoreValue(
  scores: Regression,
  target: number,
  predicted: number,
  actual: number,
  linearPredicted: number,
  persistence: number,
): void {
  // So small that it is inlined, and the doubles are not boxed on their way.
  const { row } = scores;
  row[VALUE_COMPETITOR.network] = predicted;
  row[VALUE_COMPETITOR.linear] = linearPredicted;
  row[VALUE_COMPETITOR.persistence] = persistence;
  row[ROW_ACTUAL] = actual;
  scoreRow(scores, target);
}

function scoreRow(scores: Regression, target: number): void {
  const { row, weights, actual, notFinite } = scores;
  if (!isFiniteNumber(row[ROW_ACTUAL])) return;
  // No mean before the first value.
  if (actual[target * ACTUALS + ACTUAL.rows] === 0) row[VALUE_COMPETITOR.runningMean] = NaN;
  else row[VALUE_COMPETITOR.runningMean] = actual[target * ACTUALS + ACTUAL.mean];
  if (ageWindow(weights, target * WINDOWS, FADING_ROWS)) fadeTarget(scores, target);
  if (isFiniteNumber(row[VALUE_COMPETITOR.network])) {
    countErrors(scores, WINDOW.all, target);
    countErrors(scores, WINDOW.fading, target);
    compareErrors(scores, target);
  } else {
    notFinite[target] += 1;
  }
  takeActual(scores, WINDOW.all, target);
  takeActual(scores, WINDOW.fading, target);
}

function isFiniteNumber(value: number): boolean {
  return value - value === 0;
}

/** A competitor that says nothing is left out of this row. */
function countErrors({ targets: T, weights, row, errors }: Regression, window: number, target: number): void {
  const weight = weights[target * WINDOWS + window];
  for (let competitor = 0; competitor < VALUE_COMPETITORS; competitor++) {
    const error = row[ROW_ACTUAL] - row[competitor];
    if (!isFiniteNumber(error)) continue;
    const first = ((window * T + target) * VALUE_COMPETITORS + competitor) * ERROR_SUMS;
    errors[first + ERROR_SUM.rows] += weight;
    errors[first + ERROR_SUM.squared] += weight * error * error;
    errors[first + ERROR_SUM.absolute] += weight * Math.abs(error);
  }
}

/** Losses are squared errors. */
function compareErrors({ comparison, row }: Regression, target: number): void {
  const { losses } = comparison;
  const error = row[ROW_ACTUAL] - row[VALUE_COMPETITOR.network];
  losses[0] = error * error;
  for (let competitor = 1; competitor < VALUE_COMPETITORS; competitor++) {
    const other = row[ROW_ACTUAL] - row[competitor];
    if (!isFiniteNumber(other)) continue;
    losses[1] = other * other;
    compareLosses(comparison, target * (VALUE_COMPETITORS - 1) + competitor - 1);
  }
}

function takeActual({ targets: T, weights, row, actual }: Regression, window: number, target: number): void {
  const weight = weights[target * WINDOWS + window];
  const first = (window * T + target) * ACTUALS;
  const distance = row[ROW_ACTUAL] - actual[first + ACTUAL.mean];
  actual[first + ACTUAL.rows] += weight;
  actual[first + ACTUAL.mean] += (weight / actual[first + ACTUAL.rows]) * distance;
  actual[first + ACTUAL.m2] += weight * distance * (row[ROW_ACTUAL] - actual[first + ACTUAL.mean]);
}

/** The mean of what came is no sum, and stays. */
function fadeTarget({ targets: T, errors, actual }: Regression, target: number): void {
  const place = WINDOW.fading * T + target;
  const perTarget = VALUE_COMPETITORS * ERROR_SUMS;
  fadeSums(errors, place * perTarget, (place + 1) * perTarget);
  const first = place * ACTUALS;
  fadeSums(actual, first + ACTUAL.rows, first + ACTUAL.rows + 1);
  fadeSums(actual, first + ACTUAL.m2, first + ACTUAL.m2 + 1);
}
