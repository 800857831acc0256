/** What the detector learned, said once at the end of its learn phase: as a document and in words. */
import { ANSWER, type Anomaly, COUNT, PHASE } from './anomaly.ts';
import { hardlyVaried } from './anomaly/stuck.ts';

export interface ColumnReport {
  readonly name: string;
  readonly mean: number;
  readonly deviation: number;
  /** Share of the values that were missing. */
  readonly missing: number;
  /** Variance of the change from row to row over twice the variance: 0 smooth, 1 every row for itself. */
  readonly roughness: number;
  readonly longestRepeatRows: number;
  readonly verdict: 'good' | 'absent' | 'often missing' | 'hardly varies' | 'noisy';
}

export interface AnomalyReport {
  readonly rowsLearned: number;
  /** The budget: how many false alarms to expect. */
  readonly alarmsPerDay: number;
  readonly columns: readonly ColumnReport[];
  readonly words: string;
}

/** From here on a share of missing values is worth a word. */
const MISSING_SHARE = 0.05;
/** From here on a channel is mostly noise: neighbouring rows have hardly anything in common. */
const ROUGHNESS_NOISY = 0.8;
const SECONDS_PER_DAY = 86_400;

/**
 * @param names         of the columns [C]
 * @param rowsPerSecond of the stream, as the budget was made from
 * @returns undefined while the detector learns
 */
export function reportAnomaly(
  detector: Anomaly,
  names: readonly string[],
  rowsPerSecond: number,
): AnomalyReport | undefined {
  const { answer, counts, config } = detector;
  if (answer[ANSWER.phase] === PHASE.learn) return undefined;
  const rowsLearned = counts[COUNT.learned];
  const alarmsPerDay = (SECONDS_PER_DAY * rowsPerSecond) / config.budgetRows;
  const columns = names.map((name, column) => reportColumn(detector, name, column));
  return { rowsLearned, alarmsPerDay, columns, words: wordsOf(rowsLearned, alarmsPerDay, columns) };
}

function reportColumn(detector: Anomaly, name: string, column: number): ColumnReport {
  const { scaler, stuckRule, missing, distance, counts, config } = detector;
  const rows = distance.count[0];
  const known = rows - missing[column] > 0;
  const facts = {
    name,
    mean: known ? scaler.mean[column] : NaN,
    deviation: known ? Math.sqrt(scaler.variance[column]) : NaN,
    missing: missing[column] / rows,
    roughness: roughnessOf(detector, column),
    longestRepeatRows: stuckRule.repeatsLongest[column],
  };
  const still = hardlyVaried(stuckRule, column, counts[COUNT.learned] || config.learnRows);
  return { ...facts, verdict: verdictOf(facts, known, still) };
}

function verdictOf(
  facts: Pick<ColumnReport, 'missing' | 'roughness' | 'deviation'>,
  known: boolean,
  still: boolean,
): ColumnReport['verdict'] {
  if (!known) return 'absent';
  if (facts.missing >= MISSING_SHARE) return 'often missing';
  if (still || facts.deviation === 0) return 'hardly varies';
  return facts.roughness >= ROUGHNESS_NOISY ? 'noisy' : 'good';
}

/** From the covariance of rows and changes that was learned. */
function roughnessOf({ distance, config }: Anomaly, column: number): number {
  const changeColumn = config.columns + column;
  const variance = distance.spread[(column * (column + 3)) / 2];
  const changes = distance.spread[(changeColumn * (changeColumn + 3)) / 2];
  return variance > 0 ? changes / (2 * variance) : 0;
}

const VERDICT_WORDS = {
  absent: 'never came',
  'often missing': 'is often missing',
  'hardly varies': 'hardly varies',
  noisy: 'is mostly noise',
} as const;

function wordsOf(rowsLearned: number, alarmsPerDay: number, columns: readonly ColumnReport[]): string {
  const parts = [
    `learned ${rowsLearned.toLocaleString('en')} rows`,
    `expect about ${rateInWords(alarmsPerDay)}`,
    ...columns.flatMap(({ name, verdict }) =>
      verdict === 'good' ? [] : [`"${name}" ${VERDICT_WORDS[verdict]}`],
    ),
  ];
  return parts.join('; ');
}

/** "one false alarm a day", "3 false alarms a day", "one false alarm in 5 days" */
function rateInWords(alarmsPerDay: number): string {
  const perDay = Math.floor(alarmsPerDay + 0.5);
  if (perDay > 1) return `${perDay.toLocaleString('en')} false alarms a day`;
  const days = Math.floor(1 / alarmsPerDay + 0.5);
  return days > 1 ? `one false alarm in ${days.toLocaleString('en')} days` : 'one false alarm a day';
}
