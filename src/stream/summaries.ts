/**
 * What is known of a window without going through it: counts, means, squares, the line through it, extremes. A window
 * of W rows is the end of one block of W rows and the beginning of the next:
 *
 *     block     | a b c d e f g h | i j k . . . . . |
 *     window          [d e f g h    i j k]
 *                      tails[3]  +  head
 *
 * The head takes in each row. When a block is complete, one pass backwards over it makes the tails: tails[p] is the
 * summary of places p .. W − 1. So a row costs two additions to a summary whatever W is, and nothing is ever taken out
 * again: no error is older than 2W rows, after 10^9 rows as after the first. (For minima this is the algorithm of van
 * Herk and of Gil and Werman.) Means and squares are kept as by Welford and merged as by Chan, Golub and LeVeque: a
 * column that stands still has a deviation and a slope of exactly 0, whatever it stands at.
 *
 * Where samples are far apart (W ≤ 3·hop) it is cheaper to go through the window for each of them: `direct`.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../engine/arena.ts';
import { type Window, blockRows, windowStart } from './window.ts';

/** Numbers of a summary by kind. Missing values are in none of them. */
export const MOMENTS = { count: 0, mean: 1, m2: 2 } as const;
/** t is the row's place; mtt and mxt are Σ(t − mean t)² and Σ(x − mean x)(t − mean t). */
export const TREND = { count: 0, mean: 1, meanT: 2, mtt: 3, mxt: 4 } as const;
/** Of nothing: ∞ and −∞. */
export const EXTREMES = { min: 0, max: 1 } as const;

export const KIND = { moments: 0, trend: 1, extremes: 2 } as const;
const SIZES = [3, 5, 2];

/** Going through W rows for each sample costs W/hop additions per row, head and tails two and a little more. */
const DIRECT_BELOW = 3;

type SummaryParts = {
  readonly head: Part<'float64'>;
  readonly tails: Part<'float64'>;
};

/** Summaries of one kind, of some columns. */
export interface Summary extends Views<SummaryParts> {
  /** One of KIND. */
  readonly kind: number;
  /** Numbers of one summary. */
  readonly size: number;
  /** Columns of the window that have one. */
  readonly columns: Int32Array;
  readonly direct: boolean;
  /** 1/n for n up to W. */
  readonly reciprocals: Float64Array;
  /** Result of `summarise`: of the whole window [columns x size]. */
  readonly whole: Float64Array;
}

export function isDirect(windowRows: number, hopRows: number): boolean {
  return windowRows <= DIRECT_BELOW * hopRows;
}

export function planSummary(
  plan: ArenaPlan,
  kind: keyof typeof KIND,
  columns: number,
  windowRows: number,
  hopRows: number,
): SummaryParts {
  const numbers = isDirect(windowRows, hopRows) ? 0 : columns * SIZES[KIND[kind]];
  return {
    head: plan.float64(`${kind}.head`, numbers), //               [columns x size]
    tails: plan.float64(`${kind}.tails`, numbers * windowRows), // [columns x W x size]
  };
}

export function openSummary(
  buffer: ArrayBufferLike,
  parts: SummaryParts,
  kind: keyof typeof KIND,
  columns: Int32Array,
  { rows, hopRows }: Window,
): Summary {
  const size = SIZES[KIND[kind]];
  return {
    ...viewsOf(buffer, parts),
    kind: KIND[kind],
    size,
    columns,
    direct: isDirect(rows, hopRows),
    reciprocals: Float64Array.from({ length: rows + 1 }, (_, n) => 1 / n),
    whole: new Float64Array(columns.length * size),
  };
}

/** Takes the row in that was just put into the window. @param place where it went */
export function advance(summary: Summary, window: Window, place: number): void {
  const { kind, size, columns, head, reciprocals, direct } = summary;
  if (direct) return;
  const { values, rows } = window;
  for (let i = 0; i < columns.length; i++) {
    const at = i * size;
    if (place === 0) clear(kind, head, at);
    add(kind, head, at, values, columns[i] * 2 * rows + place, place, reciprocals);
  }
  if (place === rows - 1) makeTails(summary, window);
}

/** The block is complete: tails from its end. Their places count back from the next block: −1 is the last. */
function makeTails(summary: Summary, { values, rows }: Window): void {
  const { kind, size, columns, head, tails, reciprocals } = summary;
  for (let i = 0; i < columns.length; i++) {
    const first = columns[i] * 2 * rows;
    for (let place = rows - 1; place >= 0; place--) {
      const at = (i * rows + place) * size;
      if (place === rows - 1) clear(kind, tails, at);
      else for (let j = 0; j < size; j++) tails[at + j] = tails[at + size + j];
      add(kind, tails, at, values, first + place, place - rows, reciprocals);
    }
    clear(kind, head, i * size);
  }
}

/** Writes `whole`, the summaries of the full window. */
export function summarise(summary: Summary, window: Window): void {
  const { kind, size, columns, head, tails, whole, direct } = summary;
  const { rows } = window;
  const place = blockRows(window);
  for (let i = 0; i < columns.length; i++) {
    const at = i * size;
    if (direct) addWindow(summary, window, i);
    else merge(kind, tails, (i * rows + place) * size, head, at, whole, at);
  }
}

function addWindow({ kind, size, columns, whole, reciprocals }: Summary, window: Window, i: number): void {
  const start = windowStart(window, columns[i]);
  clear(kind, whole, i * size);
  for (let row = 0; row < window.rows; row++) {
    add(kind, whole, i * size, window.values, start + row, row, reciprocals);
  }
}

function clear(kind: number, state: Float64Array, at: number): void {
  if (kind === KIND.extremes) {
    state[at + EXTREMES.min] = Infinity;
    state[at + EXTREMES.max] = -Infinity;
    return;
  }
  for (let i = 0; i < SIZES[kind]; i++) state[at + i] = 0;
}

/** Adds values[index] to the summary at state[at ..]. Given as an index, since a double would be boxed. */
function add(
  kind: number,
  state: Float64Array,
  at: number,
  values: Float32Array,
  index: number,
  place: number,
  reciprocals: Float64Array,
): void {
  const value = values[index];
  if (value !== value) return; // missing
  if (kind === KIND.extremes) {
    if (value < state[at + EXTREMES.min]) state[at + EXTREMES.min] = value;
    if (value > state[at + EXTREMES.max]) state[at + EXTREMES.max] = value;
    return;
  }
  const count = state[at + MOMENTS.count] + 1;
  const reciprocal = reciprocals[count | 0];
  const distance = value - state[at + MOMENTS.mean];
  const mean = state[at + MOMENTS.mean] + distance * reciprocal;
  state[at + MOMENTS.count] = count;
  state[at + MOMENTS.mean] = mean;
  if (kind === KIND.moments) {
    state[at + MOMENTS.m2] += distance * (value - mean);
    return;
  }
  const distanceT = place - state[at + TREND.meanT];
  const meanT = state[at + TREND.meanT] + distanceT * reciprocal;
  state[at + TREND.meanT] = meanT;
  state[at + TREND.mtt] += distanceT * (place - meanT);
  state[at + TREND.mxt] += distance * (place - meanT);
}

/** to[toAt ..] = the summary of what is in left[leftAt ..] and right[rightAt ..]. */
function merge(
  kind: number,
  left: Float64Array,
  leftAt: number,
  right: Float64Array,
  rightAt: number,
  to: Float64Array,
  toAt: number,
): void {
  if (kind === KIND.extremes) {
    const min = toAt + EXTREMES.min;
    const max = toAt + EXTREMES.max;
    to[min] = left[leftAt + EXTREMES.min];
    to[max] = left[leftAt + EXTREMES.max];
    if (right[rightAt + EXTREMES.min] < to[min]) to[min] = right[rightAt + EXTREMES.min];
    if (right[rightAt + EXTREMES.max] > to[max]) to[max] = right[rightAt + EXTREMES.max];
    return;
  }
  const countLeft = left[leftAt + MOMENTS.count];
  const countRight = right[rightAt + MOMENTS.count];
  const count = countLeft + countRight;
  const share = count > 0 ? countRight / count : 0;
  const distance = right[rightAt + MOMENTS.mean] - left[leftAt + MOMENTS.mean];
  to[toAt + MOMENTS.count] = count;
  to[toAt + MOMENTS.mean] = left[leftAt + MOMENTS.mean] + distance * share;
  const weight = countLeft * share;
  if (kind === KIND.moments) {
    to[toAt + MOMENTS.m2] =
      left[leftAt + MOMENTS.m2] + right[rightAt + MOMENTS.m2] + distance * distance * weight;
    return;
  }
  const distanceT = right[rightAt + TREND.meanT] - left[leftAt + TREND.meanT];
  to[toAt + TREND.meanT] = left[leftAt + TREND.meanT] + distanceT * share;
  to[toAt + TREND.mtt] =
    left[leftAt + TREND.mtt] + right[rightAt + TREND.mtt] + distanceT * distanceT * weight;
  to[toAt + TREND.mxt] =
    left[leftAt + TREND.mxt] + right[rightAt + TREND.mxt] + distance * distanceT * weight;
}
