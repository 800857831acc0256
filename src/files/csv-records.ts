/**
 * The records of a CSV file one after the other, in constant memory.
 *
 *     | rest of the last block | next block ....................... | free |
 *     0                        begin of the record             end    BUFFER
 *
 * Invariants
 * - A record is scanned where it was read. What is left of a block is moved to the front before the next is read.
 * - A record longer than RECORD_BYTES_MAX is dropped. Where a quote was opened and never closed, its line alone is
 *   dropped, and reading goes on after that line: one stray quote must not eat the rows behind it.
 * - How the file is cut into blocks is no part of the result.
 */
import { readSync } from 'node:fs';
import { EdgeloopError } from '../errors.ts';
import { Cells, FAULT, type Fault, INCOMPLETE, endOfLine } from './csv-cells.ts';

/** A longer record is none, or another file. 4,096 cells of 15 characters fit. */
export const RECORD_BYTES_MAX = 65_536;
const BLOCK_BYTES = 65_536;

export class RecordReader {
  readonly bytes: Uint8Array;
  /** Of the record that `next` found; they lie in `bytes`. */
  readonly cells: Cells;
  fault: Fault = FAULT.none;
  /** Line that the record begins on, from 1. */
  line = 0;
  bytesRead = 0;
  readonly #path: string;
  readonly #file: number;
  readonly #blockBytes: number;
  #begin = 0;
  #end = 0;
  #nextLine = 1;
  #isLast = false;

  /** @param file descriptor, read from where it stands; its owner closes it */
  constructor(path: string, file: number, separator: number, blockBytes = BLOCK_BYTES) {
    this.#path = path;
    this.#file = file;
    this.#blockBytes = blockBytes;
    this.bytes = new Uint8Array(RECORD_BYTES_MAX + 1 + blockBytes);
    this.cells = new Cells(separator);
  }

  /**
   * Finds the next record: `cells`, or why it is none in `fault`.
   * @returns false at the end of the file
   * @throws EdgeloopError ELOOP_FORMAT if the file cannot be read
   */
  next(): boolean {
    for (;;) {
      if (this.#begin === this.#end && !this.#fill()) return false;
      const after = this.cells.scan(this.bytes, this.#begin, this.#end, this.#isLast);
      const length = (after === INCOMPLETE ? this.#end : after) - this.#begin;
      if (length > RECORD_BYTES_MAX || this.cells.fault === FAULT.unclosedQuote) return this.#giveUp();
      if (after !== INCOMPLETE) {
        this.fault = this.cells.fault;
        this.line = this.#nextLine;
        this.#nextLine += 1 + this.cells.newlines;
        this.#begin = after;
        return true;
      }
      this.#fill();
    }
  }

  /** Lets the first record be looked at, which is given by the next `next`. @returns its bytes, without line end */
  peekLine(): Uint8Array {
    for (;;) {
      const end = endOfLine(this.bytes, this.#begin, this.#end);
      if (end < this.#end || end - this.#begin > RECORD_BYTES_MAX || !this.#fill()) {
        return this.bytes.subarray(this.#begin, end);
      }
    }
  }

  /** Passes over bytes that are no part of a record. */
  skip(count: number): void {
    this.#begin += count;
  }

  #giveUp(): true {
    this.cells.count = 0; // what was scanned lies in records that are still to come
    this.line = this.#nextLine;
    this.#nextLine += 1;
    const limit = Math.min(this.#end, this.#begin + RECORD_BYTES_MAX);
    const end = endOfLine(this.bytes, this.#begin, limit);
    if (end < limit || limit === this.#end) {
      this.fault = FAULT.unclosedQuote;
      this.#begin = Math.min(end + 1, this.#end);
      return true;
    }
    this.fault = FAULT.tooLong;
    this.#begin = limit;
    for (;;) {
      const newline = endOfLine(this.bytes, this.#begin, this.#end);
      if (newline < this.#end) {
        this.#begin = newline + 1;
        return true;
      }
      this.#begin = this.#end;
      if (!this.#fill()) return true;
    }
  }

  /** @returns false if there is no more */
  #fill(): boolean {
    if (this.#isLast) return false;
    if (this.#begin > 0) this.bytes.copyWithin(0, this.#begin, this.#end);
    this.#end -= this.#begin;
    this.#begin = 0;
    const count = readBlock(this.#path, this.#file, this.bytes, this.#end, this.#blockBytes);
    this.#end += count;
    this.bytesRead += count;
    if (count === 0) this.#isLast = true;
    return count > 0;
  }
}

function readBlock(path: string, file: number, bytes: Uint8Array, at: number, count: number): number {
  try {
    return readSync(file, bytes, at, Math.min(count, bytes.length - at), null);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new EdgeloopError(
      'ELOOP_FORMAT',
      `${path}: cannot be read (${code}). Expected a CSV file; check its path.`,
    );
  }
}
