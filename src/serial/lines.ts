/**
 * Lines: bytes from the port in, whole lines to a parser, every byte into one counter.
 *
 *     ...031\r\n | 0.031,0.044,1.002,24.61,running\r\n | \r\n | [12] wifi up\r\n | 0.031,0.0
 *     torn       | row                                 | blank| columnCount      | pending
 *
 * Invariants
 * - A line is parsed where it was read; only one whose end is still to come is copied, into one block of
 *   LINE_BYTES_MAX. So memory does not depend on the input.
 * - Whatever the input, the next line end is where parsing begins anew.
 * - The bytes of all counters together are the bytes pushed: see `countBytes`.
 * - The rest of a line that began before the port was opened is never parsed: "31" may be the end of "0.031".
 */
import { type DropCounts, type LineParser, OUTCOME, OUTCOMES, type Outcome } from './outcome.ts';

export type { DropCounts, GapSink, LineParser, RowSink } from './outcome.ts';

/** A longer line is noise, or another baud rate. */
export const LINE_BYTES_MAX = 1024;

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Drops that can happen in every dialect. */
const COMMON_REASONS = ['torn', 'tooLong', 'columnCount', 'notANumber', 'unknownLabel'] as const;

/** What became of every byte that was pushed: they add up to it. */
export interface ByteCounts {
  row: number;
  blank: number;
  header: number;
  /** Of the line that has not ended yet, up to LINE_BYTES_MAX; of a longer one the bytes are counted at once. */
  pending: number;
  dropped: DropCounts;
}

export class LineStream {
  readonly #parser: LineParser;
  readonly #lineCounts = new Float64Array(OUTCOMES.length);
  readonly #byteCounts = new Float64Array(OUTCOMES.length);
  /** The line whose end is still to come. */
  readonly #line = new Uint8Array(LINE_BYTES_MAX);
  #lineBytes = 0;
  /** The line was too long and has been counted; its end is still to come. */
  #skipping = false;
  #synchronised = false;

  constructor(parser: LineParser) {
    this.#parser = parser;
  }

  /** Rows given to the sink. */
  get rows(): number {
    return this.#parser.rows;
  }

  /** Values passed over since their name is not one of the columns; their rows were given. */
  get ignored(): number {
    return this.#parser.ignored;
  }

  /** How often the board's clock began anew, where a column holds it. */
  get clockRestarts(): number {
    return this.#parser.clockRestarts;
  }

  /** Lines dropped so far, by reason. */
  get dropped(): DropCounts {
    return this.#byReason(this.#lineCounts);
  }

  /** Takes bytes[0..count) as they came from the port, read at `timeUs` (monotonic). */
  push(bytes: Uint8Array, count: number, timeUs: number): void {
    this.#parser.readUs[0] = timeUs;
    let start = 0;
    if (this.#lineBytes > 0 || this.#skipping) {
      start = findNewline(bytes, 0, count);
      this.#keep(bytes, 0, start);
      if (start === count) return;
      this.#endKept();
      start += 1;
    }
    while (start < count) {
      if (this.#synchronised) start = this.#takeRows(bytes, start, count);
      const end = findNewline(bytes, start, count);
      if (end === count) return this.#keep(bytes, start, count);
      this.#count(this.#take(bytes, start, end), end - start + 1);
      start = end + 1;
    }
  }

  /** What comes next does not follow what came before: the port was opened again. */
  restart(): void {
    if (this.#lineBytes > 0) this.#count(OUTCOME.torn, this.#lineBytes);
    this.#lineBytes = 0;
    this.#skipping = false;
    this.#synchronised = false;
  }

  /** Sound rows, one after the other. @returns where the first line begins that is not one */
  #takeRows(bytes: Uint8Array, start: number, count: number): number {
    let at = start;
    let rows = 0;
    for (;;) {
      const end = this.#parser.tryRow(bytes, at, Math.min(count, at + LINE_BYTES_MAX + 1));
      if (end < 0) break;
      rows += 1;
      at = end + 1;
    }
    this.#lineCounts[OUTCOME.row] += rows;
    this.#byteCounts[OUTCOME.row] += at - start;
    return at;
  }

  /** What became of every byte pushed so far. */
  countBytes(): ByteCounts {
    return {
      row: this.#byteCounts[OUTCOME.row],
      blank: this.#byteCounts[OUTCOME.blank],
      header: this.#byteCounts[OUTCOME.header],
      pending: this.#lineBytes,
      dropped: this.#byReason(this.#byteCounts),
    };
  }

  /** A whole line that starts and ends in one block, without its newline. */
  #take(bytes: Uint8Array, start: number, end: number): Outcome {
    const torn = !this.#synchronised;
    this.#synchronised = true;
    if (end - start > LINE_BYTES_MAX) return OUTCOME.tooLong;
    let last = end;
    while (last > start && bytes[last - 1] === RETURN) last -= 1;
    if (last === start) {
      this.#parser.blank();
      return OUTCOME.blank;
    }
    if (torn) return OUTCOME.torn;
    const first = bytes[start] === BYTE_ORDER_MARK[0] ? skipByteOrderMark(bytes, start, last) : start;
    return first === last ? OUTCOME.blank : this.#parser.parse(bytes, first, last);
  }

  /** Appends to the kept line, or counts what a line that is too long is made of. */
  #keep(bytes: Uint8Array, start: number, end: number): void {
    const count = end - start;
    if (!this.#skipping && this.#lineBytes + count <= LINE_BYTES_MAX) {
      for (let at = start, to = this.#lineBytes; at < end; at++, to++) this.#line[to] = bytes[at];
      this.#lineBytes += count;
      return;
    }
    if (!this.#skipping) this.#lineCounts[OUTCOME.tooLong] += 1;
    this.#byteCounts[OUTCOME.tooLong] += this.#lineBytes + count;
    this.#lineBytes = 0;
    this.#skipping = true;
  }

  #endKept(): void {
    const lineBytes = this.#lineBytes;
    this.#lineBytes = 0;
    if (this.#skipping) {
      this.#skipping = false;
      this.#synchronised = true;
      this.#byteCounts[OUTCOME.tooLong] += 1; // its newline; the line was counted when it grew too long
    } else {
      this.#count(this.#take(this.#line, 0, lineBytes), lineBytes + 1);
    }
  }

  #count(outcome: Outcome, bytes: number): void {
    this.#lineCounts[outcome] += 1;
    this.#byteCounts[outcome] += bytes;
  }

  #byReason(counts: Float64Array): DropCounts {
    const reasons = [...COMMON_REASONS, ...this.#parser.reasons];
    return Object.fromEntries(
      reasons.map((reason) => [reason, counts[OUTCOME[reason]]]),
    ) as unknown as DropCounts;
  }
}

/** A loop: `indexOf` would go on into what an earlier read left behind `end`. */
function findNewline(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== NEWLINE) at += 1;
  return at;
}

function skipByteOrderMark(bytes: Uint8Array, start: number, end: number): number {
  for (let i = 0; i < BYTE_ORDER_MARK.length; i++) {
    if (start + i >= end || bytes[start + i] !== BYTE_ORDER_MARK[i]) return start;
  }
  return start + BYTE_ORDER_MARK.length;
}
