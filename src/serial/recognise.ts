/**
 * What a board prints, from the first second or two of its bytes: dialect, separator, columns, the class's column, rows
 * per second. First the bytes as such (silence, binary frames, noise), then the lines, one guess for each dialect; the
 * best guess is put to the test by decoding what was heard.
 */
import { type Dialect, type TextFormat, makeDecoder } from './dialects.ts';
import { guessText } from './guess-text.ts';
import { type Guess, guessJson, guessNumbers, guessPlotter, guessTeleplot } from './guesses.ts';
import type { HeardLine } from './heard-columns.ts';
import { Labels } from './labels.ts';
import { type DropCounts, LINE_BYTES_MAX } from './lines.ts';
import { type RowBatch, type RowRate, estimateRate } from './rate.ts';

/** More tells nothing new; at 921600 baud it is eleven seconds. */
const SAMPLE_BYTES_MAX = 1 << 20;
/** Lines that are guessed from. */
const LINES_MAX = 4000;
/** Fewer lines of one kind may be chance. */
const LINES_MIN = 2;
/** A dialect must fit this share of the lines: the rest may be log lines and damage. */
const FIT_SHARE_MIN = 1 / 3;
/** Of text, this share of the characters may be control characters or broken UTF-8. */
const ODD_SHARE_MAX = 0.1;
/** A board that was silent for so long after the port was opened has just started: its first line is whole. */
const START_SILENCE_US = 500_000;
/** Blocks between zero bytes that must be seen, and their share that must be sound, for frames. */
const FRAMES_MIN = 3;
const FRAME_SHARE_MIN = 0.8;
const FRAME_BYTES_MIN = 6;

export type StreamKind = Dialect | 'frames' | 'noise' | 'silence' | 'unknown';

export interface Recognition {
  readonly kind: StreamKind;
  /** How to decode it, if it is text of a known dialect. */
  readonly format: TextFormat | undefined;
  /** Class names heard. */
  readonly labels: readonly string[];
  readonly bytes: number;
  /** Rows and dropped lines when what was heard is decoded so. */
  readonly rows: number;
  readonly dropped: DropCounts | undefined;
  readonly rate: RowRate | undefined;
  /** What led to it, in words. */
  readonly because: readonly string[];
}

/** What was heard, up to a limit; each read with its time. */
export class Sample {
  readonly #bytes = new Uint8Array(SAMPLE_BYTES_MAX);
  readonly #startUs: number;
  /** Ends of the reads, and their times. */
  readonly ends: number[] = [];
  readonly timesUs: number[] = [];
  #count = 0;

  /** @param startUs when the port was opened, monotonic */
  constructor(startUs: number) {
    this.#startUs = startUs;
  }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#count);
  }

  get isFull(): boolean {
    return this.#count === SAMPLE_BYTES_MAX;
  }

  /** The board began after the port was opened. */
  get startsWhole(): boolean {
    return this.timesUs.length > 0 && this.timesUs[0] - this.#startUs >= START_SILENCE_US;
  }

  /** Takes bytes[0..count), as far as there is room. */
  add(bytes: Uint8Array, count: number, timeUs: number): void {
    const taken = Math.min(count, SAMPLE_BYTES_MAX - this.#count);
    if (taken === 0) return;
    this.#bytes.set(bytes.subarray(0, taken), this.#count);
    this.#count += taken;
    this.ends.push(this.#count);
    this.timesUs.push(timeUs);
  }
}

/** Fewer bytes may sound right by chance. */
const JUDGED_BYTES_MIN = 16;
/** At a wrong rate far more is odd; at the right one next to nothing, since the settling is over. */
const JUDGED_ODD_SHARE_MAX = 0.03;

/** Whether bytes are what a board prints, whatever it means: for the choice of a baud rate. */
export function judgeBytes(bytes: Uint8Array): { sounds: 'right' | 'noise' | 'silence'; heard: string } {
  const frames = describeFrames(bytes);
  if (frames !== undefined) return { sounds: 'right', heard: frames };
  if (bytes.length < JUDGED_BYTES_MIN) return { sounds: 'silence', heard: `${bytes.length} bytes` };
  const oddShare = shareOfOddCharacters(bytes);
  if (oddShare <= JUDGED_ODD_SHARE_MAX) return { sounds: 'right', heard: 'text' };
  return { sounds: 'noise', heard: describeOdd(oddShare) };
}

function describeOdd(share: number): string {
  return `${(100 * share).toFixed(0)} % of the characters are no text`;
}

export function recognise(sample: Sample): Recognition {
  const { bytes } = sample;
  if (bytes.length === 0) return without('silence', bytes, ['not one byte came']);
  const frames = describeFrames(bytes);
  if (frames !== undefined) return without('frames', bytes, [frames]);
  const oddShare = shareOfOddCharacters(bytes);
  if (oddShare > ODD_SHARE_MAX) {
    return without('noise', bytes, [
      describeOdd(oddShare),
      'probably another baud rate than that of the board',
    ]);
  }
  const lines = splitLines(sample);
  if (lines.length === 0) return without('unknown', bytes, [describeNoLines(bytes)]);
  const guess = bestGuess(lines);
  if (guess === undefined) {
    return without('unknown', bytes, [
      `${lines.length} lines of text, of which too few hold numbers in one way`,
    ]);
  }
  return decodeBy(guess, sample, lines.length);
}

function without(kind: StreamKind, bytes: Uint8Array, because: string[]): Recognition {
  return {
    kind,
    format: undefined,
    labels: [],
    bytes: bytes.length,
    rows: 0,
    dropped: undefined,
    rate: undefined,
    because,
  };
}

function bestGuess(lines: readonly HeardLine[]): Guess | undefined {
  const needed = Math.max(LINES_MIN, FIT_SHARE_MIN * lines.length);
  // Text with numbers in it is what all dialects are: only if nothing else fits.
  for (const guesses of [[guessTeleplot, guessJson, guessNumbers, guessPlotter], [guessText]]) {
    const fitting = guesses.map((guess) => guess(lines)).filter((guess) => guess !== undefined);
    const [best] = fitting.toSorted((left, right) => right.fits - left.fits);
    if (best !== undefined && best.fits >= needed) return best;
  }
  return undefined;
}

/** Decodes what was heard as the guess has it. */
function decodeBy({ format, because }: Guess, sample: Sample, lines: number): Recognition {
  const labels = new Labels([], LINES_MAX);
  const batches: RowBatch[] = [];
  const stream = makeDecoder(format, labels, () => {});
  let start = 0;
  for (const [index, end] of sample.ends.entries()) {
    const rowsBefore = stream.rows;
    stream.push(sample.bytes.subarray(start, end), end - start, sample.timesUs[index]);
    const rows = stream.rows - rowsBefore;
    if (rows > 0) batches.push({ timeUs: sample.timesUs[index], rows });
    start = end;
  }
  return {
    kind: format.format,
    format,
    labels: labels.names,
    bytes: sample.bytes.length,
    rows: stream.rows,
    dropped: stream.dropped,
    rate: estimateRate(batches),
    because: [`${lines} lines were heard`, ...because],
  };
}

/** Whole lines that are not blank: without the torn first one and the unfinished last one. */
function splitLines(sample: Sample): HeardLine[] {
  const { bytes, ends, timesUs } = sample;
  const decoder = new TextDecoder('utf-8');
  const lines: HeardLine[] = [];
  let read = 0;
  let afterBlank = false;
  let start = sample.startsWhole ? 0 : bytes.indexOf(0x0a) + 1;
  if (start === 0 && !sample.startsWhole) return [];
  while (lines.length < LINES_MAX) {
    const end = bytes.indexOf(0x0a, start);
    if (end < 0) break;
    while (ends[read] <= start) read += 1;
    const text = decoder.decode(bytes.subarray(start, end)).replace(/\r+$/, '');
    if (text.trim() !== '' && end - start <= LINE_BYTES_MAX) {
      lines.push({ text, read, timeUs: timesUs[read], afterBlank });
    }
    afterBlank = text.trim() === '';
    start = end + 1;
  }
  return lines;
}

function describeNoLines(bytes: Uint8Array): string {
  if (bytes.includes(0x0a)) return 'one line end was heard: listen longer';
  return bytes.includes(0x0d)
    ? 'lines end with a carriage return alone: have the board print a newline (println)'
    : `${bytes.length} bytes without a line end`;
}

/** Control characters and broken UTF-8, as a share of all characters. */
function shareOfOddCharacters(bytes: Uint8Array): number {
  const text = new TextDecoder('utf-8').decode(bytes);
  let odd = 0;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    const isControl = (code < 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d) || code === 0x7f;
    if (isControl || character === '\ufffd') odd += 1;
  }
  return odd / text.length;
}

/** @returns why the bytes are COBS frames between zero bytes, or undefined */
function describeFrames(bytes: Uint8Array): string | undefined {
  let blocks = 0;
  let sound = 0;
  let start = bytes.indexOf(0) + 1; // what comes before may be torn
  for (;;) {
    const end = start > 0 ? bytes.indexOf(0, start) : -1;
    if (end < 0) break;
    if (end > start) {
      blocks += 1;
      if (end - start >= FRAME_BYTES_MIN && isCobs(bytes, start, end)) sound += 1;
    }
    start = end + 1;
  }
  if (sound < FRAMES_MIN || sound < FRAME_SHARE_MIN * blocks) return undefined;
  return `${sound} of ${blocks} blocks between zero bytes are sound COBS frames`;
}

/** Each code byte says how far it is to the next; the last one must lead to the end exactly. */
function isCobs(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end) at += bytes[at];
  return at === end;
}
