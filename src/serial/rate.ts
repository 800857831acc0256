/**
 * How many rows a second a board prints, from when its bytes were read. Rows come in batches (a USB adapter hands over
 * what it has every few milliseconds, the reader may be late), boards pause, lines are lost: no single interval means
 * much, but the median over many does.
 */

/** Rows that one read completed. */
export interface RowBatch {
  /** When it was read, monotonic. */
  readonly timeUs: number;
  readonly rows: number;
}

export interface RowRate {
  /** Without the gaps. */
  readonly rowsPerSecond: number;
  /** Median distance of a read from where its rows would have been due, in milliseconds. */
  readonly jitterMs: number;
  /** Pauses of the board, or of the line. */
  readonly gaps: number;
  readonly longestGapMs: number;
  /** Median rows of a read. */
  readonly rowsPerRead: number;
}

/** Fewer reads tell nothing: the first may hold what had waited before. */
const READS_MIN = 3;
/** The baseline of an interval: long enough to smooth batches, short enough for most not to span a gap. */
const BASELINES = 8;
/** An interval this many times as long as usual is a gap; of periods, and of reads. */
const GAP_PERIODS = 5;
const GAP_READS = 4;

/** @returns undefined if there are too few reads to tell */
export function estimateRate(batches: readonly RowBatch[]): RowRate | undefined {
  if (batches.length < READS_MIN) return undefined;
  const periodUs = medianPeriodUs(batches);
  const intervalsUs = batches.slice(1).map(({ timeUs }, index) => timeUs - batches[index].timeUs);
  const gapUs = Math.max(GAP_PERIODS * periodUs, GAP_READS * median(intervalsUs));
  const steady: { intervalUs: number; rows: number }[] = [];
  const gapsUs: number[] = [];
  for (const [index, intervalUs] of intervalsUs.entries()) {
    const { rows } = batches[index + 1];
    if (intervalUs - rows * periodUs > gapUs) gapsUs.push(intervalUs);
    else steady.push({ intervalUs, rows });
  }
  const steadyUs = steady.reduce((sum, { intervalUs }) => sum + intervalUs, 0);
  const steadyRows = steady.reduce((sum, { rows }) => sum + rows, 0);
  if (steadyUs <= 0) return undefined;
  const meanUs = steadyUs / steadyRows;
  return {
    rowsPerSecond: 1e6 / meanUs,
    jitterMs: median(steady.map(({ intervalUs, rows }) => Math.abs(intervalUs - rows * meanUs))) / 1000,
    gaps: gapsUs.length,
    longestGapMs: gapsUs.reduce((longest, us) => Math.max(longest, us), 0) / 1000,
    rowsPerRead: median(batches.map(({ rows }) => rows)),
  };
}

/** The median over all rows of the time to the row some way ahead, per row. */
function medianPeriodUs(batches: readonly RowBatch[]): number {
  const timesUs = batches.flatMap(({ timeUs, rows }, index) =>
    Array.from({ length: index === 0 ? 1 : rows }, () => timeUs),
  );
  const ahead = Math.max(1, Math.floor((timesUs.length - 1) / BASELINES));
  return median(timesUs.slice(ahead).map((timeUs, index) => (timeUs - timesUs[index]) / ahead));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
