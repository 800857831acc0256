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
  badTime: 13,
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
  /** Where a column holds the board's clock: it is missing, negative or beyond 2^53 µs. */
  badTime?: number;
}

export type DropReason = keyof DropCounts;

/**
 * Takes a row.
 * @param values [numbers], valid only during the call
 * @param label  class index or NO_LABEL
 * @param times  times[0] is when it was taken, monotonic in µs, valid only during the call: a double of its own for each
 *   row would be put on the heap
 */
export type RowSink = (values: Float32Array, label: number, times: Float64Array) => void;

/** Takes a gap: the rows before and after it do not belong together. */
export type GapSink = () => void;

/** One dialect: a whole line in, at most one row out. Allocates nothing. */
export interface LineParser {
  /** Rows given so far. */
  readonly rows: number;
  /** Values on lines that became rows, under a name that is not one of the columns. */
  readonly ignored: number;
  /** Reasons of its own beside the common ones. */
  readonly reasons: readonly DropReason[];
  /** How often the board's clock began anew, where a column holds it. */
  readonly clockRestarts: number;
  /** readUs[0] is when the bytes under way were read (monotonic); set before they are taken. */
  readonly readUs: Float64Array;
  /** Takes bytes[start..end), at least one, without line end and byte order mark. */
  parse(bytes: Uint8Array, start: number, end: number): Outcome;
  /**
   * Takes the line that begins at bytes[start] if it is a sound row that ends before `limit`: so a row is gone over
   * once, without looking for its end first. Otherwise nothing has happened.
   * @returns the index of its newline, or a negative number
   */
  tryRow(bytes: Uint8Array, start: number, limit: number): number;
  /** Takes an empty line. */
  blank(): void;
}
