/** Runs the detector over a series, and beside it the scores it is compared with, under the same budget of alarms. */
import { ArenaPlan } from '../../../src/engine/arena.ts';
import { openKernels } from '../../../src/engine/kernels.ts';
import {
  ANSWER,
  type Anomaly,
  type AnomalyConfig,
  type AnomalyEngine,
  defaultAnomaly,
  engineOf,
  openAnomaly,
  planAnomaly,
  relearn,
  takeAnomalyRow,
} from '../../../src/learn/anomaly.ts';
import { scoresFrom } from '../../../src/learn/anomaly/calibration.ts';
import {
  factorise,
  openMahalanobis,
  planMahalanobis,
  resetMahalanobis,
  takeIntoSpread,
  writeDistance,
} from '../../../src/learn/anomaly/mahalanobis.ts';
import { THRESHOLD } from '../../../src/learn/anomaly/threshold.ts';
import type { Series } from './anomaly-faults.ts';
import { type Scored, alarmsOf } from './anomaly-scoring.ts';

export const METHODS = [
  'score and stuck rule',
  'score alone',
  'T of row and change',
  'T of the row',
  'squared error',
  'largest |z|',
] as const;
export type Method = (typeof METHODS)[number];

export interface Run {
  readonly methods: { readonly [M in Method]: Scored };
  /** The most suspicious channel of every row; −1 while learning. */
  readonly columns: Int32Array;
  /** The first row that is guarded. */
  readonly guardFrom: number;
}

/** Keeps a logarithm of zero finite. */
const LEAST = 1e-6;
/** Ranks a stuck channel above every score. */
const STUCK_SCORE = 100;

export function newDetector(config: AnomalyConfig): {
  detector: Anomaly;
  engine: AnomalyEngine;
  sizeBytes: number;
} {
  const plan = new ArenaPlan();
  const parts = planAnomaly(plan, config);
  const memory = plan.allocate();
  const detector = openAnomaly(memory.buffer, config, parts);
  relearn(detector);
  return {
    detector,
    engine: engineOf(detector, openKernels(memory, detector.network)),
    sizeBytes: plan.sizeBytes,
  };
}

/** The default detector, but for what is said. */
export function configOf(columns: number, changes: Partial<AnomalyConfig>): AnomalyConfig {
  return { ...defaultAnomaly(columns, 1, 1), ...changes };
}

/** @param series without gaps; the config's columns are the first of it */
export function runDetector(series: Series, config: AnomalyConfig): Run {
  const { rows, values, columns } = series;
  const { detector, engine } = newDetector(config);
  const { answer, threshold } = detector;
  const rowDistance = rowDistanceOf(detector);
  const scores = () => new Float64Array(rows).fill(NaN);
  const [score, stuck, distance, alone, error, largest] = METHODS.map(scores);
  const [scoreAlarms, allAlarms] = [new Uint8Array(rows), new Uint8Array(rows)];
  const suspects = new Int32Array(rows);
  const warmRows = config.windowRows - 1;
  const calibrateFrom = warmRows + scoresFrom(config.learnRows);
  const guardFrom = warmRows + config.learnRows;
  for (let row = 0; row < rows; row++) {
    takeAnomalyRow(detector, engine, values, row * columns);
    score[row] = answer[ANSWER.score];
    stuck[row] = score[row] + (answer[ANSWER.stuck] > 0 ? STUCK_SCORE : 0);
    distance[row] = Math.log(answer[ANSWER.distance] + LEAST);
    alone[row] = rowDistance(row, calibrateFrom, guardFrom);
    error[row] = Math.log(answer[ANSWER.error] + LEAST);
    largest[row] = Math.log(largestMagnitude(detector.z, columns) + LEAST);
    scoreAlarms[row] = threshold[THRESHOLD.alarm];
    allAlarms[row] = answer[ANSWER.alarm];
    suspects[row] = answer[ANSWER.column];
  }
  const budgeted = (of: Float64Array) => ({
    scores: of,
    alarms: alarmsOf(of, calibrateFrom, guardFrom, config.budgetRows),
  });
  return {
    methods: {
      'score and stuck rule': { scores: stuck, alarms: allAlarms },
      'score alone': { scores: score, alarms: scoreAlarms },
      'T of row and change': budgeted(distance),
      'T of the row': budgeted(alone),
      'squared error': budgeted(error),
      'largest |z|': budgeted(largest),
    },
    columns: suspects,
    guardFrom,
  };
}

/** log T of the newest row without its change, learned from the same rows. */
function rowDistanceOf({
  z,
  config,
}: Anomaly): (row: number, calibrateFrom: number, guardFrom: number) => number {
  const plan = new ArenaPlan();
  const parts = planMahalanobis(plan, config.columns);
  const model = openMahalanobis(plan.allocate().buffer, parts);
  resetMahalanobis(model);
  const newest = z.subarray(0, config.columns);
  const answer = new Float64Array(1);
  return (row, calibrateFrom, guardFrom) => {
    if (row < guardFrom) takeIntoSpread(model, newest);
    if (row === calibrateFrom || row === guardFrom) factorise(model);
    if (row < calibrateFrom) return NaN;
    writeDistance(model, newest, answer, 0);
    return Math.log(answer[0] + LEAST);
  };
}

function largestMagnitude(values: Float32Array, count: number): number {
  let largest = 0;
  for (let i = 0; i < count; i++) largest = Math.max(largest, Math.abs(values[i]));
  return largest;
}
