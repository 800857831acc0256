/**
 * Honest scores of an anomaly detector: how its score ranks (ranking.ts), and what its alarm does. What is anomalous
 * is known for some rows, or for none; then only alarms per hour remain.
 *
 * An alarm begins with a row that has it after one that had not; it is false if that row is known to be normal. A
 * window is a run of rows known to be anomalous (rows of which nothing is known neither begin nor end one); it is hit
 * if there is an alarm on one of its rows, and the delay is the time from its first row to that one. Hours are those
 * between rows that follow each other, without gaps.
 *
 *     sums [2 x DETECTION_SUMS]  all time, fading (N = 10,000 rows)
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../../engine/arena.ts';
import { WINDOW, WINDOWS, ageWindow, fadeSums } from './fading.ts';
import { RANKING_FADING_ROWS, type Ranking, openRanking, planRanking, rankScore } from './ranking.ts';

/** What is known of a row. */
export const ANOMALY = { unknown: -1, no: 0, yes: 1 } as const;

export const DETECTION_SUM = {
  rows: 0,
  observedUs: 1,
  alarms: 2,
  alarmRows: 3,
  normalRows: 4,
  /** Time before rows known to be normal: what false alarms are counted against. */
  normalUs: 5,
  falseAlarms: 6,
  falseAlarmRows: 7,
  anomalousRows: 8,
  anomalousAlarmRows: 9,
  windows: 10,
  windowsHit: 11,
  /** Summed over windows hit. */
  delayUs: 12,
  /** Weight that the window now open began with: it is hit with the same. Not a score. */
  windowWeight: 13,
} as const;
export const DETECTION_SUMS = 14;

const TIME = { row: 0, beforeRow: 1, windowBegan: 2 } as const;

const STATE = {
  /** 1: the row before and this one follow each other. */
  hasTime: 0,
  alarm: 1,
  /** 1: in a window; 1: it has been hit. */
  inWindow: 2,
  hit: 3,
  /** What became of the newest row, as flags 0 or 1. */
  alarmBegan: 4,
  windowBegan: 5,
  windowWasHit: 6,
} as const;

type DetectionParts = {
  readonly weights: Part<'float64'>;
  readonly sums: Part<'float64'>;
  /** [3], in µs: of the row to be scored, of the row before, of the first row of the window. */
  readonly times: Part<'float64'>;
  readonly state: Part<'int32'>;
};

export interface DetectionPlan {
  readonly sums: DetectionParts;
  readonly ranking: ReturnType<typeof planRanking>;
}

export interface Detection extends Views<DetectionParts> {
  readonly ranking: Ranking;
}

export function planDetection(plan: ArenaPlan): DetectionPlan {
  return {
    sums: {
      weights: plan.float64('alarmScores.weights', WINDOWS),
      sums: plan.float64('alarmScores.sums', WINDOWS * DETECTION_SUMS),
      times: plan.float64('alarmScores.times', 3),
      state: plan.int32('alarmScores.state', 7),
    },
    ranking: planRanking(plan, 'alarmScores.ranking'),
  };
}

/** Lays the scores over `buffer`, whose content it leaves as it is; a new arena, all zero, is right for a new run. */
export function openDetection(buffer: ArrayBufferLike, { sums, ranking }: DetectionPlan): Detection {
  return { ...viewsOf(buffer, sums), ranking: openRanking(buffer, ranking) };
}

/**
 * Scores one row; once per row, in their order.
 * @param score     the higher the more anomalous
 * @param alarm     1 while there is an alarm, else 0
 * @param isAnomaly ANOMALY.unknown, no or yes
 * @param timeUs    of the record
 */
export function scoreAnomaly(
  scores: Detection,
  score: number,
  alarm: number,
  isAnomaly: number,
  timeUs: number,
): void {
  // So small that it is inlined, and the doubles are not boxed on their way.
  scores.ranking.score[0] = score;
  scores.times[TIME.row] = timeUs;
  scoreAlarm(scores, alarm, isAnomaly);
}

/** The stream was interrupted: the time until the next row was not watched. */
export function markDetectionGap({ state }: Detection): void {
  state[STATE.hasTime] = 0;
}

function scoreAlarm(scores: Detection, alarm: number, isAnomaly: number): void {
  const { ranking, weights, sums, times, state } = scores;
  if (isAnomaly >= 0) rankScore(ranking, isAnomaly);
  if (ageWindow(weights, 0, RANKING_FADING_ROWS)) fadeSums(sums, DETECTION_SUMS, 2 * DETECTION_SUMS);
  followWindow(scores, alarm, isAnomaly);
  state[STATE.alarmBegan] = alarm === 1 && state[STATE.alarm] === 0 ? 1 : 0;
  countAlarm(scores, WINDOW.all, alarm, isAnomaly);
  countAlarm(scores, WINDOW.fading, alarm, isAnomaly);
  state[STATE.alarm] = alarm;
  state[STATE.hasTime] = 1;
  times[TIME.beforeRow] = times[TIME.row];
}

function followWindow({ times, state }: Detection, alarm: number, isAnomaly: number): void {
  state[STATE.windowBegan] = 0;
  state[STATE.windowWasHit] = 0;
  if (isAnomaly === ANOMALY.no) state[STATE.inWindow] = 0;
  if (isAnomaly !== ANOMALY.yes) return;
  if (state[STATE.inWindow] === 0) {
    state[STATE.inWindow] = 1;
    state[STATE.hit] = 0;
    state[STATE.windowBegan] = 1;
    times[TIME.windowBegan] = times[TIME.row];
  }
  if (alarm === 0 || state[STATE.hit] === 1) return;
  state[STATE.hit] = 1;
  state[STATE.windowWasHit] = 1;
}

function countAlarm(scores: Detection, window: number, alarm: number, isAnomaly: number): void {
  const { weights, sums, times, state } = scores;
  const at = window * DETECTION_SUMS;
  const weight = weights[window];
  // A record's time is monotonic; should it not be, no time has passed.
  let passedUs = 0;
  if (state[STATE.hasTime] === 1) passedUs = Math.max(0, times[TIME.row] - times[TIME.beforeRow]);
  sums[at + DETECTION_SUM.rows] += weight;
  sums[at + DETECTION_SUM.observedUs] += weight * passedUs;
  if (alarm === 1) sums[at + DETECTION_SUM.alarmRows] += weight;
  if (state[STATE.alarmBegan] === 1) sums[at + DETECTION_SUM.alarms] += weight;
  if (isAnomaly === ANOMALY.no) {
    sums[at + DETECTION_SUM.normalRows] += weight;
    sums[at + DETECTION_SUM.normalUs] += weight * passedUs;
    if (alarm === 1) sums[at + DETECTION_SUM.falseAlarmRows] += weight;
    if (state[STATE.alarmBegan] === 1) sums[at + DETECTION_SUM.falseAlarms] += weight;
  } else if (isAnomaly === ANOMALY.yes) {
    sums[at + DETECTION_SUM.anomalousRows] += weight;
    if (alarm === 1) sums[at + DETECTION_SUM.anomalousAlarmRows] += weight;
    countWindow(scores, window);
  }
}

function countWindow({ weights, sums, times, state }: Detection, window: number): void {
  const at = window * DETECTION_SUMS;
  if (state[STATE.windowBegan] === 1) {
    sums[at + DETECTION_SUM.windowWeight] = weights[window];
    sums[at + DETECTION_SUM.windows] += weights[window];
  }
  if (state[STATE.windowWasHit] === 0) return;
  const weight = sums[at + DETECTION_SUM.windowWeight];
  sums[at + DETECTION_SUM.windowsHit] += weight;
  sums[at + DETECTION_SUM.delayUs] += weight * (times[TIME.row] - times[TIME.windowBegan]);
}
