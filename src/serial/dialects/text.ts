/**
 * Numbers inside text, found by a pattern:
 *
 *     Scaled. Acc (mg) [ -00012.34, 00005.00, 00981.00 ], Gyr ...
 *     Acc (mg) [ {x}, {y}, {z} ]
 *
 * The pattern may match anywhere on the line. A name in braces is a column: a number, or for the label's column the
 * text up to what follows it in the pattern. `{}` is a number that is passed over. A blank in the pattern is any number
 * of blanks, none included; everything else must be there as it stands.
 *
 * Without a pattern a row is all the numbers on the line, in order. A digit that belongs to a word (`mg2`) is none.
 */
import { type LineParser, OUTCOME, type Outcome } from '../outcome.ts';
import { NO_NUMBER, POINT, scanNumber } from '../number.ts';
import { EdgeloopError } from '../../errors.ts';
import {
  LABEL_SLOT,
  type NamedColumns,
  RowParser,
  type RowTarget,
  TIME_SLOT,
  UNKNOWN_SLOT,
  isBlank,
  skipBlanks,
  skipBlanksBack,
  slotsOf,
  valueColumns,
} from './row.ts';

const SPACE = 0x20;
const LOWER_CASE = 0x20;
const MINUS = 0x2d;
const PLUS = 0x2b;

/** A hole, and the text that must stand behind it. */
interface Hole {
  readonly slot: number;
  readonly behind: Uint8Array;
}

interface Pattern {
  /** What the pattern begins with. */
  readonly head: Uint8Array;
  readonly holes: readonly Hole[];
}

/**
 * @param pattern e.g. `Acc [ {x}, {y}, {z} ]`
 * @returns what is wrong with it for these columns, or undefined
 */
export function patternFault(pattern: string, { columns }: NamedColumns): string | undefined {
  const names = holeNames(pattern).filter((name) => name.length > 0);
  const unknown = names.find((name) => !columns.includes(name));
  if (unknown !== undefined) return `{${unknown}} is none of the columns ${columns.join(', ')}`;
  const missing = columns.find((name) => !names.includes(name));
  if (missing !== undefined) return `the column {${missing}} is missing`;
  if (names.length > columns.length) return 'a column stands there twice';
  if (/\}\{/.test(pattern)) return 'there must be a text or a blank between two columns';
  return undefined;
}

export class TextParser extends RowParser implements LineParser {
  readonly #pattern: Pattern | undefined;
  /** Without a pattern: where the numbers go, in order. */
  readonly #slots: Int32Array;
  #labelFirst = 0;
  #labelEnd = 0;
  /** Why the last attempt at a match failed, and how far it came. */
  #failure: Outcome = OUTCOME.otherText;

  /**
   * @param pattern empty: all numbers in order
   * @throws EdgeloopError ELOOP_CONFIG
   */
  constructor(named: NamedColumns, pattern: string, target: RowTarget) {
    super(valueColumns(named).length, target, ['otherText']);
    const fault = pattern === '' ? undefined : patternFault(pattern, named);
    if (fault !== undefined) {
      throw new EdgeloopError(
        'ELOOP_CONFIG',
        `input.pattern: expected each column once, as in "Acc [ {x}, {y} ]", got "${pattern}": ${fault}.`,
      );
    }
    this.#pattern = pattern === '' ? undefined : compile(pattern, named);
    this.#slots = slotsOf(named).filter((slot) => slot !== LABEL_SLOT);
  }

  parse(bytes: Uint8Array, start: number, end: number): Outcome {
    if (this.#pattern === undefined) return this.#takeNumbers(bytes, start, end);
    const { head, holes } = this.#pattern;
    const anywhere = !isAllBlank(head);
    this.#failure = OUTCOME.otherText;
    for (let from = start; from <= end; from++) {
      if (!anywhere && !isAtEdge(bytes, from, start)) continue;
      const at = skipText(head, bytes, from, end);
      if (at === NO_NUMBER || !this.#fill(holes, bytes, at, end)) continue;
      return this.finish(bytes, this.#labelFirst, this.#labelEnd);
    }
    return this.#failure;
  }

  /** Fills the holes from bytes[start..end). */
  #fill(holes: readonly Hole[], bytes: Uint8Array, start: number, end: number): boolean {
    this.#labelFirst = 0;
    this.#labelEnd = 0;
    let at = start;
    for (let index = 0; index < holes.length; index++) {
      const { slot, behind } = holes[index];
      const first = skipBlanks(bytes, at, end);
      at =
        slot === LABEL_SLOT
          ? this.#takeLabel(behind, bytes, first, end)
          : scanNumber(bytes, first, end, POINT);
      if (at === NO_NUMBER) {
        // Once a number has been found the line is ours, and damaged.
        if (index > 0) this.#failure = OUTCOME.notANumber;
        return false;
      }
      if (slot >= 0 || slot === TIME_SLOT) this.put(slot);
      at = skipText(behind, bytes, at, end);
      if (at === NO_NUMBER) {
        if (index > 0) this.#failure = OUTCOME.notANumber;
        return false;
      }
    }
    return true;
  }

  /** @returns where the label ends: before what stands behind it, or at the end of the line if that is nothing */
  #takeLabel(behind: Uint8Array, bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    if (isAllBlank(behind)) while (at < end && (behind.length === 0 || !isBlank(bytes[at]))) at += 1;
    else while (at <= end && skipText(behind, bytes, at, end) === NO_NUMBER) at += 1;
    if (at > end) return NO_NUMBER;
    this.#labelFirst = start;
    this.#labelEnd = skipBlanksBack(bytes, start, at);
    return at;
  }

  #takeNumbers(bytes: Uint8Array, start: number, end: number): Outcome {
    const count = this.#slots.length;
    let found = 0;
    let at = start;
    while (at < end) {
      const stop = isAtEdge(bytes, at, start) ? scanNumber(bytes, at, end, POINT) : NO_NUMBER;
      if (stop === NO_NUMBER || !isNumberWord(bytes, at, stop, end)) {
        at += 1;
        continue;
      }
      if (found < count) this.put(this.#slots[found]);
      found += 1;
      at = stop;
    }
    if (found === count) return this.finish(bytes, 0, 0);
    return found === 0 ? OUTCOME.otherText : OUTCOME.columnCount;
  }
}

function holeNames(pattern: string): string[] {
  return Array.from(pattern.matchAll(/\{([^{}]*)\}/g), ([, name]) => name);
}

function compile(pattern: string, named: NamedColumns): Pattern {
  const slotsByColumn = slotsOf(named);
  const encoder = new TextEncoder();
  const texts = pattern.split(/\{[^{}]*\}/).map((text) => encoder.encode(text.replaceAll(/\s+/g, ' ')));
  const slots = holeNames(pattern).map((name) =>
    name === '' ? UNKNOWN_SLOT : slotsByColumn[named.columns.indexOf(name)],
  );
  return { head: texts[0], holes: slots.map((slot, index) => ({ slot, behind: texts[index + 1] })) };
}

/** @returns where the text of a pattern ends that bytes[start..end) begins with, or NO_NUMBER */
function skipText(text: Uint8Array, bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === SPACE) at = skipBlanks(bytes, at, end);
    else if (at >= end || bytes[at] !== text[i]) return NO_NUMBER;
    else at += 1;
  }
  return at;
}

function isAllBlank(text: Uint8Array): boolean {
  return text.length === 0 || (text.length === 1 && text[0] === SPACE);
}

/** Neither inside a word or number, nor behind a sign. */
function isAtEdge(bytes: Uint8Array, at: number, start: number): boolean {
  if (at === start) return true;
  const before = bytes[at - 1];
  return before !== MINUS && before !== PLUS && !isWordByte(before);
}

/** A number may have its unit at its tail; but `nano` is not a missing value. */
function isNumberWord(bytes: Uint8Array, start: number, stop: number, end: number): boolean {
  return (bytes[start] | LOWER_CASE) !== 0x6e || stop === end || !isWordByte(bytes[stop]);
}

/** Letter, digit, underscore, point, or part of a letter beyond ASCII. */
function isWordByte(byte: number): boolean {
  const letter = byte | LOWER_CASE;
  return (
    (letter >= 0x61 && letter <= 0x7a) ||
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x5f ||
    byte === POINT ||
    byte >= 0x80
  );
}
