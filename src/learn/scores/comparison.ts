/**
 * Is the answer better than a baseline on the same rows? An interval for the mean gain that holds although rows that
 * follow each other are alike, and although somebody looks at it all the time.
 *
 * Rows alike: the losses of both are summed over blocks of B rows. When 32 blocks are full, neighbours are merged to
 * 16 and B doubles, so that a block is always a 16th to a 32nd of the stream, in constant memory:
 *
 *     | 16 | 16 | ... | 16 |                  256 rows, 16 blocks: first look
 *     | 16 | 16 | ... | 16 | 16 ... 16 |      384 rows, 24 blocks: second look
 *     | 32 | 32 | ... | 32 |                  512 rows, 16 blocks: third look, and so on
 *
 * Blocks that long are nearly independent, and a t-interval over them is right. Where they are not yet: the variance
 * is the largest that blocks, pairs of blocks and blocks of four give, times (1 + r)/(1 − r) with r the correlation
 * of neighbouring blocks, taken a deviation (1/4) above its estimate; above 1/2 nothing is said at all.
 *
 * Looking often: an interval comes from a look and stays until the next, so that there are two looks per doubling
 * of the stream. The k-th doubling from 256 rows on may err with probability 0.05/(k·(k + 1)), half of it at each
 * look; these add up to less than 0.05. So the chance that *any* of the intervals ever shown misses is the 5 % that
 * it says (beyond 24 doublings, at 2·10⁹ rows, each further one adds 0.008 %). That is about twice as wide as an
 * interval for one look.
 *
 * What was never seen: an event that did not happen in n rows may still come once in n/ln(1/p) rows, p being the error
 * allowed; the largest difference seen, divided so, is added to the half width.
 *
 * Measured by simulation (test/learn/scores/comparison.test.ts): all looks of a stream of 32,768 rows hold in more
 * than 98 % of the streams for independent rows and for runs of 50 equal rows, in 93 % where rows are alike over 200
 * rows (the misses are early ones), in 89 % over 1,000.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../../engine/arena.ts';
import { log } from '../../engine/arithmetic.ts';

const BLOCKS_MAX = 32;
const BLOCKS_MERGED = BLOCKS_MAX / 2;
/** Blocks at the second look of a doubling. */
const BLOCKS_MORE = 24;
/** Rows of a block at the first look. */
const FIRST_BLOCK_ROWS = 16;

const ERROR = 0.05;

/**
 * Quantiles of Student's t that |t| exceeds with probability 0.05/(k·(k + 1))/2, for k = 1 .. 24: of 15 degrees of
 * freedom (16 blocks) and of 23 (24 blocks). The test integrates the density.
 */
// prettier-ignore
const QUANTILES_15 = [
  2.8366, 3.3749, 3.7129, 3.9630, 4.1628, 4.3297, 4.4733, 4.5997,
  4.7125, 4.8146, 4.9079, 4.9939, 5.0736, 5.1480, 5.2177, 5.2834,
  5.3454, 5.4042, 5.4602, 5.5135, 5.5645, 5.6134, 5.6603, 5.7054,
];
// prettier-ignore
const QUANTILES_23 = [
  2.7097, 3.1807, 3.4682, 3.6770, 3.8414, 3.9772, 4.0930, 4.1940,
  4.2835, 4.3640, 4.4370, 4.5040, 4.5658, 4.6232, 4.6768, 4.7271,
  4.7744, 4.8191, 4.8614, 4.9017, 4.9401, 4.9768, 5.0119, 5.0455,
];

const CORRELATION_MARGIN = 0.25;
const CORRELATION_MAX = 0.5;

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
  blocks[answers + OPEN] += losses[0];
  blocks[baselines + OPEN] += losses[1];
  progress[at + PROGRESS.rowsInBlock] += 1;
  if (progress[at + PROGRESS.rowsInBlock] < progress[at + PROGRESS.blockRows]) return;
  closeBlock(progress, at, blocks, answers);
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
export function gainOf({ progress, blocks }: Comparison, pair: number, scale: Scale): Gain {
  const at = pair * PROGRESS_SLOTS;
  const rows = progress[at + PROGRESS.rows];
  const answerLoss = progress[at + PROGRESS.answer] / rows;
  const baselineLoss = progress[at + PROGRESS.baseline] / rows;
  const gain = (baselineLoss - answerLoss) / (scale.relative ? baselineLoss : 1);
  const blockRows = progress[at + PROGRESS.blockRows];
  const unknown = { rows, answerLoss, baselineLoss, gain, low: NaN, high: NaN };
  if (blockRows < FIRST_BLOCK_ROWS || progress[at + PROGRESS.blocks] < BLOCKS_MERGED) return unknown;
  const count = progress[at + PROGRESS.blocks] >= BLOCKS_MORE ? BLOCKS_MORE : BLOCKS_MERGED;
  const answers = pair * 2 * STRIDE;
  const answer = blocks.slice(answers, answers + count);
  const baseline = blocks.slice(answers + STRIDE, answers + STRIDE + count);
  const largest = Math.max(progress[at + PROGRESS.largest], scale.largest);
  return { ...unknown, ...intervalOf(answer, baseline, blockRows, largest, scale.relative) };
}

/** The interval of a look. */
function intervalOf(
  answer: Float64Array,
  baseline: Float64Array,
  blockRows: number,
  largest: number,
  relative: boolean,
): { low: number; high: number } {
  const count = answer.length;
  const unit = relative ? meanOf(baseline) : blockRows;
  const gain = (meanOf(baseline) - meanOf(answer)) / unit;
  // Of a quotient, the deviation of numerator − quotient · denominator.
  const deviations = baseline.map(
    (loss, block) => (loss - answer[block]) / unit - (relative ? (gain * loss) / unit : gain),
  );
  const correlation = neighbourCorrelation(deviations) + 1 / count;
  if (!(correlation <= CORRELATION_MAX)) return { low: NaN, high: NaN };
  const inflated = Math.max(0, correlation + CORRELATION_MARGIN);
  const variance = (varianceOfMean(deviations) * (1 + inflated)) / (1 - inflated);
  const doubling = doublingOf(blockRows);
  const quantiles = count === BLOCKS_MORE ? QUANTILES_23 : QUANTILES_15;
  const quantile = quantiles[Math.min(doubling, quantiles.length) - 1];
  const rare = log((2 * doubling * (doubling + 1) * 2) / ERROR) / count;
  const half = quantile * Math.sqrt(variance) + (rare * largest) / (relative ? meanOf(baseline) : blockRows);
  return { low: gain - half, high: gain + half };
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

/** Correlation of each value with the next; 0 where nothing varies. */
function neighbourCorrelation(deviations: Float64Array): number {
  let products = 0;
  let squares = 0;
  for (let index = 0; index < deviations.length; index++) {
    squares += deviations[index] * deviations[index];
    if (index > 0) products += deviations[index] * deviations[index - 1];
  }
  return squares === 0 ? 0 : products / squares;
}

export type Verdict = 'better' | 'notYet' | 'noBetter';

/** @param useful the least gain worth having, in the unit of the gain */
export function verdictOf({ low, high }: Gain, useful: number): Verdict {
  if (low > 0) return 'better';
  if (high < useful) return 'noBetter';
  return 'notYet';
}
