/** What the parsers of all dialects share: the row under construction, and the columns looked up by name. */
import { NO_LABEL } from '../../stream/ring.ts';
import { LABEL_REFUSED, type Labels, sameBytes } from '../labels.ts';
import { parsed } from '../number.ts';
import { type DropReason, type GapSink, OUTCOME, type Outcome, type RowSink } from '../outcome.ts';
import { type PrintedClock, STEP } from '../printed-clock.ts';

const SPACE = 0x20;
const TAB = 0x09;

/** What `tryRow` returns when the line must be looked at as a whole. */
export const NOT_TAKEN = -1;

/** Columns by name, those of the label and of the board's clock among them. */
export interface NamedColumns {
  readonly columns: readonly string[];
  /** undefined: none. */
  readonly label: string | undefined;
  /** undefined or empty: none. */
  readonly time?: string | undefined;
}

/** Where rows go, and what they are made with. */
export interface RowTarget {
  readonly labels: Labels;
  readonly onRow: RowSink;
  /** Told of gaps: blank lines and new headers of csv, a board's clock that began anew. */
  readonly onGap: GapSink | undefined;
  /** The board's, if the text carries it. */
  readonly clock: PrintedClock | undefined;
}

/** The slot of the label's column, of a name that is no column, and of the board's clock. */
export const LABEL_SLOT = -1;
export const UNKNOWN_SLOT = -2;
export const TIME_SLOT = -3;
const SPECIAL_SLOTS = 3;

/** @returns [columns]: where each column's cell goes; numbers are counted from 0 */
export function slotsOf({ columns, label, time }: NamedColumns): Int32Array {
  let numbers = 0;
  return Int32Array.from(columns, (name) => {
    if (name === label) return LABEL_SLOT;
    return name === time ? TIME_SLOT : numbers++;
  });
}

/** Names of the columns that hold a value: neither the class nor the board's clock. */
export function valueColumns({ columns, label, time }: NamedColumns): string[] {
  return columns.filter((name) => name !== label && name !== time);
}

export abstract class RowParser {
  rows = 0;
  ignored = 0;
  readonly reasons: readonly DropReason[];
  readonly readUs = new Float64Array(1);
  /** The row under construction, [numbers]. */
  protected readonly values: Float32Array;
  /** What the board's clock said for it; a slot, since a field would put each double on the heap. */
  protected readonly printed = new Float64Array(1);
  protected readonly labels: Labels;
  protected readonly clock: PrintedClock | undefined;
  protected readonly onGap: GapSink | undefined;
  readonly #onRow: RowSink;

  /**
   * @param numbers columns that hold a value
   * @param reasons of the dialect
   */
  constructor(numbers: number, { labels, onRow, onGap, clock }: RowTarget, reasons: readonly DropReason[]) {
    this.values = new Float32Array(numbers);
    this.labels = labels;
    this.clock = clock;
    this.onGap = onGap;
    this.#onRow = onRow;
    this.reasons = clock === undefined ? reasons : [...reasons, 'badTime'];
  }

  get clockRestarts(): number {
    return this.clock?.restarts ?? 0;
  }

  /** Takes a row that needs no second look, if the dialect knows how; see `LineParser.tryRow`. */
  tryRow(_bytes: Uint8Array, _start: number, _limit: number): number {
    return NOT_TAKEN;
  }

  /** Nothing, unless the dialect has a meaning for it. */
  blank(): void {}

  /** All missing. A loop: for a few values the call of `fill` costs more. */
  protected clearValues(): void {
    for (let slot = 0; slot < this.values.length; slot++) this.values[slot] = NaN;
    this.printed[0] = NaN;
  }

  /** Puts the number that was parsed last where it belongs. @param slot of a value, or TIME_SLOT */
  protected put(slot: number): void {
    if (slot >= 0) this.values[slot] = parsed[0];
    else this.printed[0] = parsed[0];
  }

  /** Gives the row. Called once its numbers are sound: no other line may teach a new class name. */
  protected finish(bytes: Uint8Array, labelFirst: number, labelEnd: number): Outcome {
    if (this.clock !== undefined && !this.clock.reads(this.printed)) return OUTCOME.badTime;
    const label = labelFirst === labelEnd ? NO_LABEL : this.labels.classOf(bytes, labelFirst, labelEnd);
    if (label === LABEL_REFUSED) return OUTCOME.unknownLabel;
    this.give(label);
    return OUTCOME.row;
  }

  /** Gives the row; the board's clock, if there is one, can be read. */
  protected give(label: number): void {
    const { clock } = this;
    if (clock !== undefined && clock.step(this.printed, this.readUs) === STEP.anew) this.onGap?.();
    this.rows += 1;
    this.#onRow(this.values, label, clock === undefined ? this.readUs : clock.times);
  }
}

const encoder = new TextEncoder();

/** From the bytes of a name to the slot of its value in the row. */
export class ColumnIndex {
  /** Columns that hold a value. */
  readonly numbers: number;
  readonly #names: Uint8Array[];
  readonly #slots: Int32Array;
  /** The column that was asked for last: boards print names in one order, so the next is the one behind it. */
  #last = -1;

  constructor(named: NamedColumns) {
    this.#names = named.columns.map((name) => encoder.encode(name));
    this.#slots = slotsOf(named);
    this.numbers = valueColumns(named).length;
  }

  /** @returns the slot of the column named by bytes[start..end), or UNKNOWN_SLOT */
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

  /** @param numbers slots beside the special ones */
  constructor(numbers: number) {
    this.#rowOf = new Uint32Array(numbers + SPECIAL_SLOTS);
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
    this.#rowOf[slot + SPECIAL_SLOTS] = this.#row;
    this.count += 1;
    return true;
  }

  has(slot: number): boolean {
    return this.#rowOf[slot + SPECIAL_SLOTS] === this.#row;
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
