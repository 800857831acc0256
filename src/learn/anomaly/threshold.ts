/**
 * A threshold that keeps to a budget of one alarm in B rows. It starts at the usual score plus three deviations and
 * never falls below that; every quiet row lowers it by ½·deviation/B, every finished alarm raises it by ½·deviation:
 * where alarms come once in B rows the two cancel.
 *
 * An alarm begins at the first score above the threshold and ends after three in a row below threshold − deviation;
 * then the detector is armed again.
 */
import type { ArenaPlan, Part } from '../../engine/arena.ts';

const DEVIATIONS_MIN = 3;
const STEP_DEVIATIONS = 0.5;
const CALM_ROWS = 3;

/** Slots of the state, float64. */
export const THRESHOLD = { value: 0, least: 1, deviation: 2, alarm: 3, calmRows: 4, alarms: 5 } as const;
const THRESHOLD_SLOTS = 6;

export function planThreshold(plan: ArenaPlan): Part<'float64'> {
  return plan.float64('anomaly.threshold', THRESHOLD_SLOTS);
}

/** @param mean and @param deviation of the score while nothing was wrong */
export function startThreshold(state: Float64Array, mean: number, deviation: number): void {
  state.fill(0);
  state[THRESHOLD.least] = mean + DEVIATIONS_MIN * deviation;
  state[THRESHOLD.value] = state[THRESHOLD.least];
  state[THRESHOLD.deviation] = deviation;
}

/**
 * Takes the score of the next row. @returns 1 while there is an alarm, else 0
 * @param budgetRows B
 */
export function takeScore(state: Float64Array, score: number, budgetRows: number): number {
  const step = STEP_DEVIATIONS * state[THRESHOLD.deviation];
  if (state[THRESHOLD.alarm] === 0) {
    if (score > state[THRESHOLD.value]) beginAlarm(state);
    else
      state[THRESHOLD.value] = Math.max(state[THRESHOLD.least], state[THRESHOLD.value] - step / budgetRows);
  } else if (score >= state[THRESHOLD.value] - state[THRESHOLD.deviation]) {
    state[THRESHOLD.calmRows] = 0;
  } else {
    state[THRESHOLD.calmRows] += 1;
    if (state[THRESHOLD.calmRows] >= CALM_ROWS) endAlarm(state);
  }
  return state[THRESHOLD.alarm] | 0;
}

function beginAlarm(state: Float64Array): void {
  state[THRESHOLD.alarm] = 1;
  state[THRESHOLD.calmRows] = 0;
  state[THRESHOLD.alarms] += 1;
}

/** Also when the stream breaks off in an alarm. */
export function endAlarm(state: Float64Array): void {
  if (state[THRESHOLD.alarm] === 0) return;
  state[THRESHOLD.alarm] = 0;
  state[THRESHOLD.value] += STEP_DEVIATIONS * state[THRESHOLD.deviation];
}
