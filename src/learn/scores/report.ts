/**
 * Scores as a plain document, ready for JSON: shares are 0..1, other units stand in the names, and what cannot be
 * said (nothing to divide by, too few rows) is null. It allocates, so it is for readers of a snapshot, not for rows.
 */
import { log } from '../../engine/arithmetic.ts';
import {
  CLASS_COMPETITOR,
  CLASS_COMPETITORS,
  CLASS_TOTAL,
  CLASS_TOTALS,
  type Classification,
} from './classification.ts';
import { type Scale, type Verdict, gainOf, verdictOf } from './comparison.ts';
import { DETECTION_SUM, DETECTION_SUMS, type Detection } from './detection.ts';
import { FADING_ROWS, WINDOW, WINDOWS, halfLifeRows } from './fading.ts';
import { RANKING_FADING_ROWS, areaOf } from './ranking.ts';
import {
  ACTUAL,
  ACTUALS,
  ERROR_SUM,
  ERROR_SUMS,
  type Regression,
  VALUE_COMPETITOR,
  VALUE_COMPETITORS,
} from './regression.ts';

const US_PER_SECOND = 1_000_000;
const US_PER_HOUR = 3_600_000_000;

/** NaN and infinities say nothing to a reader of JSON. */
function known(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function meanOfKnown(values: readonly (number | null)[]): number | null {
  const some = values.filter((value) => value !== null);
  return known(some.reduce((sum, value) => sum + value, 0) / some.length);
}

/** What every competitor is measured by. */
export interface ClassShares {
  readonly accuracy: number | null;
  /** Mean over the classes that came of the share of their rows that was right. */
  readonly balancedAccuracy: number | null;
  /** Cohen's kappa: 0 is what answering by the frequencies would give, 1 is all right. */
  readonly kappa: number | null;
  /** Mean of F1 over the classes that came. */
  readonly f1Macro: number | null;
  readonly f1PerClass: readonly (number | null)[];
  /** Right answers on the first row after a change of label, where the label before is always wrong. */
  readonly accuracyAtChanges: number | null;
}

export interface ClassWindow extends ClassShares {
  /** Rows scored; in the fading window the sum of their weights. */
  readonly rows: number;
  readonly logLossNats: number | null;
  /** What knowing only how frequent each class was would have cost. */
  readonly logLossOfFrequenciesNats: number | null;
  readonly changes: number;
  /** [label][answer], rows. */
  readonly confusion: readonly (readonly number[])[];
  readonly beside: { majority: ClassShares; lastLabel: ClassShares; linear: ClassShares | null };
}

/** The network beside one baseline, on the rows where both answered. */
export interface ClassGain {
  readonly rows: number;
  /** Accuracy of the network − accuracy of the baseline, in points (hundredths), and its 95 % interval. */
  readonly gainPoints: number | null;
  readonly gainPointsLow: number | null;
  readonly gainPointsHigh: number | null;
  readonly verdict: Verdict;
}

export interface ClassificationReport {
  readonly task: 'classify';
  readonly fadingHalfLifeRows: number;
  readonly all: ClassWindow;
  readonly recent: ClassWindow;
  readonly against: { majority: ClassGain; lastLabel: ClassGain; linear: ClassGain | null };
}

export function classificationReport(scores: Classification): ClassificationReport {
  const hasLinear = answersOf(scores, WINDOW.all, CLASS_COMPETITOR.linear) > 0;
  return {
    task: 'classify',
    fadingHalfLifeRows: halfLifeRows(FADING_ROWS),
    all: classWindow(scores, WINDOW.all),
    recent: classWindow(scores, WINDOW.fading),
    against: {
      majority: classGain(scores, CLASS_COMPETITOR.majority),
      lastLabel: classGain(scores, CLASS_COMPETITOR.lastLabel),
      linear: hasLinear ? classGain(scores, CLASS_COMPETITOR.linear) : null,
    },
  };
}

function classWindow(scores: Classification, window: number): ClassWindow {
  const { classes: K, confusion, weights } = scores;
  // Nothing scored: any weight will do.
  const weight = weights[window] || 1;
  const total = (slot: number): number => scores.totals[window * CLASS_TOTALS + slot] / weight;
  const rows = total(CLASS_TOTAL.rows);
  const linear = classShares(scores, window, CLASS_COMPETITOR.linear);
  const row = (label: number): number[] => {
    const first = (window * K + label) * K;
    return Array.from(confusion.subarray(first, first + K), (count) => count / weight);
  };
  return {
    rows,
    ...classShares(scores, window, CLASS_COMPETITOR.network),
    logLossNats: known(total(CLASS_TOTAL.logLoss) / rows),
    logLossOfFrequenciesNats: known(entropyOf(scores.labels.subarray(window * K, (window + 1) * K))),
    changes: total(CLASS_TOTAL.changes),
    confusion: Array.from({ length: K }, (_, label) => row(label)),
    beside: {
      majority: classShares(scores, window, CLASS_COMPETITOR.majority),
      lastLabel: classShares(scores, window, CLASS_COMPETITOR.lastLabel),
      linear: answersOf(scores, window, CLASS_COMPETITOR.linear) > 0 ? linear : null,
    },
  };
}

/** Rows that a competitor answered, by weight. */
function answersOf({ classes: K, answered }: Classification, window: number, competitor: number): number {
  const first = (window * CLASS_COMPETITORS + competitor) * K;
  return sumOf(answered.subarray(first, first + K));
}

function classShares(scores: Classification, window: number, competitor: number): ClassShares {
  const { classes: K, totals } = scores;
  const place = window * CLASS_COMPETITORS + competitor;
  const labels = [...scores.labels.subarray(window * K, (window + 1) * K)];
  const correct = scores.correct.subarray(place * K, (place + 1) * K);
  const answered = scores.answered.subarray(place * K, (place + 1) * K);
  const rows = sumOf(labels);
  const accuracy = sumOf(correct) / rows;
  const byChance = sumOf(labels.map((count, k) => (count / rows) * (answered[k] / rows)));
  const f1PerClass = labels.map((count, k) => known((2 * correct[k]) / (count + answered[k])));
  const changes = totals[window * CLASS_TOTALS + CLASS_TOTAL.changes];
  return {
    accuracy: known(accuracy),
    balancedAccuracy: meanOfKnown(labels.map((count, k) => known(correct[k] / count))),
    kappa: known((accuracy - byChance) / (1 - byChance)),
    f1Macro: meanOfKnown(f1PerClass.filter((_, k) => labels[k] > 0)),
    f1PerClass,
    accuracyAtChanges: known(scores.changesCorrect[place] / changes),
  };
}

function sumOf(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}

/** −Σ p·log p of the shares of counts, in nats. */
function entropyOf(counts: Float64Array): number {
  const all = sumOf(counts);
  let entropy = all === 0 ? NaN : 0;
  for (const count of counts) if (count > 0) entropy -= (count / all) * log(count / all);
  return entropy;
}

const CLASS_SCALE: Scale = { relative: false, largest: 1 };

/**
 * A gain in accuracy worth having: a tenth of the baseline's errors, but not less than 0.02 points nor more than half
 * a point.
 */
function usefulAccuracy(baselineErrors: number): number {
  return Math.min(Math.max(baselineErrors / 10, 0.0002), 0.005);
}

function classGain({ comparison }: Classification, competitor: number): ClassGain {
  const gain = gainOf(comparison, competitor - 1, CLASS_SCALE);
  return {
    rows: gain.rows,
    gainPoints: known(100 * gain.gain),
    gainPointsLow: known(100 * gain.low),
    gainPointsHigh: known(100 * gain.high),
    verdict: verdictOf(gain, usefulAccuracy(gain.baselineLoss)),
  };
}

export interface ValueErrors {
  /** Rows answered; in the fading window the sum of their weights. */
  readonly rows: number;
  /** Both in the unit of the target. */
  readonly rmse: number | null;
  readonly mae: number | null;
  /** 1 − mean squared error / variance of what came: 0 is what its mean would give, 1 is exact. */
  readonly r2: number | null;
}

export interface ValueWindow extends ValueErrors {
  readonly beside: {
    runningMean: ValueErrors | null;
    persistence: ValueErrors | null;
    linear: ValueErrors | null;
  };
}

/** The network beside one baseline, on the rows where both answered. */
export interface ValueGain {
  readonly rows: number;
  /** By how much the network's mean squared error is less, in percent of the baseline's, and its 95 % interval. */
  readonly gainPercentOfSquaredError: number | null;
  readonly gainPercentLow: number | null;
  readonly gainPercentHigh: number | null;
  readonly verdict: Verdict;
}

export interface TargetReport {
  readonly target: string;
  /** Rows left out since the network's answer was not a finite number. */
  readonly notFinite: number;
  readonly all: ValueWindow;
  readonly recent: ValueWindow;
  readonly against: {
    runningMean: ValueGain | null;
    persistence: ValueGain | null;
    linear: ValueGain | null;
  };
}

export interface RegressionReport {
  readonly task: 'regress';
  readonly fadingHalfLifeRows: number;
  readonly targets: readonly TargetReport[];
}

/** @param names of the targets [T] */
export function regressionReport(scores: Regression, names: readonly string[]): RegressionReport {
  return {
    task: 'regress',
    fadingHalfLifeRows: halfLifeRows(FADING_ROWS),
    targets: names.map((name, target) => targetReport(scores, target, name)),
  };
}

function targetReport(scores: Regression, target: number, name: string): TargetReport {
  return {
    target: name,
    notFinite: scores.notFinite[target],
    all: valueWindow(scores, WINDOW.all, target),
    recent: valueWindow(scores, WINDOW.fading, target),
    against: {
      runningMean: valueGain(scores, target, VALUE_COMPETITOR.runningMean),
      persistence: valueGain(scores, target, VALUE_COMPETITOR.persistence),
      linear: valueGain(scores, target, VALUE_COMPETITOR.linear),
    },
  };
}

function valueWindow(scores: Regression, window: number, target: number): ValueWindow {
  const errors = (competitor: number): ValueErrors => valueErrors(scores, window, target, competitor);
  const answered = (competitor: number): ValueErrors | null =>
    errors(competitor).rows > 0 ? errors(competitor) : null;
  return {
    ...errors(VALUE_COMPETITOR.network),
    beside: {
      runningMean: answered(VALUE_COMPETITOR.runningMean),
      persistence: answered(VALUE_COMPETITOR.persistence),
      linear: answered(VALUE_COMPETITOR.linear),
    },
  };
}

function valueErrors(
  { targets: T, weights, errors, actual }: Regression,
  window: number,
  target: number,
  competitor: number,
): ValueErrors {
  const first = ((window * T + target) * VALUE_COMPETITORS + competitor) * ERROR_SUMS;
  const came = (window * T + target) * ACTUALS;
  const rows = errors[first + ERROR_SUM.rows];
  const meanSquare = errors[first + ERROR_SUM.squared] / rows;
  const variance = actual[came + ACTUAL.m2] / actual[came + ACTUAL.rows];
  return {
    rows: rows / (weights[target * WINDOWS + window] || 1),
    rmse: known(Math.sqrt(meanSquare)),
    mae: known(errors[first + ERROR_SUM.absolute] / rows),
    r2: known(1 - meanSquare / variance),
  };
}

const VALUE_SCALE: Scale = { relative: true, largest: 0 };

/** A gain worth having: 2 % of the squared error, which is 1 % of RMSE. */
const USEFUL_SQUARED_ERROR = 0.02;

function valueGain({ comparison }: Regression, target: number, competitor: number): ValueGain | null {
  const gain = gainOf(comparison, target * (VALUE_COMPETITORS - 1) + competitor - 1, VALUE_SCALE);
  if (gain.rows === 0) return null;
  return {
    rows: gain.rows,
    gainPercentOfSquaredError: known(100 * gain.gain),
    gainPercentLow: known(100 * gain.low),
    gainPercentHigh: known(100 * gain.high),
    verdict: verdictOf(gain, USEFUL_SQUARED_ERROR),
  };
}

export interface DetectionWindow {
  /** Rows scored, and those of which something is known; in the fading window the sums of their weights. */
  readonly rows: number;
  readonly normalRows: number;
  readonly anomalousRows: number;
  readonly observedHours: number;
  readonly alarms: number;
  readonly alarmsPerHour: number | null;
  readonly alarmRowsShare: number | null;
  /** Alarms that began on a row known to be normal. */
  readonly falseAlarms: number;
  readonly falseAlarmsPerHour: number | null;
  readonly falseAlarmRowsShare: number | null;
  /** Share of the rows known to be anomalous that had an alarm. */
  readonly anomalousRowsFound: number | null;
  readonly windows: number;
  readonly windowsHit: number;
  /** Mean over the windows hit. */
  readonly delaySecondsMean: number | null;
  /** Area under the ROC curve, and how far the true one can be from it. */
  readonly rocAuc: number | null;
  readonly rocAucErrorMax: number | null;
}

export interface DetectionReport {
  readonly task: 'anomaly';
  readonly fadingHalfLifeRows: number;
  readonly all: DetectionWindow;
  readonly recent: DetectionWindow;
}

export function detectionReport(scores: Detection): DetectionReport {
  return {
    task: 'anomaly',
    fadingHalfLifeRows: halfLifeRows(RANKING_FADING_ROWS),
    all: detectionWindow(scores, WINDOW.all),
    recent: detectionWindow(scores, WINDOW.fading),
  };
}

function detectionWindow({ weights, sums, ranking }: Detection, window: number): DetectionWindow {
  const weight = weights[window] || 1;
  const sum = (slot: number): number => sums[window * DETECTION_SUMS + slot] / weight;
  const perHour = (events: number, us: number): number | null => known((events * US_PER_HOUR) / us);
  const { area, errorMax } = areaOf(ranking, window);
  const S = DETECTION_SUM;
  return {
    rows: sum(S.rows),
    normalRows: sum(S.normalRows),
    anomalousRows: sum(S.anomalousRows),
    observedHours: sum(S.observedUs) / US_PER_HOUR,
    alarms: sum(S.alarms),
    alarmsPerHour: perHour(sum(S.alarms), sum(S.observedUs)),
    alarmRowsShare: known(sum(S.alarmRows) / sum(S.rows)),
    falseAlarms: sum(S.falseAlarms),
    falseAlarmsPerHour: perHour(sum(S.falseAlarms), sum(S.normalUs)),
    falseAlarmRowsShare: known(sum(S.falseAlarmRows) / sum(S.normalRows)),
    anomalousRowsFound: known(sum(S.anomalousAlarmRows) / sum(S.anomalousRows)),
    windows: sum(S.windows),
    windowsHit: sum(S.windowsHit),
    delaySecondsMean: known(sum(S.delayUs) / sum(S.windowsHit) / US_PER_SECOND),
    rocAuc: known(area),
    rocAucErrorMax: known(errorMax),
  };
}

export type ScoreReport = ClassificationReport | RegressionReport | DetectionReport;
