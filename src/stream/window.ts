/**
 * The newest W rows of some columns, and when a sample is due: once when the window has filled, then every `hop`
 * rows. After a break the window fills anew.
 *
 * Each column lies twice, so that the window is contiguous, oldest value first, wherever it starts:
 *
 *     values   | 8 9 2 3 4 5 6 7 | 8 9 2 3 4 5 6 7 |      W = 8, the row with value 9 was the newest
 *     place          ^ start = next           ^ start + W
 *
 * Rows go to places 0 .. W − 1 in turn, from 0 after a break: W rows from place 0 on are a block. When `next` is 0
 * again, the window is exactly the block.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../engine/arena.ts';

type WindowParts = {
  readonly values: Part<'float32'>;
  readonly progress: Part<'int32'>;
};

/** Slots of `progress`. */
const PROGRESS = {
  /** Place of the row to come, which in a full window is the oldest. */
  next: 0,
  /** Rows since the break, at most W. */
  filled: 1,
  /** Rows since the newest sample. */
  sinceSample: 2,
} as const;

export interface Window extends Views<WindowParts> {
  /** W. */
  readonly rows: number;
  readonly hopRows: number;
  /** Column of the row that each column of the window holds. */
  readonly columns: Int32Array;
}

export function planWindow(plan: ArenaPlan, columns: number, rows: number): WindowParts {
  return {
    values: plan.float32('window.values', columns * 2 * rows), // [columns x 2W], NaN: missing
    progress: plan.int32('window.progress', 3),
  };
}

/** Lays a planned window over `buffer`, whose zeros are an empty window. */
export function openWindow(
  buffer: ArrayBufferLike,
  parts: WindowParts,
  columns: Int32Array,
  rows: number,
  hopRows: number,
): Window {
  return { ...viewsOf(buffer, parts), rows, hopRows, columns };
}

/**
 * Puts the row at row[first ..] in. A value that is not finite is missing: NaN.
 * @returns the place that it went to, the position in its block
 */
export function pushRow(
  { values, progress, rows, columns }: Window,
  row: Float32Array,
  first: number,
): number {
  const place = progress[PROGRESS.next];
  for (let i = 0; i < columns.length; i++) {
    const value = row[first + columns[i]];
    const at = i * 2 * rows + place;
    values[at] = NaN;
    values[at + rows] = NaN;
    if (value - value !== 0) continue;
    values[at] = value;
    values[at + rows] = value;
  }
  progress[PROGRESS.next] = place + 1 === rows ? 0 : place + 1;
  return place;
}

/** Counts the row just put in. @returns 1 when a sample is due, else 0 */
export function countRow({ progress, rows, hopRows }: Window): number {
  if (progress[PROGRESS.filled] < rows) {
    progress[PROGRESS.filled] += 1;
    if (progress[PROGRESS.filled] < rows) return 0;
  } else {
    progress[PROGRESS.sinceSample] += 1;
    if (progress[PROGRESS.sinceSample] < hopRows) return 0;
  }
  progress[PROGRESS.sinceSample] = 0;
  return 1;
}

/** Forgets all rows. */
export function emptyWindow({ progress }: Window): void {
  progress.fill(0);
}

/** Position in `values` of the oldest value of the window's column `column`; the others follow. */
export function windowStart({ progress, rows }: Window, column: number): number {
  return column * 2 * rows + progress[PROGRESS.next];
}

/** Rows of the unfinished block that the window ends with; 0 when the window is one whole block. */
export function blockRows({ progress }: Window): number {
  return progress[PROGRESS.next];
}
