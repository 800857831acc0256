/** The guess for numbers inside text: what the lines have in common is the pattern, and one word of it may vary. */
import type { Guess } from './guesses.ts';
import {
  CLASSES_MAX,
  type ClockGuess,
  type HeardLine,
  chooseClock,
  columnsOf,
  mostFrequent,
} from './heard-columns.ts';

const NUMBER_IN_TEXT = /(?<![\w.+-])[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?![\d.])/gi;
/** Stands for a number while patterns are compared; no line holds it. */
const HOLE = '\0';
/** What a clock's column is called where nothing names it. */
const CLOCK_NAME = 'time';

/** A line's text with its numbers taken out. */
interface Skeleton {
  readonly text: string;
  readonly line: HeardLine;
}

/** Numbers inside text that is otherwise the same, but for one word at most: the class. */
export function guessText(lines: readonly HeardLine[]): Guess | undefined {
  const skeletons = lines
    .filter(({ text }) => !/[{}\0]/.test(text))
    .map((line) => ({ text: skeletonOf(line.text), line }))
    .filter(({ text }) => text.includes(HOLE));
  const shape = mostFrequent(skeletons.map(({ text }) => shapeOf(text)));
  const alike = skeletons.filter(({ text }) => shapeOf(text) === shape);
  if (alike.length === 0) return undefined;
  const words = alike.map(({ text }) => text.split(' '));
  const varying = words[0].flatMap((_, index) =>
    new Set(words.map((line) => line[index])).size > 1 ? [index] : [],
  );
  const texts = words.map((line) => line[varying[0]] ?? '');
  const isOneWord = varying.length === 1 && texts.every((text) => /\w/.test(text));
  if (varying.length > 0 && !isOneWord) return guessSameText(skeletons);
  if (varying.length === 1 && new Set(texts).size > CLASSES_MAX) return undefined;
  const pattern = [...words[0]];
  if (varying.length === 1) pattern[varying[0]] = labelPattern(texts);
  return textGuess(pattern.join(' '), varying.length === 1, alike);
}

function skeletonOf(text: string): string {
  return text.trim().replaceAll(NUMBER_IN_TEXT, HOLE).replaceAll(/\s+/g, ' ');
}

/** The most frequent text alone. */
function guessSameText(skeletons: readonly Skeleton[]): Guess | undefined {
  const text = mostFrequent(skeletons.map((skeleton) => skeleton.text));
  if (text === undefined) return undefined;
  return textGuess(
    text,
    false,
    skeletons.filter((skeleton) => skeleton.text === text),
  );
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

/** @param pattern with holes for its numbers, and {label} if it has one */
function textGuess(pattern: string, hasLabel: boolean, alike: readonly Skeleton[]): Guess {
  const parts = pattern.split(HOLE);
  const before = parts.slice(0, -1).map((part) => /([\p{L}_][\p{L}\d_]*)[^\p{L}\d{}]*$/u.exec(part)?.[1]);
  const named =
    before.every((name) => name !== undefined && name !== 'label') && new Set(before).size === before.length;
  const clock = clockIn(alike, (index) => (named ? before[index]! : CLOCK_NAME));
  const names = before.map((name, index) => {
    if (named) return name!;
    return index === clock.index ? CLOCK_NAME : `c${index + 1}`;
  });
  return {
    format: {
      format: 'text',
      separator: 'any',
      columns: hasLabel ? [...names, 'label'] : names,
      label: hasLabel ? 'label' : undefined,
      pattern: parts.map((part, index) => (index === 0 ? part : `{${names[index - 1]}}${part}`)).join(''),
      ...clock.format,
    },
    fits: alike.length,
    because: [
      `${alike.length} lines are numbers inside the same text`,
      hasLabel ? 'one word of it varies: the class' : 'no word of it varies: no class',
      ...clock.because,
    ],
  };
}

/** Which of the numbers is the board's clock. */
function clockIn(
  alike: readonly Skeleton[],
  nameOf: (index: number) => string,
): ClockGuess & { index: number } {
  const lines = alike.map(({ line: { text, timeUs } }) => ({
    pairs: Array.from(text.matchAll(NUMBER_IN_TEXT), ([number], index) => [String(index), number] as const),
    timeUs,
  }));
  let found = -1;
  const clock = chooseClock(columnsOf(lines, /./), (index) => nameOf((found = index)));
  return { ...clock, index: found };
}
