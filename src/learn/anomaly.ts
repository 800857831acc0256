/**
 * An anomaly detector that needs no examples of anomalies: it learns for some thousand rows what is usual, then
 * guards. Two scores of every row complement each other:
 *
 *     A  how badly an autoencoder (window of W rows x C channels -> H -> the same) reconstructs the window:
 *        the largest over the channels of the mean of r²/(v + 0.05·mean v), r the error, v its usual square
 *     T  how far the newest row is from the usual ones (mahalanobis.ts); knows nothing of time
 *
 * Their standardised logarithms' mean is the score, which a threshold with a budget of alarms turns into alarms. A
 * rule beside them sees channels that stand still.
 *
 * A pure function of the rows: all state lies in the arena, so that a copy of it goes on with equal bytes. No row
 * allocates. Constants and what else was tried: DESIGN.md, "Anomalies".
 */
import assert from 'node:assert/strict';
import { type ArenaPlan, type Part, type Views, viewsOf } from '../engine/arena.ts';
import type { PacedKernels } from '../engine/kernels.ts';
import {
  type Network,
  initialParameters,
  openNetwork,
  planNetwork,
  writeParameters,
} from '../engine/network.ts';
import { mulberry32 } from '../engine/random.ts';
import { LEARNED } from '../engine/reference.ts';
import {
  type Calibration,
  Z,
  calibrate,
  finishCalibration,
  openCalibration,
  planCalibration,
  resetCalibration,
  standardiseScores,
  usualError,
} from './anomaly/calibration.ts';
import { type AnomalyConfig, autoencoderConfig } from './anomaly/config.ts';
import {
  type Mahalanobis,
  factorise,
  farthestColumn,
  openMahalanobis,
  planMahalanobis,
  resetMahalanobis,
  takeIntoSpread,
  writeDistance,
} from './anomaly/mahalanobis.ts';
import {
  type Reservoir,
  drawWindow,
  offerWindow,
  openReservoir,
  planReservoir,
  resetReservoir,
} from './anomaly/reservoir.ts';
import {
  type FadingScaler,
  openFadingScaler,
  planFadingScaler,
  resetFadingScaler,
  scaleRows,
  updateFadingScaler,
} from './anomaly/scaler.ts';
import {
  type StuckRule,
  countRepeats,
  learnRepeats,
  openStuckRule,
  planStuckRule,
  resetStuckRule,
  stuckColumn,
} from './anomaly/stuck.ts';
import { THRESHOLD, endAlarm, planThreshold, startThreshold, takeScore } from './anomaly/threshold.ts';
import {
  PLACE,
  type RowWindow,
  emptyRowWindow,
  isFull,
  openRowWindow,
  planRowWindow,
  pushNewest,
  resetRowWindow,
} from './anomaly/window.ts';

export { type AnomalyConfig, budgetRows, defaultAnomaly } from './anomaly/config.ts';

/** Steps on windows from the reservoir after each step on a new one. */
const REPLAYED_STEPS = 4;
/** The usual error is taken from here on, as a share of the rows to learn, the usual scores from later on. */
const ERRORS_FROM = 0.5;
const SCORES_FROM = 0.7;
/** Share of the mean usual error that is added to each: what is reconstructed perfectly is not infinitely surprising. */
const ERROR_FLOOR = 0.05;
const GUARD_RATE_FACTOR = 0.1;
/** A guarding network learns where the error is at most so many times the error that 99 % stay below. */
const GATE_FACTOR = 1.5;
/** Weight of the newest value in the statistics of a guarding scaler. */
const GUARD_FADING = 1e-4;
/** The norm of the output's error is capped at this times √D. */
const ERROR_PER_OUTPUT_MAX = 5;

export const PHASE = { learn: 0, guard: 1 } as const;

/** What is said of the newest row: slots of `answer`, float64. */
export const ANSWER = {
  /** Of both scores; NaN while learning. */
  score: 0,
  /** The score above which an alarm begins; NaN while learning. */
  threshold: 1,
  /** 1 while the score gives alarm or a channel is stuck, else 0. */
  alarm: 2,
  /** The channel that is most suspicious, alarm or not; −1 while learning. */
  column: 3,
  /** PHASE. */
  phase: 4,
  /** 1 while a channel stands still for too long. */
  stuck: 5,
  /** A; NaN until the window is full. */
  reconstruction: 6,
  /** T; NaN before the last part of the learn phase. */
  distance: 7,
  /** Mean squared error of the window; NaN until it is full. */
  error: 8,
} as const;
const ANSWER_SLOTS = 9;

/** Slots of `counts`, float64. */
export const COUNT = {
  rows: 0,
  /** Windows learned from in this learn phase. */
  learned: 1,
  /** Rows since it guards, and those whose error was too unusual to learn from. */
  guarded: 2,
  gated: 3,
  /** Steps left out because a weight would not have stayed finite. */
  skipped: 4,
  /** Alarms begun by the score; times a channel got stuck. */
  alarms: 5,
  stuck: 6,
  gaps: 7,
  /** Times the learn phase began. */
  learnPhases: 8,
} as const;
const COUNT_SLOTS = 9;

/** Slots of `usual`, float64. */
const USUAL = { errorFloor: 0, gate: 1, deviation: 2 } as const;
/** Slots of `held`, int32: 1 where the caller wants nothing learned. */
const HELD = { network: 0, scaler: 1 } as const;

type OwnParts = {
  readonly answer: Part<'float64'>;
  readonly counts: Part<'float64'>;
  readonly usual: Part<'float64'>;
  readonly usualSquares: Part<'float64'>;
  readonly squares: Part<'float64'>;
  readonly missing: Part<'float64'>;
  readonly z: Part<'float32'>;
  readonly held: Part<'int32'>;
};

export type AnomalyParts = ReturnType<typeof planAnomaly>;

/** Adds the detector's parts to the plan: with the defaults about 70 KB, nearly all of it reservoir and weights. */
export function planAnomaly(plan: ArenaPlan, config: AnomalyConfig) {
  const { columns, windowRows, learnRows } = config;
  const own: OwnParts = {
    answer: plan.float64('anomaly.answer', ANSWER_SLOTS),
    counts: plan.float64('anomaly.counts', COUNT_SLOTS),
    usual: plan.float64('anomaly.usual', 3),
    usualSquares: plan.float64('anomaly.usualSquares', windowRows * columns), // v [W][C]
    squares: plan.float64('anomaly.squares', windowRows * columns), //           r² of the newest window [W][C]
    missing: plan.float64('anomaly.missing', columns), //                        values missing while learning [C]
    z: plan.float32('anomaly.z', columns), //                                    newest row, standardised [C]
    held: plan.int32('anomaly.held', 2),
  };
  return {
    own,
    network: planNetwork(plan, autoencoderConfig(config)),
    scaler: planFadingScaler(plan, columns),
    window: planRowWindow(plan, windowRows, columns),
    reservoir: planReservoir(plan, windowRows * columns),
    distance: planMahalanobis(plan, columns),
    calibration: planCalibration(plan, learnRows - Math.ceil(ERRORS_FROM * learnRows)),
    threshold: planThreshold(plan),
    stuck: planStuckRule(plan, columns),
  };
}

/** A detector laid over an arena. */
export interface Anomaly extends Views<OwnParts> {
  readonly config: AnomalyConfig;
  readonly network: Network;
  readonly scaler: FadingScaler;
  readonly window: RowWindow;
  readonly reservoir: Reservoir;
  readonly distance: Mahalanobis;
  readonly calibration: Calibration;
  readonly threshold: Float64Array;
  readonly stuckRule: StuckRule;
  /** Largest norm of the output's error in a step. */
  readonly errorMax: number;
}

/** What predicts and takes the steps: the kernels of `network`, or in tests the reference. */
export type AnomalyEngine = PacedKernels;

/** Lays a planned detector over `buffer`, whose content it leaves as it is. */
export function openAnomaly(buffer: ArrayBufferLike, config: AnomalyConfig, parts: AnomalyParts): Anomaly {
  assert(config.learnRows >= 10, 'too few rows to learn from');
  assert(config.budgetRows >= 1, 'more than one alarm per row');
  return {
    ...viewsOf(buffer, parts.own),
    config,
    network: openNetwork(buffer, autoencoderConfig(config), parts.network),
    scaler: openFadingScaler(buffer, parts.scaler),
    window: openRowWindow(buffer, parts.window),
    reservoir: openReservoir(buffer, parts.reservoir),
    distance: openMahalanobis(buffer, parts.distance),
    calibration: openCalibration(buffer, parts.calibration),
    threshold: viewsOf(buffer, { threshold: parts.threshold }).threshold,
    stuckRule: openStuckRule(buffer, parts.stuck),
    errorMax: ERROR_PER_OUTPUT_MAX * Math.sqrt(config.windowRows * config.columns),
  };
}

/**
 * Begins the learn phase: of a new arena, and whenever what is usual has changed for good. Nothing of an earlier one
 * is kept but the counts of rows, alarms and gaps.
 */
export function relearn(detector: Anomaly): void {
  const { config, network, answer, counts } = detector;
  writeParameters(network, initialParameters(network.config, mulberry32(config.seed)));
  resetFadingScaler(detector.scaler);
  resetRowWindow(detector.window);
  resetReservoir(detector.reservoir, config.seed);
  resetMahalanobis(detector.distance);
  resetCalibration(detector.calibration);
  resetStuckRule(detector.stuckRule);
  detector.threshold.fill(0);
  detector.usual.fill(0);
  detector.usualSquares.fill(0);
  detector.missing.fill(0);
  counts[COUNT.learned] = 0;
  counts[COUNT.learnPhases] += 1;
  answer[ANSWER.phase] = PHASE.learn;
  answer[ANSWER.stuck] = 0;
  clearAnswer(detector);
}

/** What stands still from now on, 1 or 0 each: the network's weights; the scaler's statistics. */
export function holdAnomaly({ held }: Anomaly, network: number, scaler: number): void {
  held[HELD.network] = network;
  held[HELD.scaler] = scaler;
}

/** Takes a gap: the window starts anew. An alarm that was on is over; nobody knows what became of it. */
export function breakAnomaly({ window, counts, threshold, stuckRule }: Anomaly): void {
  counts[COUNT.gaps] += 1;
  emptyRowWindow(window);
  stuckRule.repeats.fill(0);
  endAlarm(threshold);
}

/** Takes the row at values[first ..], which may have missing values (NaN), and overwrites `answer`. */
export function takeAnomalyRow(
  detector: Anomaly,
  engine: AnomalyEngine,
  values: Float32Array,
  first: number,
): void {
  const { counts, answer, window } = detector;
  counts[COUNT.rows] += 1;
  clearAnswer(detector);
  takeValues(detector, values, first);
  pushNewest(window);
  scaleRows(detector.scaler, window.newest, 0, 1, 0, detector.z);
  if (isFull(window)) reconstruct(detector, engine);
  if (answer[ANSWER.phase] === PHASE.guard) guard(detector, engine);
  else if (detector.held[HELD.network] === 0) learn(detector, engine);
}

function clearAnswer({ answer }: Anomaly): void {
  answer[ANSWER.score] = NaN;
  answer[ANSWER.threshold] = NaN;
  answer[ANSWER.alarm] = 0;
  answer[ANSWER.column] = -1;
  answer[ANSWER.reconstruction] = NaN;
  answer[ANSWER.distance] = NaN;
  answer[ANSWER.error] = NaN;
}

/** The newest row: statistics, repeats, and the last known value where one is missing. */
function takeValues(detector: Anomaly, values: Float32Array, first: number): void {
  const { window, scaler, stuckRule, missing, answer, held } = detector;
  const { newest } = window;
  const learning = answer[ANSWER.phase] === PHASE.learn;
  const fading = learning || detector.config.guardedScaler === 'running' ? 0 : GUARD_FADING;
  const moves = held[HELD.scaler] === 0 && (learning || detector.config.guardedScaler !== 'frozen');
  for (let column = 0; column < newest.length; column++) {
    const value = values[first + column];
    // Infinity is no measurement either.
    if (value - value !== 0) {
      if (learning) missing[column] += 1;
      countRepeats(stuckRule, column, newest[column] === newest[column]);
      continue;
    }
    countRepeats(stuckRule, column, value === newest[column]);
    newest[column] = value;
    if (moves) updateFadingScaler(scaler, column, value, fading);
  }
}

/** Standardises the window, predicts it, and writes r², its mean and A; targets stay for a step. */
function reconstruct(detector: Anomaly, engine: AnomalyEngine): void {
  const { network, window, scaler, squares, answer } = detector;
  const { inputs, outputs } = network;
  const { place } = window;
  scaleRows(scaler, window.rows, 0, place[PLACE.filled], place[PLACE.oldest], inputs);
  engine.forward();
  let sum = 0;
  for (let d = 0; d < squares.length; d++) {
    const error = outputs[d] - inputs[d];
    squares[d] = error * error;
    sum += squares[d];
  }
  answer[ANSWER.error] = sum / squares.length;
  writeReconstruction(detector);
}

/** A, and the channel it is of. */
function writeReconstruction({ squares, usualSquares, usual, z, answer }: Anomaly): void {
  const columns = z.length;
  const floor = usual[USUAL.errorFloor];
  if (!(floor > 0)) return;
  answer[ANSWER.reconstruction] = -1;
  for (let column = 0; column < columns; column++) {
    let sum = 0;
    for (let d = column; d < squares.length; d += columns) sum += squares[d] / (usualSquares[d] + floor);
    const mean = (sum * columns) / squares.length;
    if (!(mean > answer[ANSWER.reconstruction])) continue;
    answer[ANSWER.reconstruction] = mean;
    answer[ANSWER.column] = column;
  }
}

// --- learn ---

function learn(detector: Anomaly, engine: AnomalyEngine): void {
  const { config, counts, answer, window, distance, calibration, stuckRule, z } = detector;
  takeIntoSpread(distance, z);
  learnRepeats(stuckRule);
  if (!isFull(window)) return;
  const learned = counts[COUNT.learned];
  if (learned === Math.ceil(SCORES_FROM * config.learnRows)) factorise(distance);
  if (learned >= SCORES_FROM * config.learnRows) {
    writeDistance(distance, z, answer, ANSWER.distance);
    calibrate(calibration, answer[ANSWER.reconstruction], answer[ANSWER.distance]);
  }
  takeStep(detector, engine, config.rate);
  replay(detector, engine);
  if (learned >= ERRORS_FROM * config.learnRows) learnUsualError(detector);
  answer[ANSWER.column] = -1;
  counts[COUNT.learned] += 1;
  if (counts[COUNT.learned] === config.learnRows) beginGuard(detector);
}

/** One step on the sample whose `forward` was just computed: its inputs are its targets. */
function takeStep({ network, counts, errorMax }: Anomaly, engine: AnomalyEngine, rate: number): void {
  network.targets.set(network.inputs);
  if (engine.learnAt(rate, 0, errorMax) !== LEARNED) counts[COUNT.skipped] += 1;
}

/** Steps on windows of before, standardised as of now. */
function replay(detector: Anomaly, engine: AnomalyEngine): void {
  const { reservoir, window, scaler, network, config } = detector;
  offerWindow(reservoir, window);
  for (let step = 0; step < REPLAYED_STEPS; step++) {
    scaleRows(scaler, reservoir.windows, drawWindow(reservoir), config.windowRows, 0, network.inputs);
    engine.forward();
    takeStep(detector, engine, config.rate);
  }
}

/** v as the running mean of r², which was taken before the step; and the window's error. */
function learnUsualError({
  config,
  counts,
  squares,
  usualSquares,
  usual,
  answer,
  calibration,
}: Anomaly): void {
  const before = counts[COUNT.learned] - Math.ceil(ERRORS_FROM * config.learnRows);
  const alpha = 1 / (before + 1);
  let sum = 0;
  for (let d = 0; d < squares.length; d++) {
    usualSquares[d] += alpha * (squares[d] - usualSquares[d]);
    sum += usualSquares[d];
  }
  usual[USUAL.errorFloor] = (ERROR_FLOOR * sum) / squares.length;
  calibration.errors[before] = answer[ANSWER.error];
}

function beginGuard({ distance, calibration, usual, threshold, answer, counts }: Anomaly): void {
  factorise(distance);
  usual[USUAL.gate] = GATE_FACTOR * usualError(calibration);
  usual[USUAL.deviation] = finishCalibration(calibration);
  startThreshold(threshold, 0, usual[USUAL.deviation]);
  counts[COUNT.guarded] = 0;
  answer[ANSWER.phase] = PHASE.guard;
}

// --- guard ---

function guard(detector: Anomaly, engine: AnomalyEngine): void {
  const { config, counts, answer, distance, z, usual, threshold, calibration } = detector;
  counts[COUNT.guarded] += 1;
  writeDistance(distance, z, answer, ANSWER.distance);
  standardiseScores(
    calibration,
    answer[ANSWER.reconstruction],
    answer[ANSWER.distance],
    usual[USUAL.deviation],
  );
  answer[ANSWER.score] = calibration.z[Z.score];
  answer[ANSWER.threshold] = threshold[THRESHOLD.value];
  const alarms = threshold[THRESHOLD.alarms];
  answer[ANSWER.alarm] = takeScore(threshold, answer[ANSWER.score], config.budgetRows);
  counts[COUNT.alarms] += threshold[THRESHOLD.alarms] - alarms;
  // A is larger where the network is the more surprised; where the distance is, its own channel is named.
  if (!(calibration.z[Z.reconstruction] >= calibration.z[Z.distance])) {
    answer[ANSWER.column] = farthestColumn(distance);
  }
  applyStuckRule(detector);
  if (answer[ANSWER.error] === answer[ANSWER.error]) guardedStep(detector, engine);
}

function applyStuckRule({ stuckRule, counts, answer, config }: Anomaly): void {
  const column = stuckColumn(stuckRule, config.learnRows);
  if (column < 0) {
    answer[ANSWER.stuck] = 0;
    return;
  }
  if (answer[ANSWER.stuck] === 0) counts[COUNT.stuck] += 1;
  answer[ANSWER.stuck] = 1;
  answer[ANSWER.alarm] = 1;
  answer[ANSWER.column] = column;
}

/** A step of the guarding network on the newest window, if it is usual enough. */
function guardedStep(detector: Anomaly, engine: AnomalyEngine): void {
  const { config, counts, answer, usual, held } = detector;
  if (config.guardedNetwork === 'frozen' || held[HELD.network] === 1) return;
  if (config.guardedNetwork === 'learning') takeStep(detector, engine, config.rate);
  else if (answer[ANSWER.error] <= usual[USUAL.gate]) {
    takeStep(detector, engine, GUARD_RATE_FACTOR * config.rate);
  } else counts[COUNT.gated] += 1;
}
