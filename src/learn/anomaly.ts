/**
 * An anomaly detector that needs no examples of anomalies: it learns for some thousand rows what is usual, then
 * guards. Two scores of every row complement each other:
 *
 *     A  how badly an autoencoder (window of W rows x C channels -> H -> the same) reconstructs the window:
 *        the largest over the channels of the mean of r²/(v + 0.05·mean v), r the error, v its usual square
 *     T  how far the newest row, with its change from the row before, is from the usual ones (mahalanobis.ts)
 *
 * Their standardised logarithms' mean is the score, which a threshold with a budget of alarms turns into alarms. A
 * rule beside them sees channels that stand still.
 *
 * A pure function of the rows: all state lies in the arena, so that a copy of it goes on with equal bytes. No row
 * allocates. Constants and what else was tried: DESIGN.md, "Anomalies".
 */
import type { PacedKernels } from '../engine/kernels.ts';
import type { Network } from '../engine/network.ts';
import { PACE } from '../engine/network.ts';
import { LEARNED } from '../engine/reference.ts';
import {
  Z,
  calibrate,
  errorsFrom,
  finishCalibration,
  scoresFrom,
  standardiseScores,
  usualError,
} from './anomaly/calibration.ts';
import { ANSWER, type Anomaly, COUNT, HELD, PHASE, USUAL, clearAnswer } from './anomaly/detector.ts';
import { factorise, farthestValue, takeIntoSpread, writeDistance } from './anomaly/mahalanobis.ts';
import { drawWindow, offerWindow } from './anomaly/reservoir.ts';
import { scaleRows, updateFadingScaler } from './anomaly/scaler.ts';
import { FOUND, STUCK, countMissing, countValue, findStuck, learnRuns } from './anomaly/stuck.ts';
import { THRESHOLD, startThreshold, takeScore } from './anomaly/threshold.ts';
import { PLACE, isFull, pushNewest } from './anomaly/window.ts';

export { type AnomalyConfig, budgetRows, defaultAnomaly } from './anomaly/config.ts';
export {
  ANSWER,
  type Anomaly,
  COUNT,
  PHASE,
  breakAnomaly,
  holdAnomaly,
  openAnomaly,
  planAnomaly,
  relearn,
} from './anomaly/detector.ts';
export { STUCK } from './anomaly/stuck.ts';

/** Steps on windows from the reservoir after each step on a new one. */
const REPLAYED_STEPS = 4;
/** Share of the mean usual error that is added to each: what is reconstructed perfectly is not infinitely surprising. */
const ERROR_FLOOR = 0.05;
/** Where everything is reconstructed perfectly. */
const ERROR_FLOOR_MIN = 1e-9;
/** The norm of the output's error is capped at this times √D. */
const ERROR_PER_OUTPUT_MAX = 5;
const GUARD_RATE_FACTOR = 0.1;
/** A guarding network learns where the error is at most so many times the error that 99 % stay below. */
const GATE_FACTOR = 1.5;
/** Weight of the newest value in the statistics of a guarding scaler. */
const GUARD_FADING = 1e-4;

/** What predicts and takes the steps. */
export interface AnomalyEngine {
  /** inputs -> outputs */
  forward(): void;
  /** A step at the rate of learning on the sample whose `forward` was just computed. @returns LEARNED or SKIPPED */
  learn(): number;
  /** The same at the rate of guarding. */
  guard(): number;
}

/**
 * The detector's rates in the steps of its network. As constants of a closure they are boxed once: a double handed
 * to a function that is not inlined costs 16 bytes of heap.
 * @param steps the kernels of `network`, or in tests the reference
 */
export function engineOf({ config, network }: Anomaly, steps: PacedKernels): AnomalyEngine {
  const learnRate = config.rate;
  const guardRate = GUARD_RATE_FACTOR * config.rate;
  const errorMax = ERROR_PER_OUTPUT_MAX * Math.sqrt(config.windowRows * config.columns);
  const step = (rate: number): number => {
    network.pace[PACE.rate] = rate;
    network.pace[PACE.capped] = 0;
    network.pace[PACE.errorMax] = errorMax;
    return steps.learnPaced();
  };
  return { forward: () => steps.forward(), learn: () => step(learnRate), guard: () => step(guardRate) };
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
  standardiseNewest(detector);
  if (isFull(window)) reconstruct(detector, engine);
  if (answer[ANSWER.phase] === PHASE.guard) guard(detector, engine);
  else if (detector.held[HELD.network] === 0) learn(detector, engine);
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
      countMissing(stuckRule, column);
      continue;
    }
    countValue(stuckRule, column, value === newest[column]);
    newest[column] = value;
    if (moves) updateFadingScaler(scaler, column, value, fading);
  }
}

/** z; the change is 0 on the first row and after a gap. */
function standardiseNewest({ scaler, window, z }: Anomaly): void {
  const { newest, place } = window;
  const columns = newest.length;
  for (let column = 0; column < columns; column++) z[columns + column] = z[column];
  scaleRows(scaler, newest, 0, 1, 0, z);
  for (let column = 0; column < columns; column++) {
    if (place[PLACE.filled] > 1) z[columns + column] = z[column] - z[columns + column];
    else z[columns + column] = 0;
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
function writeReconstruction({ config, squares, usualSquares, usual, answer }: Anomaly): void {
  const columns = config.columns;
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
  learnRuns(stuckRule);
  if (!isFull(window)) return;
  const learned = counts[COUNT.learned];
  if (learned === scoresFrom(config.learnRows)) factorise(distance);
  if (learned >= scoresFrom(config.learnRows)) {
    writeDistance(distance, z, answer, ANSWER.distance);
    calibrate(calibration, answer, ANSWER.reconstruction, ANSWER.distance);
  }
  learnSample(detector, engine);
  replay(detector, engine);
  if (learned >= errorsFrom(config.learnRows)) learnUsualError(detector);
  answer[ANSWER.column] = -1;
  counts[COUNT.learned] += 1;
  if (counts[COUNT.learned] === config.learnRows) beginGuard(detector);
}

/** One step on the sample whose `forward` was just computed: its inputs are its targets. */
function learnSample({ network, counts }: Anomaly, engine: AnomalyEngine): void {
  copyTargets(network);
  if (engine.learn() !== LEARNED) counts[COUNT.skipped] += 1;
}

function copyTargets({ inputs, targets }: Network): void {
  for (let d = 0; d < inputs.length; d++) targets[d] = inputs[d];
}

/** Steps on windows of before, standardised as of now. */
function replay(detector: Anomaly, engine: AnomalyEngine): void {
  const { reservoir, window, scaler, network, config } = detector;
  offerWindow(reservoir, window);
  for (let step = 0; step < REPLAYED_STEPS; step++) {
    scaleRows(scaler, reservoir.windows, drawWindow(reservoir), config.windowRows, 0, network.inputs);
    engine.forward();
    learnSample(detector, engine);
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
  const before = counts[COUNT.learned] - errorsFrom(config.learnRows);
  const alpha = 1 / (before + 1);
  let sum = 0;
  for (let d = 0; d < squares.length; d++) {
    usualSquares[d] += alpha * (squares[d] - usualSquares[d]);
    sum += usualSquares[d];
  }
  usual[USUAL.errorFloor] = Math.max((ERROR_FLOOR * sum) / squares.length, ERROR_FLOOR_MIN);
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
  standardiseScores(calibration, answer, ANSWER.reconstruction, ANSWER.distance, usual, USUAL.deviation);
  answer[ANSWER.score] = calibration.z[Z.score];
  answer[ANSWER.threshold] = threshold[THRESHOLD.value];
  const alarms = threshold[THRESHOLD.alarms];
  answer[ANSWER.alarm] = takeScore(threshold, answer[ANSWER.score], config.budgetRows);
  counts[COUNT.alarms] += threshold[THRESHOLD.alarms] - alarms;
  // A is larger where the network is the more surprised; where the distance is, its own channel is named.
  if (!(calibration.z[Z.reconstruction] >= calibration.z[Z.distance])) {
    answer[ANSWER.column] = farthestValue(distance) % config.columns;
  }
  applyStuckRule(detector);
  if (answer[ANSWER.error] === answer[ANSWER.error]) guardedStep(detector, engine);
}

function applyStuckRule({ stuckRule, counts, answer, config }: Anomaly): void {
  findStuck(stuckRule, config.learnRows);
  const { found } = stuckRule;
  if (found[FOUND.stuck] === STUCK.no) {
    answer[ANSWER.stuck] = STUCK.no;
    return;
  }
  if (answer[ANSWER.stuck] === STUCK.no) counts[COUNT.stuck] += 1;
  answer[ANSWER.stuck] = found[FOUND.stuck];
  answer[ANSWER.alarm] = 1;
  answer[ANSWER.column] = found[FOUND.column];
}

/** A step of the guarding network on the newest window, if it is usual enough. */
function guardedStep(detector: Anomaly, engine: AnomalyEngine): void {
  const { config, network, counts, answer, usual, held } = detector;
  if (config.guardedNetwork === 'frozen' || held[HELD.network] === 1) return;
  if (config.guardedNetwork === 'learning') learnSample(detector, engine);
  else if (answer[ANSWER.error] <= usual[USUAL.gate]) {
    copyTargets(network);
    if (engine.guard() !== LEARNED) counts[COUNT.skipped] += 1;
  } else counts[COUNT.gated] += 1;
}
