/** Scores in words, for a terminal: what was reached, beside what needs no network, and what that proves. */
import type {
  ClassificationReport,
  DetectionReport,
  DetectionWindow,
  RegressionReport,
  ScoreReport,
  TargetReport,
} from '../learn/scores/report.ts';
import type { Verdict } from '../learn/scores/comparison.ts';
import { count, percent } from './words.ts';

const VERDICTS: Readonly<Record<Verdict, string>> = {
  better: 'better than the baseline',
  notYet: 'not yet better: too few rows to tell',
  noBetter: 'no better than the baseline',
};

/** A few lines, each with its end. */
export function scoreWords(report: ScoreReport): string {
  const lines = linesOf(report);
  return lines.map((line) => `${line}\n`).join('');
}

function linesOf(report: ScoreReport): string[] {
  switch (report.task) {
    case 'classify':
      return classificationLines(report);
    case 'regress':
      return regressionLines(report);
    case 'anomaly':
      return detectionLines(report);
  }
}

const share = (value: number | null): string => percent(value ?? NaN);
const decimals = (value: number | null, digits: number): string => value?.toFixed(digits) ?? '-';
/** Four significant digits, since units differ. */
const measure = (value: number | null): string =>
  value === null ? '-' : value.toLocaleString('en-US', { maximumSignificantDigits: 4 });
const signed = (value: number | null, digits: number): string =>
  value === null ? '-' : `${value < 0 ? '' : '+'}${value.toFixed(digits)}`;

function interval(low: number | null, high: number | null, digits: number): string {
  return low === null || high === null
    ? 'no interval yet'
    : `${signed(low, digits)} to ${signed(high, digits)}`;
}

/** One baseline: what it reached and whether the network is better. */
interface Beside {
  readonly name: string;
  readonly reached: string;
  /** Higher is better. */
  readonly height: number;
  readonly gain: string;
  readonly verdict: Verdict;
}

function besideLine({ name, reached, gain, verdict }: Beside): string {
  return `    ${name.padEnd(16)}${reached}: ${VERDICTS[verdict]} (${gain})`;
}

function classificationLines({ all, recent, against, fadingHalfLifeRows }: ClassificationReport): string[] {
  if (all.rows === 0) return ['  No labelled row was scored yet.'];
  const besides = classBesides(all, against);
  return [
    `  right             ${share(all.accuracy)} of ${count(all.rows)} rows; lately ${share(recent.accuracy)} (rows count half after ${count(fadingHalfLifeRows)})`,
    ...besides.map(besideLine),
    `  at changes        ${share(all.accuracyAtChanges)} of ${count(all.changes)}`,
    `  by class          balanced ${share(all.balancedAccuracy)}, kappa ${decimals(all.kappa, 3)}, F1 ${decimals(all.f1Macro, 3)}`,
    `  log loss          ${decimals(all.logLossNats, 3)}, by the frequencies alone ${decimals(all.logLossOfFrequenciesNats, 3)}`,
    `  ${conclusion(besides, share(all.accuracy), all.accuracy ?? 0)}`,
  ];
}

function classBesides(all: ClassificationReport['all'], against: ClassificationReport['against']): Beside[] {
  return BASELINES_OF_CLASSES.flatMap(([key, name]) => {
    const gain = against[key];
    const reached = all.beside[key]?.accuracy ?? null;
    if (gain === null || reached === null) return [];
    const { gainPoints, gainPointsLow, gainPointsHigh, verdict } = gain;
    const words = `${signed(gainPoints, 2)} points, ${interval(gainPointsLow, gainPointsHigh, 2)}`;
    return { name, reached: share(reached), height: reached, gain: words, verdict };
  });
}

const BASELINES_OF_CLASSES = [
  ['majority', 'most frequent'],
  ['lastLabel', 'last label'],
  ['linear', 'linear model'],
] as const;

const BASELINES_OF_VALUES = [
  ['runningMean', 'running mean'],
  ['persistence', 'value before'],
  ['linear', 'linear model'],
] as const;

/** The sentence that must not flatter: whoever is ahead wins, and "better" is said only where it is shown. */
function conclusion(besides: readonly Beside[], reached: string, height: number): string {
  const best = besides.toSorted((left, right) => right.height - left.height)[0];
  if (best !== undefined && best.height > height) {
    return `The ${best.name} wins: ${best.reached} beside ${reached}.`;
  }
  const unproven = besides.filter(({ verdict }) => verdict !== 'better').map(({ name }) => name);
  if (unproven.length === 0) return 'Better than every baseline.';
  return `Not shown to be better than: ${unproven.join(', ')}.`;
}

function regressionLines({ targets, fadingHalfLifeRows }: RegressionReport): string[] {
  return targets.flatMap((target) => targetLines(target, fadingHalfLifeRows));
}

function targetLines(report: TargetReport, halfLife: number): string[] {
  const { target, all, recent, notFinite } = report;
  if (all.rows === 0 && notFinite === 0) return [`  ${target}: no labelled row was scored yet.`];
  const besides = valueBesides(report);
  const lines = [
    `  ${target}: RMSE ${measure(all.rmse)}, MAE ${measure(all.mae)}, R² ${decimals(all.r2, 3)} over ${count(all.rows)} rows; lately RMSE ${measure(recent.rmse)} (rows count half after ${count(halfLife)})`,
    ...besides.map(besideLine),
    `  ${conclusion(besides, measure(all.rmse), -(all.rmse ?? Infinity))}`,
  ];
  if (notFinite > 0) lines.push(`  Rows without a finite answer: ${count(notFinite)}, not in these scores.`);
  return lines;
}

function valueBesides({ all, against }: TargetReport): Beside[] {
  return BASELINES_OF_VALUES.flatMap(([key, name]) => {
    const gain = against[key];
    const rmse = all.beside[key]?.rmse ?? null;
    if (gain === null || rmse === null) return [];
    const { gainPercentOfSquaredError, gainPercentLow, gainPercentHigh, verdict } = gain;
    const words =
      `squared error ${signed(gainPercentOfSquaredError, 1)} % less, ` +
      interval(gainPercentLow, gainPercentHigh, 1);
    return { name, reached: measure(rmse), height: -rmse, gain: words, verdict };
  });
}

function detectionLines({ all, recent }: DetectionReport): string[] {
  if (all.rows === 0) return ['  No row was scored yet.'];
  const lines = [
    `  alarms            ${count(all.alarms)} in ${measure(all.observedHours)} hours: ${measure(all.alarmsPerHour)} per hour; lately ${measure(recent.alarmsPerHour)}`,
  ];
  if (all.normalRows + all.anomalousRows === 0) {
    return [
      ...lines,
      '  Nothing is known about which rows are anomalous, so only the alarms can be counted.',
    ];
  }
  return [...lines, ...knownLines(all)];
}

function knownLines(all: DetectionWindow): string[] {
  return [
    `  false alarms      ${count(all.falseAlarms)}: ${measure(all.falseAlarmsPerHour)} per hour; ${share(all.falseAlarmRowsShare)} of the normal rows`,
    `  windows hit       ${count(all.windowsHit)} of ${count(all.windows)}, after ${measure(all.delaySecondsMean)} s on average`,
    `  ranking           AUC ${decimals(all.rocAuc, 3)} (within ${measure(all.rocAucErrorMax)}); chance is 0.5`,
  ];
}
