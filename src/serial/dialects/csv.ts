/**
 * CSV with a header row and segments:
 *
 *     x,y,z,state
 *     0.031,0.044,1.002,off
 *                                   a blank line: what follows is another gesture, a gap
 *     0.044,0.051,1.010,on
 *
 * A header that names all columns of the config sets their order; cells under other names are passed over and counted.
 * Until one comes the order is that of the config: the board may have printed its header before the port was opened. A
 * line that is a header, yet lacks a column, means that another program runs on the board: lines are dropped until a
 * header fits. A header in mid-stream is a gap as well, since the board has started again.
 */
import { type LineParser, OUTCOME, type Outcome } from '../outcome.ts';
import { CellReader, type Cells, type Separator } from './numbers.ts';
import {
  ColumnIndex,
  NOT_TAKEN,
  type NamedColumns,
  RowParser,
  type RowTarget,
  Seen,
  UNKNOWN_SLOT,
  skipBlanksBack,
  slotsOf,
} from './row.ts';

/** Cells under names that are no columns may be there too, up to this many cells in all. */
const CELLS_MAX = 512;

const LOWER_CASE = 0x20;
/** What boards print for a value that is no finite number. */
const NUMBER_WORDS = ['nan', 'inf', 'ovf', 'infinity'].map((word) => new TextEncoder().encode(word));

export class CsvParser extends RowParser implements LineParser {
  readonly #columns: ColumnIndex;
  readonly #columnCount: number;
  readonly #reader: CellReader;
  readonly #cells: Cells;
  readonly #seen: Seen;
  /** The present header names all the columns, or none came yet. */
  #fits = true;
  #ignoredPerRow = 0;
  #rowsAtGap = 0;

  constructor(named: NamedColumns, separator: Separator, target: RowTarget) {
    const index = new ColumnIndex(named);
    super(index.numbers, target, ['otherHeader']);
    this.#columns = index;
    this.#columnCount = named.columns.length;
    this.#reader = new CellReader(separator, CELLS_MAX);
    this.#cells = this.#reader.cells;
    this.#seen = new Seen(index.numbers);
    this.#reader.count = named.columns.length;
    this.#reader.slots.set(slotsOf(named));
  }

  parse(bytes: Uint8Array, start: number, end: number): Outcome {
    const cellCount = this.#cells.count(bytes, start, end);
    if (this.#isHeader(bytes, start, end, cellCount)) return this.#takeHeader(bytes, start, end);
    if (!this.#fits) return OUTCOME.otherHeader;
    if (cellCount !== this.#reader.count) return OUTCOME.columnCount;
    if (!this.#reader.readLine(bytes, start, end, this.values, this.printed)) return OUTCOME.notANumber;
    return this.#give(bytes);
  }

  override tryRow(bytes: Uint8Array, start: number, limit: number): number {
    if (!this.#fits) return NOT_TAKEN;
    // A header is never taken for a row: there is a column of numbers, and no name is a number.
    const newline = this.#reader.findRow(bytes, start, limit, this.values, this.printed);
    return newline !== NOT_TAKEN && this.#give(bytes) === OUTCOME.row ? newline : NOT_TAKEN;
  }

  override blank(): void {
    if (this.rows === this.#rowsAtGap) return;
    this.#rowsAtGap = this.rows;
    this.onGap?.();
  }

  #give(bytes: Uint8Array): Outcome {
    const outcome = this.finish(bytes, this.#reader.labelFirst, this.#reader.labelEnd);
    if (outcome === OUTCOME.row) this.ignored += this.#ignoredPerRow;
    return outcome;
  }

  /**
   * A header is all names, and either one of them is a column or there are as many as columns. Other lines without a
   * number are log lines.
   */
  #isHeader(bytes: Uint8Array, start: number, end: number, cellCount: number): boolean {
    let known = 0;
    let at = start;
    for (let cell = 0; cell < cellCount; cell++) {
      const first = this.#cells.skipToCell(bytes, at, end);
      const stop = this.#cells.endOfCell(bytes, first, end);
      const last = skipBlanksBack(bytes, first, stop);
      if (!isName(bytes, first, last)) return false;
      if (this.#columns.slotOf(bytes, first, last) !== UNKNOWN_SLOT) known += 1;
      at = stop + 1;
    }
    return cellCount > 1 && (known > 0 || cellCount === this.#columnCount);
  }

  #takeHeader(bytes: Uint8Array, start: number, end: number): Outcome {
    const cellCount = Math.min(this.#cells.count(bytes, start, end), CELLS_MAX);
    this.#seen.clear();
    this.#ignoredPerRow = 0;
    let at = start;
    for (let cell = 0; cell < cellCount; cell++) {
      const first = this.#cells.skipToCell(bytes, at, end);
      const stop = this.#cells.endOfCell(bytes, first, end);
      const slot = this.#columns.slotOf(bytes, first, skipBlanksBack(bytes, first, stop));
      // Of a name that stands there twice the first cell counts.
      const taken = slot !== UNKNOWN_SLOT && this.#seen.add(slot);
      this.#reader.slots[cell] = taken ? slot : UNKNOWN_SLOT;
      if (!taken) this.#ignoredPerRow += 1;
      at = stop + 1;
    }
    this.blank();
    this.#fits = this.#seen.count === this.#columnCount;
    this.#reader.count = cellCount;
    return this.#fits ? OUTCOME.header : OUTCOME.otherHeader;
  }
}

/** Starts like a word and is no number in words (nan, inf, ovf). */
function isName(bytes: Uint8Array, first: number, last: number): boolean {
  if (first === last) return false;
  const lead = bytes[first] | LOWER_CASE;
  const startsWord = bytes[first] === 0x5f || bytes[first] >= 0x80 || (lead >= 0x61 && lead <= 0x7a);
  return startsWord && !isNumberWord(bytes, first, last);
}

function isNumberWord(bytes: Uint8Array, first: number, last: number): boolean {
  for (let word = 0; word < NUMBER_WORDS.length; word++) {
    if (isWord(NUMBER_WORDS[word], bytes, first, last)) return true;
  }
  return false;
}

/** In any case. */
function isWord(word: Uint8Array, bytes: Uint8Array, first: number, last: number): boolean {
  if (last - first !== word.length) return false;
  for (let i = 0; i < word.length; i++) if ((bytes[first + i] | LOWER_CASE) !== word[i]) return false;
  return true;
}
