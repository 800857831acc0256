/**
 * What lines of text look like: one guess for each dialect, with how many lines fit it. Strings are fine here, since
 * this runs once over a second or two of lines; what a guess is worth the decoder itself then says.
 */
import type { Separator, TextFormat } from './dialects.ts';

/** A whole line that is not blank. */
export interface HeardLine {
  readonly text: string;
  /** Index of the read that it began in. */
  readonly read: number;
  /** A blank line came before it. */
  readonly afterBlank: boolean;
}

export interface Guess {
  readonly format: TextFormat;
  /** Lines that fit. */
  readonly fits: number;
  /** Why, in words. */
  readonly because: readonly string[];
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$|^nan$/i;
const NUMBER_OR_LOCALE = /^[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:e[+-]?\d+)?$|^nan$/i;
const WORD = /^[\p{L}_]/u;
const INFINITY = /^[+-]?(?:inf|infinity|ovf)$/i;

/** More different texts are no classes. */
const CLASSES_MAX = 32;
/** A name must stand on this share of the lines to be a column: others come from log lines. */
const COLUMN_SHARE_MIN = 0.05;
/** This share of a column's cells must be numbers; the rest is damage. */
const NUMBER_SHARE_MIN = 0.9;

const NO_PATTERN = { separator: 'any', pattern: '' } as const;

/** All that is known of one column: what stood in it. */
class Column {
  readonly name: string;
  numbers = 0;
  readonly texts: string[] = [];

  constructor(name: string) {
    this.name = name;
  }

  get cells(): number {
    return this.numbers + this.texts.length;
  }

  get isNumber(): boolean {
    return this.numbers > 0 && this.numbers >= NUMBER_SHARE_MIN * this.cells;
  }

  /** Words, few of them and each more than once. */
  get isLabel(): boolean {
    const different = new Set(this.texts).size;
    return (
      this.numbers === 0 &&
      different > 0 &&
      different <= Math.min(CLASSES_MAX, Math.max(1, this.texts.length / 2)) &&
      this.texts.every((text) => WORD.test(text))
    );
  }

  take(text: string, number: RegExp): void {
    if (number.test(text)) this.numbers += 1;
    else if (text !== '' && !INFINITY.test(text)) this.texts.push(text);
  }
}

/** The column that varies most among the few-valued ones; said in words. */
function chooseLabel(columns: readonly Column[]): { label: string | undefined; because: string } {
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

/** Columns by name from lines that were taken apart into pairs. */
function columnsOf(lines: readonly (readonly [string, string])[][], number: RegExp): Column[] {
  const columns = new Map<string, Column>();
  for (const pairs of lines) {
    for (const [name, text] of pairs) {
      if (!columns.has(name)) columns.set(name, new Column(name));
      columns.get(name)!.take(text, number);
    }
  }
  return [...columns.values()];
}

/** The guess for a dialect whose lines name their values. */
function guessNamed(
  format: TextFormat['format'],
  separator: Separator,
  lines: readonly (readonly [string, string])[][],
  number: RegExp,
  why: string,
): Guess | undefined {
  const usual = columnsOf(lines, number).filter(({ cells }) => cells >= COLUMN_SHARE_MIN * lines.length);
  const { label, because } = chooseLabel(usual);
  const columns = usual.filter(({ isNumber, name }) => isNumber || name === label).map(({ name }) => name);
  if (!usual.some(({ isNumber }) => isNumber)) return undefined;
  const left = usual.filter(({ name }) => !columns.includes(name)).map(({ name }) => `"${name}"`);
  const leftOut = left.length > 0 ? [`left out, neither number nor class: ${left.join(', ')}`] : [];
  return {
    format: { ...NO_PATTERN, format, separator, columns, label },
    fits: lines.length,
    because: [`${lines.length} lines ${why}`, because, ...leftOut],
  };
}

export function guessJson(lines: readonly HeardLine[]): Guess | undefined {
  const objects = lines.flatMap(({ text }) => {
    const object = text.trim().startsWith('{') ? parseObject(text) : undefined;
    return object === undefined ? [] : [object];
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
function takePairs(lines: readonly HeardLine[], separator: RegExp, noBlanks: boolean): [string, string][][] {
  return lines.flatMap(({ text }) => {
    const tight = noBlanks ? text.replaceAll(/\s*:\s*/g, ':') : text;
    const cells = tight.split(separator).filter((cell) => cell.trim() !== '');
    const pairs = cells.map((cell) => /^\s*([^:>{"\s][^:]*?)\s*:\s*([^:]*?)\s*$/.exec(cell));
    if (pairs.length === 0 || pairs.includes(null)) return [];
    const taken = pairs.map((pair) => [pair![1], pair![2]] as [string, string]);
    return taken.some(([, value]) => NUMBER.test(value)) ? [taken] : [];
  });
}

export function guessTeleplot(lines: readonly HeardLine[]): Guess | undefined {
  const heard = lines.flatMap(({ text, read }) => {
    const match = /^>([^:,]+)(?:,[^:]*)?:(?:\d+:)?([^§|]*)(?:§[^|]*)?(?:\|(?!xy).*)?$/.exec(text);
    return match ? [{ name: match[1].trim(), value: match[2].trim(), read }] : [];
  });
  const guess = guessNamed(
    'teleplot',
    'any',
    heard.map(({ name, value }) => [[name, value]]),
    NUMBER,
    'are Teleplot values',
  );
  if (guess === undefined) return undefined;
  const columns = rotate(guess.format.columns, heard);
  return {
    ...guess,
    format: { ...guess.format, columns },
    because: [...guess.because, `"${columns[0]}" most often comes first after a pause: a row begins with it`],
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
    rows.map(({ cells }) => cells.map((cell, index) => [String(index), cell] as const)),
    number,
  );
  const others = positions.filter(({ isNumber }) => !isNumber);
  if (others.length > 1 || others.length === width || !others.every(({ isLabel }) => isLabel))
    return undefined;
  const labelIndex = others.length === 1 ? Number(others[0].name) : -1;
  const columns = header ?? defaultNames(width, labelIndex);
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

const NUMBER_IN_TEXT = /(?<![\w.+-])[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?![\d.])/gi;
/** Stands for a number while patterns are compared; no line holds it. */
const HOLE = '\0';

/** Numbers inside text that is otherwise the same, but for one word at most: the class. */
export function guessText(lines: readonly HeardLine[]): Guess | undefined {
  const skeletons = lines
    .filter(({ text }) => !/[{}\0]/.test(text))
    .map(({ text }) => text.trim().replaceAll(NUMBER_IN_TEXT, HOLE).replaceAll(/\s+/g, ' '))
    .filter((text) => text.includes(HOLE));
  const shape = mostFrequent(skeletons.map(shapeOf));
  const alike = skeletons.filter((skeleton) => shapeOf(skeleton) === shape).map((text) => text.split(' '));
  if (alike.length === 0) return undefined;
  const varying = alike[0].flatMap((_, index) =>
    new Set(alike.map((words) => words[index])).size > 1 ? [index] : [],
  );
  const texts = alike.map((words) => words[varying[0]] ?? '');
  const isOneWord = varying.length === 1 && texts.every((text) => /\w/.test(text));
  if (varying.length > 0 && !isOneWord) return guessSameText(skeletons);
  if (varying.length === 1 && new Set(texts).size > CLASSES_MAX) return undefined;
  const words = [...alike[0]];
  if (varying.length === 1) words[varying[0]] = labelPattern(texts);
  return textGuess(words.join(' '), varying.length === 1, alike.length);
}

/** The most frequent text alone. */
function guessSameText(skeletons: readonly string[]): Guess | undefined {
  const skeleton = mostFrequent(skeletons);
  if (skeleton === undefined) return undefined;
  return textGuess(skeleton, false, skeletons.filter((text) => text === skeleton).length);
}

/** Words and numbers in number and place, so that lines which differ in one word are of one shape. */
function shapeOf(skeleton: string): string {
  return skeleton
    .split(' ')
    .map((word) => (word.includes(HOLE) ? word : 'w'))
    .join(' ');
}

/** "state=on", "state=off" -> "state={label}" */
function labelPattern(texts: readonly string[]): string {
  const [first] = texts;
  let head = 0;
  while (texts.every((text) => head < text.length && text[head] === first[head]) && !/\w/.test(first[head]))
    head += 1;
  const equals = first.lastIndexOf('=');
  const isNamed = equals > 0 && texts.every((text) => text.startsWith(first.slice(0, equals + 1)));
  if (isNamed) head = equals + 1;
  let tail = 0;
  while (
    /\W/.test(first.at(-1 - tail) ?? 'w') &&
    texts.every((text) => text.at(-1 - tail) === first.at(-1 - tail))
  )
    tail += 1;
  return `${first.slice(0, head)}{label}${first.slice(first.length - tail)}`;
}

function textGuess(skeleton: string, hasLabel: boolean, fits: number): Guess {
  const parts = skeleton.split(HOLE);
  const before = parts.slice(0, -1).map((part) => /([\p{L}_][\p{L}\d_]*)[^\p{L}\d{}]*$/u.exec(part)?.[1]);
  const named =
    before.every((name) => name !== undefined && name !== 'label') && new Set(before).size === before.length;
  const names = before.map((name, index) => (named ? name! : `c${index + 1}`));
  const pattern = parts.map((part, index) => (index === 0 ? part : `{${names[index - 1]}}${part}`)).join('');
  return {
    format: {
      format: 'text',
      separator: 'any',
      columns: hasLabel ? [...names, 'label'] : names,
      label: hasLabel ? 'label' : undefined,
      pattern,
    },
    fits,
    because: [
      `${fits} lines are numbers inside the same text`,
      hasLabel ? 'one word of it varies: the class' : 'no word of it varies: no class',
    ],
  };
}

function mostFrequent<T>(values: readonly T[]): T | undefined {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  let best: T | undefined;
  for (const [value, count] of counts) if (best === undefined || count > counts.get(best)!) best = value;
  return best;
}
