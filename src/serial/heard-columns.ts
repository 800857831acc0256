/** What was heard, taken apart into columns: which of them are numbers, which is the class, which the board's clock. */
import type { TextFormat } from './dialects.ts';
import { type HeardNumber, findClock } from './heard-clock.ts';

/** A whole line that is not blank. */
export interface HeardLine {
  readonly text: string;
  /** Index of the read that it began in, and when that was. */
  readonly read: number;
  readonly timeUs: number;
  /** A blank line came before it. */
  readonly afterBlank: boolean;
}

/** A line that was taken apart into names and texts. */
export interface Pairs {
  readonly pairs: readonly (readonly [string, string])[];
  readonly timeUs: number;
}

export const WORD = /^[\p{L}_]/u;
export const INFINITY = /^[+-]?(?:inf|infinity|ovf)$/i;

/** More different texts are no classes. */
export const CLASSES_MAX = 32;
/** This share of a column's cells must be numbers; the rest is damage. */
export const NUMBER_SHARE_MIN = 0.9;

/** All that is known of one column: what stood in it. */
export class Column {
  readonly name: string;
  readonly numbers: HeardNumber[] = [];
  readonly texts: string[] = [];

  constructor(name: string) {
    this.name = name;
  }

  get cells(): number {
    return this.numbers.length + this.texts.length;
  }

  get isNumber(): boolean {
    return this.numbers.length > 0 && this.numbers.length >= NUMBER_SHARE_MIN * this.cells;
  }

  /** Words, few of them and each more than once. */
  get isLabel(): boolean {
    const different = new Set(this.texts).size;
    return (
      this.numbers.length === 0 &&
      different > 0 &&
      different <= Math.min(CLASSES_MAX, Math.max(1, this.texts.length / 2)) &&
      this.texts.every((text) => WORD.test(text))
    );
  }

  /** @param number what counts as one; its comma is a decimal mark */
  take(text: string, number: RegExp, timeUs: number): void {
    if (number.test(text)) this.numbers.push({ value: Number(text.replace(',', '.')), timeUs });
    else if (text !== '' && !INFINITY.test(text)) this.texts.push(text);
  }
}

/** Columns by name, in the order in which they first stood on a line. */
export function columnsOf(lines: readonly Pairs[], number: RegExp): Column[] {
  const columns = new Map<string, Column>();
  for (const { pairs, timeUs } of lines) {
    for (const [name, text] of pairs) {
      if (!columns.has(name)) columns.set(name, new Column(name));
      columns.get(name)!.take(text, number, timeUs);
    }
  }
  return [...columns.values()];
}

/** The column that varies most among the few-valued ones; said in words. */
export function chooseLabel(columns: readonly Column[]): { label: string | undefined; because: string } {
  const labels = columns
    .filter((column) => column.isLabel)
    .map(({ name, texts }) => ({ name, values: [...new Set(texts)] }))
    .toSorted((left, right) => right.values.length - left.values.length);
  if (labels.length === 0) return { label: undefined, because: 'no column holds text that could be a class' };
  const { name, values } = labels[0];
  const shown = values.slice(0, 8).map((value) => `"${value}"`);
  const more = values.length > shown.length ? ', ...' : '';
  return {
    label: name,
    because:
      values.length === 1
        ? `column "${name}" holds text, so far always ${shown[0]}: taken for the class`
        : `column "${name}" holds text, ${values.length} different (${shown.join(', ')}${more}): the class`,
  };
}

/** What a guess says of the board's clock: nothing if there is none. */
export interface ClockGuess {
  readonly format: Pick<TextFormat, 'time' | 'timeUnit'>;
  /** In words. */
  readonly because: readonly string[];
}

export const NO_CLOCK: ClockGuess = { format: {}, because: [] };

/**
 * The first column that is the board's clock. A clock alone would leave nothing to learn from.
 * @param nameOf what the column will be called
 */
export function chooseClock(columns: readonly Column[], nameOf: (index: number) => string): ClockGuess {
  if (columns.filter(({ isNumber }) => isNumber).length < 2) return NO_CLOCK;
  for (const [index, { isNumber, numbers }] of columns.entries()) {
    const clock = isNumber ? findClock(numbers) : undefined;
    if (clock === undefined) continue;
    const time = nameOf(index);
    return {
      format: { time, timeUnit: clock.unit },
      because: [`column "${time}" ${clock.because}: the board's clock, which times the rows`],
    };
  }
  return NO_CLOCK;
}

export function mostFrequent<T>(values: readonly T[]): T | undefined {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  let best: T | undefined;
  for (const [value, count] of counts) if (best === undefined || count > counts.get(best)!) best = value;
  return best;
}
