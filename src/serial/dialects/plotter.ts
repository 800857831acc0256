/**
 * Pairs as the Arduino Serial Plotter reads them, in any order:
 *
 *     x:0.031,y:0.044 temperature: 24.61	state:running
 *
 * Pairs are separated by comma, space or tab; with another separator in the config by that alone, and then names may
 * hold blanks. Blanks around name and value do not count. A column whose name is missing is a missing value; a name
 * that is no column is passed over and counted.
 */
import { type LineParser, OUTCOME, type Outcome } from '../outcome.ts';
import { NO_NUMBER, scanNumber } from '../number.ts';
import { Cells, type Separator } from './numbers.ts';
import {
  ColumnIndex,
  type NamedColumns,
  RowParser,
  type RowTarget,
  Seen,
  TIME_SLOT,
  UNKNOWN_SLOT,
  skipBlanks,
  skipBlanksBack,
} from './row.ts';

const COLON = 0x3a;
const COMMA = 0x2c;

export class PlotterParser extends RowParser implements LineParser {
  readonly #columns: ColumnIndex;
  readonly #cells: Cells;
  /** Any of comma, space and tab: a comma among blanks is one separator. */
  readonly #mixed: boolean;
  readonly #seen: Seen;

  constructor(columns: NamedColumns, separator: Separator, target: RowTarget) {
    const index = new ColumnIndex(columns);
    super(index.numbers, target, ['otherText', 'unknownName', 'repeatedName']);
    this.#columns = index;
    this.#mixed = separator === 'any';
    this.#cells = new Cells(this.#mixed ? 'space' : separator);
    if (this.#mixed) this.#cells.addSeparator(COMMA);
    this.#seen = new Seen(index.numbers);
  }

  parse(bytes: Uint8Array, start: number, end: number): Outcome {
    const seen = this.#seen;
    seen.clear();
    this.clearValues();
    let numbers = 0;
    let ignored = 0;
    let labelFirst = 0;
    let labelEnd = 0;
    let at = this.#skipSeparators(bytes, start, end);
    while (at < end) {
      const colon = this.#findColon(bytes, at, end);
      if (colon === end) return OUTCOME.otherText;
      const slot = this.#columns.slotOf(bytes, at, skipBlanksBack(bytes, at, colon));
      at = skipBlanks(bytes, colon + 1, end);
      if (slot >= 0 || slot === TIME_SLOT) {
        if (!seen.add(slot)) return OUTCOME.repeatedName;
        at = this.#readNumber(bytes, at, end, slot);
        if (at === NO_NUMBER) return OUTCOME.notANumber;
        if (slot >= 0) numbers += 1;
      } else {
        const first = at;
        at = this.#cells.endOfCell(bytes, at, end);
        if (slot === UNKNOWN_SLOT) {
          ignored += 1;
        } else {
          if (!seen.add(slot)) return OUTCOME.repeatedName;
          labelFirst = first;
          labelEnd = skipBlanksBack(bytes, first, at);
        }
      }
      at = this.#skipSeparators(bytes, at, end);
    }
    if (numbers === 0) return ignored > 0 ? OUTCOME.unknownName : OUTCOME.otherText;
    const outcome = this.finish(bytes, labelFirst, labelEnd);
    if (outcome === OUTCOME.row) this.ignored += ignored;
    return outcome;
  }

  /** An empty cell is a missing value. @returns where the cell ends, or NO_NUMBER */
  #readNumber(bytes: Uint8Array, start: number, end: number, slot: number): number {
    const { ends, mark } = this.#cells;
    if (start >= end || ends[bytes[start]] !== 0) return start;
    const at = scanNumber(bytes, start, end, mark);
    if (at === NO_NUMBER) return NO_NUMBER;
    const stop = this.#cells.skipToSeparator(bytes, at, end);
    if (stop < end && ends[bytes[stop]] === 0) return NO_NUMBER;
    this.put(slot);
    return stop;
  }

  /** @returns `end` if the cell ends before a colon comes: a word that is no pair */
  #findColon(bytes: Uint8Array, start: number, end: number): number {
    const { ends } = this.#cells;
    let at = start;
    while (at < end && bytes[at] !== COLON) {
      if (ends[bytes[at]] !== 0) return end;
      at += 1;
    }
    return at > start ? at : end;
  }

  #skipSeparators(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    if (this.#mixed) {
      while (at < end && this.#cells.ends[bytes[at]] !== 0) at += 1;
      return at;
    }
    if (at < end && this.#cells.ends[bytes[at]] !== 0) at += 1;
    return skipBlanks(bytes, at, end);
  }
}
