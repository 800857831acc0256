/** What the parsers of all dialects share: the row under construction, and the columns looked up by name. */
import { NO_LABEL } from '../../stream/ring.ts';
import { LABEL_REFUSED, type Labels, sameBytes } from '../labels.ts';
import { type DropReason, OUTCOME, type Outcome, type RowSink } from '../outcome.ts';

const SPACE = 0x20;
const TAB = 0x09;

/** What `tryRow` returns when the line must be looked at as a whole. */
export const NOT_TAKEN = -1;

/** Columns by name, the label's among them; `label` undefined for none. */
export interface NamedColumns {
  readonly columns: readonly string[];
  readonly label: string | undefined;
}

export abstract class RowParser {
  rows = 0;
  ignored = 0;
  readonly reasons: readonly DropReason[] = [];
  /** The row under construction, [numbers]. */
  protected readonly values: Float32Array;
  protected readonly labels: Labels;
  readonly #sink: RowSink;

  /** @param numbers columns that hold a number: all but the label's */
  constructor(numbers: number, labels: Labels, sink: RowSink) {
    this.values = new Float32Array(numbers);
    this.labels = labels;
    this.#sink = sink;
  }

  /** Takes a row that needs no second look, if the dialect knows how; see `LineParser.tryRow`. */
  tryRow(_bytes: Uint8Array, _start: number, _limit: number, _timeUs: number): number {
    return NOT_TAKEN;
  }

  /** Nothing, unless the dialect has a meaning for it. */
  blank(_timeUs: number): void {}

  /** All missing. A loop: for a few values the call of `fill` costs more. */
  protected clearValues(): void {
    for (let slot = 0; slot < this.values.length; slot++) this.values[slot] = NaN;
  }

  /** Gives the row. Called once its numbers are sound: no other line may teach a new class name. */
  protected finish(bytes: Uint8Array, labelFirst: number, labelEnd: number, timeUs: number): Outcome {
    const label = labelFirst === labelEnd ? NO_LABEL : this.labels.classOf(bytes, labelFirst, labelEnd);
    if (label === LABEL_REFUSED) return OUTCOME.unknownLabel;
    this.give(label, timeUs);
    return OUTCOME.row;
  }

  protected give(label: number, timeUs: number): void {
    this.rows += 1;
    this.#sink(this.values, label, timeUs);
  }
}

/** The slot of the label's column, and of a name that is no column. */
export const LABEL_SLOT = -1;
export const UNKNOWN_SLOT = -2;

const encoder = new TextEncoder();

/** From the bytes of a name to the slot of its value in the row. */
export class ColumnIndex {
  /** Columns that hold a number. */
  readonly numbers: number;
  readonly #names: Uint8Array[];
  readonly #slots: Int32Array;
  /** The column that was asked for last: boards print names in one order, so the next is the one behind it. */
  #last = -1;

  constructor({ columns, label }: NamedColumns) {
    this.#names = columns.map((name) => encoder.encode(name));
    this.#slots = new Int32Array(columns.length);
    let numbers = 0;
    for (let column = 0; column < columns.length; column++) {
      this.#slots[column] = columns[column] === label ? LABEL_SLOT : numbers++;
    }
    this.numbers = numbers;
  }

  /** @returns the slot of the column named by bytes[start..end), LABEL_SLOT or UNKNOWN_SLOT */
  slotOf(bytes: Uint8Array, start: number, end: number): number {
    const count = this.#names.length;
    for (let tried = 0, column = this.#last; tried < count; tried++) {
      column += 1;
      if (column >= count) column = 0;
      if (sameBytes(this.#names[column], bytes, start, end)) {
        this.#last = column;
        return this.#slots[column];
      }
    }
    return UNKNOWN_SLOT;
  }
}

/** Which slots of a row have been filled, without clearing anything from row to row. */
export class Seen {
  /** Distinct slots filled in this row, the label's among them. */
  count = 0;
  readonly #rowOf: Uint32Array;
  #row = 1;

  /** @param numbers slots beside the label's */
  constructor(numbers: number) {
    this.#rowOf = new Uint32Array(numbers + 1);
  }

  /** Begins a new row. */
  clear(): void {
    this.count = 0;
    this.#row = (this.#row + 1) >>> 0;
    if (this.#row > 0) return;
    this.#rowOf.fill(0); // once in 2^32 rows
    this.#row = 1;
  }

  /** @returns whether the slot was free in this row */
  add(slot: number): boolean {
    if (this.has(slot)) return false;
    this.#rowOf[slot + 1] = this.#row;
    this.count += 1;
    return true;
  }

  has(slot: number): boolean {
    return this.#rowOf[slot + 1] === this.#row;
  }
}

export function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

export function skipBlanks(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && isBlank(bytes[at])) at += 1;
  return at;
}

export function skipBlanksBack(bytes: Uint8Array, start: number, end: number): number {
  let at = end;
  while (at > start && isBlank(bytes[at - 1])) at -= 1;
  return at;
}
