/**
 * The last W rows as they came, in a ring: standardised anew for every row, since the statistics move. A value that
 * is missing is the last one of its channel, or NaN before there was any.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../../engine/arena.ts';

type WindowParts = {
  readonly rows: Part<'float32'>;
  readonly newest: Part<'float32'>;
  readonly place: Part<'int32'>;
};

export interface RowWindow extends Views<WindowParts> {}

/** `oldest`: the row of the ring that is written next. `filled`: rows since the last gap, at most W. */
export const PLACE = { oldest: 0, filled: 1 } as const;

export function planRowWindow(plan: ArenaPlan, windowRows: number, columns: number): WindowParts {
  return {
    rows: plan.float32('anomaly.window.rows', windowRows * columns), // [W][C]
    newest: plan.float32('anomaly.window.newest', columns), //          last known value of each channel [C]
    place: plan.int32('anomaly.window.place', 2),
  };
}

export function openRowWindow(buffer: ArrayBufferLike, parts: WindowParts): RowWindow {
  return viewsOf(buffer, parts);
}

export function resetRowWindow({ newest, place }: RowWindow): void {
  newest.fill(NaN);
  place.fill(0);
}

/** What follows does not belong to what was before. */
export function emptyRowWindow({ place }: RowWindow): void {
  place[PLACE.filled] = 0;
}

/** Puts `newest` in the place of the oldest row. */
export function pushNewest({ rows, newest, place }: RowWindow): void {
  const columns = newest.length;
  const windowRows = (rows.length / columns) | 0;
  const oldest = place[PLACE.oldest];
  for (let column = 0; column < columns; column++) rows[oldest * columns + column] = newest[column];
  place[PLACE.oldest] = (oldest + 1) % windowRows;
  if (place[PLACE.filled] < windowRows) place[PLACE.filled] += 1;
}

export function isFull({ rows, newest, place }: RowWindow): boolean {
  return place[PLACE.filled] * newest.length === rows.length;
}
