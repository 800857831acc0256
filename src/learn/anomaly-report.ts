/** What the detector learned, said once at the end of its learn phase: as a document and in words. */
import { ANSWER, type Anomaly, COUNT, PHASE } from './anomaly.ts';
import { hardlyVaried } from './anomaly/stuck.ts';

export interface ColumnReport {
  readonly name: string;
  readonly mean: number;
  readonly deviation: number;
  /** Share of the values that were missing. */
  readonly missing: number;
  /** Share of the channel's variance that the network cannot tell from the rest: 0 all clear, 1 noise. */
  readonly unexplained: number;
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
/** From here on what happens in a channel is mostly noise. */
const UNEXPLAINED_SHARE = 0.6;
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
    unexplained: unexplainedShare(detector, column),
    longestRepeatRows: stuckRule.repeatsLongest[column],
  };
  const still = hardlyVaried(stuckRule, column, counts[COUNT.learned] || config.learnRows);
  return { ...facts, verdict: verdictOf(facts, known, still) };
}

function verdictOf(
  facts: Pick<ColumnReport, 'missing' | 'unexplained' | 'deviation'>,
  known: boolean,
  still: boolean,
): ColumnReport['verdict'] {
  if (!known) return 'absent';
  if (facts.missing >= MISSING_SHARE) return 'often missing';
  if (still || facts.deviation === 0) return 'hardly varies';
  return facts.unexplained >= UNEXPLAINED_SHARE ? 'noisy' : 'good';
}

/** Mean of v over the window; z has a variance of 1. */
function unexplainedShare({ usualSquares, config }: Anomaly, column: number): number {
  let sum = 0;
  for (let row = 0; row < config.windowRows; row++) sum += usualSquares[row * config.columns + column];
  return sum / config.windowRows;
}

const VERDICT_WORDS = {
  absent: 'never came',
  'often missing': 'is often missing',
  'hardly varies': 'hardly varies',
  noisy: 'is mostly noise to the network',
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
