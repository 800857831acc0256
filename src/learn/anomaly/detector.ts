/** The anomaly detector's state: what it is planned as, laid over an arena, begun anew. What it does: ../anomaly.ts. */
import assert from 'node:assert/strict';
import { type ArenaPlan, type Part, type Views, viewsOf } from '../../engine/arena.ts';
import {
  type Network,
  initialParameters,
  openNetwork,
  planNetwork,
  writeParameters,
} from '../../engine/network.ts';
import { mulberry32 } from '../../engine/random.ts';
import { type Calibration, openCalibration, planCalibration, resetCalibration } from './calibration.ts';
import { type AnomalyConfig, autoencoderConfig } from './config.ts';
import { type Mahalanobis, openMahalanobis, planMahalanobis, resetMahalanobis } from './mahalanobis.ts';
import { type Reservoir, openReservoir, planReservoir, resetReservoir } from './reservoir.ts';
import { type FadingScaler, openFadingScaler, planFadingScaler, resetFadingScaler } from './scaler.ts';
import { type StuckRule, endRuns, openStuckRule, planStuckRule, resetStuckRule } from './stuck.ts';
import { endAlarm, planThreshold } from './threshold.ts';
import { type RowWindow, emptyRowWindow, openRowWindow, planRowWindow, resetRowWindow } from './window.ts';

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
  /** STUCK: whether that channel repeats a value or is silent for too long. */
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
  /** Alarms begun by the score; times that channels got stuck. */
  alarms: 5,
  stuck: 6,
  gaps: 7,
  /** Times the learn phase began. */
  learnPhases: 8,
} as const;
const COUNT_SLOTS = 9;

/** Slots of `usual`, float64. */
export const USUAL = { errorFloor: 0, gate: 1, deviation: 2 } as const;
/** Slots of `held`, int32: 1 where the caller wants nothing learned. */
export const HELD = { network: 0, scaler: 1 } as const;

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
    z: plan.float32('anomaly.z', 2 * columns), // newest row, standardised, and its change from the row before [2C]
    held: plan.int32('anomaly.held', 2),
  };
  return {
    own,
    network: planNetwork(plan, autoencoderConfig(config)),
    scaler: planFadingScaler(plan, columns),
    window: planRowWindow(plan, windowRows, columns),
    reservoir: planReservoir(plan, windowRows * columns),
    distance: planMahalanobis(plan, 2 * columns),
    calibration: planCalibration(plan, learnRows),
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
}

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
  detector.z.fill(0);
  counts[COUNT.learned] = 0;
  counts[COUNT.learnPhases] += 1;
  answer[ANSWER.phase] = PHASE.learn;
  answer[ANSWER.stuck] = 0;
  clearAnswer(detector);
}

/** What stands still from now on, 1 or 0 each: the network, and with it a learn phase; the scaler's statistics. */
export function holdAnomaly({ held }: Anomaly, network: number, scaler: number): void {
  held[HELD.network] = network;
  held[HELD.scaler] = scaler;
}

/** Takes a gap: the window starts anew. An alarm that was on is over; nobody knows what became of it. */
export function breakAnomaly({ window, counts, threshold, stuckRule }: Anomaly): void {
  counts[COUNT.gaps] += 1;
  emptyRowWindow(window);
  endRuns(stuckRule);
  endAlarm(threshold);
}

export function clearAnswer({ answer }: Anomaly): void {
  answer[ANSWER.score] = NaN;
  answer[ANSWER.threshold] = NaN;
  answer[ANSWER.alarm] = 0;
  answer[ANSWER.column] = -1;
  answer[ANSWER.reconstruction] = NaN;
  answer[ANSWER.distance] = NaN;
  answer[ANSWER.error] = NaN;
}
