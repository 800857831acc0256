/**
 * What a decoder of lines and the parser of its dialect agree upon: what becomes of a line, where rows go, and why a
 * line may be dropped.
 */

/** What becomes of a line. */
export const OUTCOME = {
  /** It became a row, or a part of one. */
  row: 0,
  /** It was empty. */
  blank: 1,
  /** It named the columns. */
  header: 2,
  // From here on the line was dropped.
  torn: 3,
  tooLong: 4,
  columnCount: 5,
  notANumber: 6,
  unknownLabel: 7,
  otherText: 8,
  unknownName: 9,
  repeatedName: 10,
  nested: 11,
  otherHeader: 12,
} as const;

export type Outcome = (typeof OUTCOME)[keyof typeof OUTCOME];

export const OUTCOMES = Object.keys(OUTCOME) as (keyof typeof OUTCOME)[];

/** Lines dropped, by reason. The optional ones exist where the dialect can have them. */
export interface DropCounts {
  /** The rest of a line that began before the port was opened. */
  torn: number;
  /** Longer than LINE_BYTES_MAX (lines.ts). */
  tooLong: number;
  /** Not as many cells as the config has columns. */
  columnCount: number;
  /** A cell that is not a number, or one that float32 cannot hold. */
  notANumber: number;
  /** A class name beyond the number of outputs, or one that is not text. */
  unknownLabel: number;
  /** Not of this dialect: log lines, or noise. */
  otherText?: number;
  /** No name on the line is one of the columns. */
  unknownName?: number;
  /** The same name twice on a line: two lines whose line end was lost. */
  repeatedName?: number;
  /** JSON with an object or a list inside. */
  nested?: number;
  /** Under a header that does not name all the columns, that header included. */
  otherHeader?: number;
}

export type DropReason = keyof DropCounts;

export interface LineFormat {
  /** Cells on a line, the label's among them. */
  readonly columns: number;
  /** Index of the label's cell, -1 for none. */
  readonly labelColumn: number;
}

/**
 * Takes a row.
 * @param values [numbers], valid only during the call
 * @param label  class index or NO_LABEL
 */
export type RowSink = (values: Float32Array, label: number, timeUs: number) => void;

/** Takes a gap: the rows before and after it do not belong together. */
export type GapSink = (timeUs: number) => void;

/** One dialect: a whole line in, at most one row out. Allocates nothing. */
export interface LineParser {
  /** Rows given so far. */
  readonly rows: number;
  /** Values on lines that became rows, under a name that is not one of the columns. */
  readonly ignored: number;
  /** Reasons of its own beside the common ones. */
  readonly reasons: readonly DropReason[];
  /** Takes bytes[start..end), at least one, without line end and byte order mark. */
  parse(bytes: Uint8Array, start: number, end: number, timeUs: number): Outcome;
  /**
   * Takes the line that begins at bytes[start] if it is a sound row that ends before `limit`: so a row is gone over
   * once, without looking for its end first. Otherwise nothing has happened.
   * @returns the index of its newline, or a negative number
   */
  tryRow(bytes: Uint8Array, start: number, limit: number, timeUs: number): number;
  /** Takes an empty line. */
  blank(timeUs: number): void;
}
