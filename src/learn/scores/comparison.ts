/**
 * Is the answer better than a baseline on the same rows? An interval for the mean gain that holds although rows that
 * follow each other are alike, and although somebody looks at it all the time.
 *
 * Rows alike: the losses of both are summed over blocks of B rows. When 64 blocks are full, neighbours are merged to
 * 32 and B doubles, so that a block is always a 32nd to a 64th of the stream, in constant memory:
 *
 *     |  8 |  8 | ... |  8 |                  256 rows, 32 blocks: first look
 *     |  8 |  8 | ... |  8 |  8 ...  8 |      384 rows, 48 blocks: second look
 *     | 16 | 16 | ... | 16 |                  512 rows, 32 blocks: third look, and so on
 *
 * A t-interval over blocks is right if they are longer than the stream's memory. So nothing is said before that: the
 * gains summed over 1, 2, 4, 8 ... rows are kept as well, each with its correlation to the one before, and the memory
 * is the first of these lengths at which that is at most 0.4 (about twice the rows over which it falls to 1/e). A
 * gain that drifts slowly under the noise of single rows is no memory in this sense: the interval is about the mean
 * over the stream so far. Beyond that the variance is the largest that blocks, pairs and fours of them give.
 *
 * Looking often: an interval comes from a look and stays until the next, so that there are two looks per doubling
 * of the stream. The k-th doubling from 256 rows on may err with probability 0.05/(k·(k + 1)), half of it at each
 * look; these add up to less than 0.05. So the chance that *any* of the intervals ever shown misses is the 5 % that
 * it says (beyond 24 doublings, at 4·10⁹ rows, each further one adds 0.008 %). The price is a half width about twice
 * that of an interval for one look.
 *
 * What was never seen: an event that did not happen in n rows may still come once in n/ln(1/p) rows, p being the error
 * allowed; the largest difference seen, divided so, is added to the half width.
 *
 * Measured by simulation (test/learn/scores/comparison.test.ts): in 97 to 100 of 100 streams of 16,384 rows *all*
 * intervals hold, for independent rows, runs of 10, 50 and 200 rows, and squared errors alike over 10 and 100 rows.
 * First said after 256 rows where they are independent, about 2,000 for runs of 50.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../../engine/arena.ts';
import { log } from '../../engine/arithmetic.ts';

const BLOCKS_MAX = 64;
const BLOCKS_MERGED = BLOCKS_MAX / 2;
/** Blocks at the second look of a doubling. */
const BLOCKS_MORE = 48;
/** Rows of a block at the first look. */
const FIRST_BLOCK_ROWS = 8;

const ERROR = 0.05;

/**
 * Quantiles of Student's t that |t| exceeds with probability 0.05/(k·(k + 1))/2, for k = 1 .. 24: of 31 degrees of
 * freedom (32 blocks) and of 47 (48 blocks). The test integrates the density.
 */
// prettier-ignore
export const QUANTILES_31 = [
  2.6519, 3.0935, 3.3595, 3.5509, 3.7005, 3.8234, 3.9277, 4.0183,
  4.0983, 4.1700, 4.2349, 4.2942, 4.3488, 4.3994, 4.4466, 4.4907,
  4.5322, 4.5713, 4.6083, 4.6435, 4.6769, 4.7088, 4.7393, 4.7684,
];
// prettier-ignore
export const QUANTILES_47 = [
  2.5975, 3.0122, 3.2587, 3.4345, 3.5710, 3.6824, 3.7766, 3.8580,
  3.9297, 3.9937, 4.0515, 4.1042, 4.1526, 4.1973, 4.2389, 4.2777,
  4.3142, 4.3485, 4.3809, 4.4116, 4.4408, 4.4686, 4.4952, 4.5205,
];

/** Neighbours that are more alike than this remember each other. */
const CORRELATION_MAX = 0.4;
/** Lengths 1, 2, 4 ... 2^23 rows: the blocks of 5·10⁸ rows. */
const LENGTHS = 24;
/** A correlation of fewer sums than this says nothing. */
const SUMS_MIN = 8;

/** Slots of a length: sum and squares of its gains, products of neighbours, the newest gain. */
const LENGTH = { sum: 0, squares: 1, products: 2, newest: 3 } as const;
const LENGTH_SLOTS = 4;

/** Slots of a pair's progress. */
const PROGRESS = {
  rows: 0,
  /** Rows in the block that is being filled, and in a full one (0: none was begun). */
  rowsInBlock: 1,
  blockRows: 2,
  blocks: 3,
  /** Sums of losses over all rows. */
  answer: 4,
  baseline: 5,
  /** The largest difference of the two losses on one row. */
  largest: 6,
} as const;
const PROGRESS_SLOTS = 8;

type ComparisonParts = {
  /** [pairs x PROGRESS_SLOTS] */
  readonly progress: Part<'float64'>;
  /** [pairs x 2 x (BLOCKS_MAX + 1)]: sums of losses by block, answer then baseline; the last is being filled. */
  readonly blocks: Part<'float64'>;
  /** [pairs x LENGTHS x LENGTH_SLOTS] */
  readonly lengths: Part<'float64'>;
  /** [2]: losses on the row to be compared, answer and baseline: doubles passed as arguments would be boxed. */
  readonly losses: Part<'float64'>;
};

export interface Comparison extends Views<ComparisonParts> {}

const OPEN = BLOCKS_MAX;
const STRIDE = BLOCKS_MAX + 1;

/** @param pairs of an answer and a baseline, each with blocks of its own */
export function planComparison(plan: ArenaPlan, name: string, pairs: number): ComparisonParts {
  return {
    progress: plan.float64(`${name}.progress`, pairs * PROGRESS_SLOTS),
    blocks: plan.float64(`${name}.blocks`, pairs * 2 * STRIDE),
    lengths: plan.float64(`${name}.lengths`, pairs * LENGTHS * LENGTH_SLOTS),
    losses: plan.float64(`${name}.losses`, 2),
  };
}

export function openComparison(buffer: ArrayBufferLike, parts: ComparisonParts): Comparison {
  return viewsOf(buffer, parts);
}

/** Takes one row, whose losses stand in `losses`, into the blocks of a pair. */
export function compareLosses(comparison: Comparison, pair: number): void {
  const { progress, blocks, losses } = comparison;
  const at = pair * PROGRESS_SLOTS;
  const answers = pair * 2 * STRIDE;
  const baselines = answers + STRIDE;
  progress[at + PROGRESS.rows] += 1;
  progress[at + PROGRESS.answer] += losses[0];
  progress[at + PROGRESS.baseline] += losses[1];
  progress[at + PROGRESS.largest] = Math.max(
    progress[at + PROGRESS.largest],
    Math.abs(losses[1] - losses[0]),
  );
  addLengths(comparison, pair, progress[at + PROGRESS.rows]);
  blocks[answers + OPEN] += losses[0];
  blocks[baselines + OPEN] += losses[1];
  progress[at + PROGRESS.rowsInBlock] += 1;
  if (progress[at + PROGRESS.rowsInBlock] < progress[at + PROGRESS.blockRows]) return;
  closeBlock(progress, at, blocks, answers);
}

/** Every row ends a sum of length 1, every second one of length 2, every fourth one of length 4 ... */
function addLengths({ lengths, losses }: Comparison, pair: number, rows: number): void {
  let gain = losses[1] - losses[0];
  for (let level = 0; level < LENGTHS; level++) {
    const at = (pair * LENGTHS + level) * LENGTH_SLOTS;
    const before = lengths[at + LENGTH.newest];
    lengths[at + LENGTH.sum] += gain;
    lengths[at + LENGTH.squares] += gain * gain;
    lengths[at + LENGTH.products] += gain * before; // 0 at the first one
    lengths[at + LENGTH.newest] = gain;
    if (((rows >>> level) & 1) === 1) return;
    gain += before;
  }
}

function closeBlock(progress: Float64Array, at: number, blocks: Float64Array, answers: number): void {
  if (progress[at + PROGRESS.blockRows] === 0) progress[at + PROGRESS.blockRows] = 1;
  const block = progress[at + PROGRESS.blocks];
  for (let first = answers; first <= answers + STRIDE; first += STRIDE) {
    blocks[first + block] = blocks[first + OPEN];
    blocks[first + OPEN] = 0;
  }
  progress[at + PROGRESS.rowsInBlock] = 0;
  progress[at + PROGRESS.blocks] = block + 1;
  if (block + 1 < BLOCKS_MAX) return;
  for (let first = answers; first <= answers + STRIDE; first += STRIDE) {
    for (let to = 0; to < BLOCKS_MERGED; to++) {
      blocks[first + to] = blocks[first + 2 * to] + blocks[first + 2 * to + 1];
    }
  }
  progress[at + PROGRESS.blocks] = BLOCKS_MERGED;
  progress[at + PROGRESS.blockRows] *= 2;
}

/** How losses are compared. */
export interface Scale {
  /** The gain is a share of the baseline's loss; else it is a difference of mean losses. */
  readonly relative: boolean;
  /** The largest difference that one row can make, where there is one; else 0. */
  readonly largest: number;
}

/** Mean loss of the baseline − mean loss of the answer: what the answer is worth. NaN where nothing can be said. */
export interface Gain {
  /** Rows on which both answered. */
  readonly rows: number;
  /** Mean losses over all of them. */
  readonly answerLoss: number;
  readonly baselineLoss: number;
  readonly gain: number;
  /** The interval, of the newest look. */
  readonly low: number;
  readonly high: number;
}

/** Reads a pair. */
export function gainOf({ progress, blocks, lengths }: Comparison, pair: number, scale: Scale): Gain {
  const at = pair * PROGRESS_SLOTS;
  const rows = progress[at + PROGRESS.rows];
  const answerLoss = progress[at + PROGRESS.answer] / rows;
  const baselineLoss = progress[at + PROGRESS.baseline] / rows;
  const gain = (baselineLoss - answerLoss) / (scale.relative ? baselineLoss : 1);
  const blockRows = progress[at + PROGRESS.blockRows];
  const unknown = { rows, answerLoss, baselineLoss, gain, low: NaN, high: NaN };
  if (blockRows < FIRST_BLOCK_ROWS || progress[at + PROGRESS.blocks] < BLOCKS_MERGED) return unknown;
  if (blockRows < memoryRows(lengths, pair, rows)) return unknown;
  const count = progress[at + PROGRESS.blocks] >= BLOCKS_MORE ? BLOCKS_MORE : BLOCKS_MERGED;
  const answers = pair * 2 * STRIDE;
  const answer = blocks.slice(answers, answers + count);
  const baseline = blocks.slice(answers + STRIDE, answers + STRIDE + count);
  const largest = Math.max(progress[at + PROGRESS.largest], scale.largest);
  return { ...unknown, ...intervalOf(answer, baseline, blockRows, largest, scale.relative) };
}

/** The interval of a look. Between looks it stays, although the gain itself moves on. */
function intervalOf(
  answer: Float64Array,
  baseline: Float64Array,
  blockRows: number,
  largest: number,
  relative: boolean,
): { low: number; high: number } {
  const count = answer.length;
  const gains = baseline.map((loss, block) => loss - answer[block]);
  const mean = meanOf(gains);
  const deviations = gains.map((gain) => gain - mean);
  const doubling = doublingOf(blockRows);
  const quantiles = count === BLOCKS_MORE ? QUANTILES_47 : QUANTILES_31;
  const quantile = quantiles[Math.min(doubling, quantiles.length) - 1];
  const neverSeen = (largest * log((2 * doubling * (doubling + 1) * 2) / ERROR)) / count;
  const half = quantile * Math.sqrt(varianceOfMean(deviations)) + neverSeen;
  const unit = relative ? meanOf(baseline) : blockRows;
  return { low: (mean - half) / unit, high: (mean + half) / unit };
}

/** 1 for blocks of the first look, 2 for blocks twice as long, ... */
function doublingOf(blockRows: number): number {
  let doubling = 1;
  for (let rows = FIRST_BLOCK_ROWS; rows < blockRows; rows *= 2) doubling += 1;
  return doubling;
}

function meanOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/** Of values whose mean is 0: the largest variance of their mean that singles, pairs and fours speak for. */
function varianceOfMean(deviations: Float64Array): number {
  let largest = 0;
  for (let size = 1; size <= 4; size *= 2) {
    const count = deviations.length / size;
    let squares = 0;
    for (let group = 0; group < count; group++) {
      let sum = 0;
      for (let index = 0; index < size; index++) sum += deviations[group * size + index];
      squares += (sum / size) * (sum / size);
    }
    largest = Math.max(largest, squares / (count * (count - 1)));
  }
  return largest;
}

/** The first length whose neighbours are hardly alike; infinite if there is none with enough sums. */
function memoryRows(lengths: Float64Array, pair: number, rows: number): number {
  let length = 1;
  for (let level = 0; level < LENGTHS; level++) {
    const at = (pair * LENGTHS + level) * LENGTH_SLOTS;
    const count = Math.floor(rows / length);
    if (count < SUMS_MIN) return Infinity;
    const mean = lengths[at + LENGTH.sum] / count;
    const meanSquare = lengths[at + LENGTH.squares] / count;
    const variance = meanSquare - mean * mean;
    const covariance = lengths[at + LENGTH.products] / (count - 1) - mean * mean;
    // Gains that are all the same, but for rounding, are no sign of memory. 1/count: the estimate is too low by that.
    if (variance <= 1e-12 * meanSquare || covariance / variance + 1 / count <= CORRELATION_MAX) return length;
    length *= 2;
  }
  return Infinity;
}

export type Verdict = 'better' | 'notYet' | 'noBetter';

/** @param useful the least gain worth having, in the unit of the gain */
export function verdictOf({ low, high }: Gain, useful: number): Verdict {
  if (low > 0) return 'better';
  if (high < useful) return 'noBetter';
  return 'notYet';
}
