/**
 * What lines of text look like: one guess for each dialect, with how many lines fit it. Strings are fine here, since
 * this runs once over a second or two of lines; what a guess is worth the decoder itself then says.
 */
import { type Separator, TELEPLOT_STAMP, type TextFormat } from './dialects.ts';
import { findClock } from './heard-clock.ts';
import {
  type ClockGuess,
  Column,
  type HeardLine,
  INFINITY,
  NO_CLOCK,
  NUMBER_SHARE_MIN,
  type Pairs,
  WORD,
  chooseClock,
  chooseLabel,
  columnsOf,
  mostFrequent,
} from './heard-columns.ts';

export interface Guess {
  readonly format: TextFormat;
  /** Lines that fit. */
  readonly fits: number;
  /** Why, in words. */
  readonly because: readonly string[];
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$|^nan$/i;
const NUMBER_OR_LOCALE = /^[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:e[+-]?\d+)?$|^nan$/i;

/** A name must stand on this share of the lines to be a column: others come from log lines. */
const COLUMN_SHARE_MIN = 0.05;

const NO_PATTERN = { separator: 'any', pattern: '' } as const;

/** The guess for a dialect whose lines name their values. */
function guessNamed(
  format: TextFormat['format'],
  separator: Separator,
  lines: readonly Pairs[],
  number: RegExp,
  why: string,
): Guess | undefined {
  const usual = columnsOf(lines, number).filter(({ cells }) => cells >= COLUMN_SHARE_MIN * lines.length);
  const { label, because } = chooseLabel(usual);
  const clock = chooseClock(usual, (index) => usual[index].name);
  const columns = usual.filter(({ isNumber, name }) => isNumber || name === label).map(({ name }) => name);
  if (!usual.some(({ isNumber }) => isNumber)) return undefined;
  const left = usual.filter(({ name }) => !columns.includes(name)).map(({ name }) => `"${name}"`);
  const leftOut = left.length > 0 ? [`left out, neither number nor class: ${left.join(', ')}`] : [];
  return {
    format: { ...NO_PATTERN, format, separator, columns, label, ...clock.format },
    fits: lines.length,
    because: [`${lines.length} lines ${why}`, because, ...clock.because, ...leftOut],
  };
}

export function guessJson(lines: readonly HeardLine[]): Guess | undefined {
  const objects = lines.flatMap(({ text, timeUs }) => {
    const pairs = text.trim().startsWith('{') ? parseObject(text) : undefined;
    return pairs === undefined ? [] : [{ pairs, timeUs }];
  });
  return guessNamed('json', 'any', objects, NUMBER, 'are flat JSON objects');
}

function parseObject(text: string): [string, string][] | undefined {
  try {
    const entries = Object.entries(JSON.parse(text) as Record<string, unknown>);
    if (entries.some(([, value]) => typeof value === 'object' && value !== null)) return undefined;
    return entries.map(([name, value]) => [name, value === null ? '' : String(value)]);
  } catch {
    return undefined;
  }
}

export function guessPlotter(lines: readonly HeardLine[]): Guess | undefined {
  const mixed = takePairs(lines, /[\s,]+/, true);
  const commas = takePairs(lines, /,/, false);
  return commas.length > mixed.length
    ? guessNamed('plotter', 'comma', commas, NUMBER, 'are pairs name:value between commas')
    : guessNamed('plotter', 'any', mixed, NUMBER, 'are pairs name:value');
}

/** Lines that are nothing but pairs, at least one of them with a number. */
function takePairs(lines: readonly HeardLine[], separator: RegExp, noBlanks: boolean): Pairs[] {
  return lines.flatMap(({ text, timeUs }) => {
    const tight = noBlanks ? text.replaceAll(/\s*:\s*/g, ':') : text;
    const cells = tight.split(separator).filter((cell) => cell.trim() !== '');
    const pairs = cells.map((cell) => /^\s*([^:>{"\s][^:]*?)\s*:\s*([^:]*?)\s*$/.exec(cell));
    if (pairs.length === 0 || pairs.includes(null)) return [];
    const taken = pairs.map((pair) => [pair![1], pair![2]] as [string, string]);
    return taken.some(([, value]) => NUMBER.test(value)) ? [{ pairs: taken, timeUs }] : [];
  });
}

export function guessTeleplot(lines: readonly HeardLine[]): Guess | undefined {
  const heard = lines.flatMap(({ text, read, timeUs }) => {
    const match = /^>([^:,]+)(?:,[^:]*)?:(?:\s*(\d+):)?([^§|]*)(?:§[^|]*)?(?:\|(?!xy).*)?$/.exec(text);
    return match ? [{ name: match[1].trim(), stamp: match[2], value: match[3].trim(), read, timeUs }] : [];
  });
  const guess = guessNamed(
    'teleplot',
    'any',
    heard.map(({ name, value, timeUs }) => ({ pairs: [[name, value]], timeUs })),
    NUMBER,
    'are Teleplot values',
  );
  if (guess === undefined) return undefined;
  // A column cannot be the clock here: a value has its stamp.
  const { time: _time, timeUnit: _unit, ...format } = guess.format;
  const columns = rotate(format.columns, heard);
  const stamp = stampOf(heard.filter(({ name }) => name === columns[0]));
  return {
    ...guess,
    format: { ...format, columns, ...stamp.format },
    because: [
      ...guess.because,
      `"${columns[0]}" most often comes first after a pause: a row begins with it`,
      ...stamp.because,
    ],
  };
}

/** The stamps before the values of one name, if they are the board's clock. */
function stampOf(heard: readonly { stamp: string | undefined; timeUs: number }[]): ClockGuess {
  const stamps = heard.flatMap(({ stamp, timeUs }) =>
    stamp === undefined ? [] : [{ value: Number(stamp), timeUs }],
  );
  const clock = stamps.length >= NUMBER_SHARE_MIN * heard.length ? findClock(stamps) : undefined;
  if (clock === undefined) return NO_CLOCK;
  return {
    format: { time: TELEPLOT_STAMP, timeUnit: clock.unit },
    because: [`the stamp before the value ${clock.because}: the board's clock, which times the rows`],
  };
}

/** Has the columns begin with the name that most often is the first of a read, so of what the board prints at once. */
function rotate(columns: readonly string[], heard: readonly { name: string; read: number }[]): string[] {
  const first = new Map<string, number>(columns.map((name) => [name, 0]));
  for (let i = 1; i < heard.length; i++) {
    const { name, read } = heard[i];
    if (read !== heard[i - 1].read && first.has(name)) first.set(name, first.get(name)! + 1);
  }
  const most = Math.max(...first.values());
  const start = columns.findIndex((name) => first.get(name) === most);
  return [...columns.slice(start), ...columns.slice(0, start)];
}

const SPLITS: readonly (readonly [Separator, RegExp])[] = [
  ['comma', /,/],
  ['semicolon', /;/],
  ['tab', /\t/],
  ['space', /[ \t]+/],
];

/** Bare numbers, or CSV if there is a header or the lines come in segments. */
export function guessNumbers(lines: readonly HeardLine[]): Guess | undefined {
  return SPLITS.map(([separator, split]) => guessSeparated(lines, separator, split))
    .filter((guess) => guess !== undefined)
    .reduce<Guess | undefined>(
      (best, guess) => (best === undefined || isBetter(guess, best) ? guess : best),
      undefined,
    );
}

function isBetter(guess: Guess, best: Guess): boolean {
  if (guess.fits !== best.fits) return guess.fits > best.fits;
  return guess.format.columns.length > best.format.columns.length;
}

function guessSeparated(lines: readonly HeardLine[], separator: Separator, split: RegExp): Guess | undefined {
  const number = separator === 'comma' ? NUMBER : NUMBER_OR_LOCALE;
  const all = lines.map((line) => ({ line, cells: splitCells(line.text, separator, split) }));
  const withNumbers = all.filter(({ cells }) => cells.some((cell) => number.test(cell)));
  const width = mostFrequent(withNumbers.map(({ cells }) => cells.length));
  const rows = withNumbers.filter(({ cells }) => cells.length === width);
  if (width === undefined || rows.length === 0) return undefined;
  const header = all.find(({ cells }) => cells.length === width && width > 1 && isHeader(cells))?.cells;
  const positions = columnsOf(
    rows.map(({ line, cells }) => ({
      pairs: cells.map((cell, index) => [String(index), cell] as const),
      timeUs: line.timeUs,
    })),
    number,
  );
  const others = positions.filter(({ isNumber }) => !isNumber);
  if (others.length > 1 || others.length === width || !others.every(({ isLabel }) => isLabel))
    return undefined;
  const labelIndex = others.length === 1 ? Number(others[0].name) : -1;
  const columns = header ?? defaultNames(width, labelIndex);
  const clock = chooseClock(positions, (index) => (header ? header[index] : (columns[index] = 'time')));
  const named = others.map(({ texts }) => Object.assign(new Column(columns[labelIndex]), { texts }));
  const fits = rows.filter(({ cells }) =>
    cells.every((cell, index) => index === labelIndex || cell === '' || number.test(cell)),
  ).length;
  const segments = rows.filter(({ line }) => line.afterBlank).length;
  const segmented = segments > 0 && segments <= rows.length / 3; // else every line ends with two newlines
  const isCsv = header !== undefined || segmented;
  return {
    format: {
      format: isCsv ? 'csv' : 'numbers',
      separator,
      columns,
      label: labelIndex < 0 ? undefined : columns[labelIndex],
      pattern: '',
      ...clock.format,
    },
    fits,
    because: [
      `${fits} lines are ${width} cell${width === 1 ? '' : `s separated by ${separator}`}`,
      ...(separator !== 'comma' && rows.some(({ line }) => /\d,\d/.test(line.text))
        ? ['the comma is a decimal mark']
        : []),
      ...(header ? [`a header names them: ${header.join(', ')}`] : []),
      ...(segmented ? [`blank lines between segments: ${segments}`] : []),
      chooseLabel(named).because,
      ...clock.because,
    ],
  };
}

function splitCells(text: string, separator: Separator, split: RegExp): string[] {
  const whole = separator === 'tab' ? text : text.trim();
  const cells = whole.split(split).map((cell) => cell.trim());
  if (cells.length > 1 && cells.at(-1) === '') cells.pop(); // sketches print the separator in a loop
  return cells;
}

function isHeader(cells: readonly string[]): boolean {
  return (
    new Set(cells).size === cells.length &&
    cells.every((cell) => WORD.test(cell) && !NUMBER.test(cell) && !INFINITY.test(cell))
  );
}

/** c1, c2, ... and label. */
function defaultNames(width: number, labelIndex: number): string[] {
  return Array.from({ length: width }, (_, index) => (index === labelIndex ? 'label' : `c${index + 1}`));
}
