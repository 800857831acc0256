/**
 * The way back: what the learner answered to each sample, for whoever wants it (a board, standard output). One writer
 * (the learner) and one reader (the main thread) share a fixed block of memory:
 *
 *     control  Int32    | WRITTEN | READ | LOST | - |
 *     words    Int32    | sequence lo | hi | class | label |     x capacity
 *     numbers  Float64  | number 0 .. number N − 1 |             x capacity
 *
 * What the numbers are depends on the task: the probability of the class; the predicted values in the user's units; an
 * anomaly's score and threshold. The class of a detector is 1 in an alarm.
 *
 * An answer is news, not record: a reader that is too slow loses the newest answers, which are counted, and the
 * learner never waits for it.
 */
const CONTROL = { written: 0, read: 1, lost: 2 } as const;
const CONTROL_WORDS = 4;
const WORDS = 4;
const WORD = { sequenceLow: 0, sequenceHigh: 1, prediction: 2, label: 3 } as const;
const TWO_POW_32 = 4_294_967_296;

/** Answers that may wait: a second at 1 kHz, and the reader looks far more often. */
const CAPACITY = 1024;

export interface Answer {
  /** Sequence number of the row's record. */
  readonly sequence: number;
  /** Class index; −1 where the task has no classes. */
  readonly prediction: number;
  /** The row's own label, or NO_LABEL. */
  readonly label: number;
  /** [N], by task; NaN where nothing is known yet. */
  readonly numbers: readonly number[];
}

export interface AnswersLayout {
  readonly buffer: SharedArrayBuffer;
  /** N, at least 1. */
  readonly numbers: number;
}

export function makeAnswers(numbers: number): AnswersLayout {
  return { buffer: new SharedArrayBuffer(4 * CONTROL_WORDS + CAPACITY * (4 * WORDS + 8 * numbers)), numbers };
}

class AnswerViews {
  protected readonly control: Int32Array;
  protected readonly words: Int32Array;
  protected readonly numbers: Float64Array;
  protected readonly stride: number;

  constructor({ buffer, numbers }: AnswersLayout) {
    this.control = new Int32Array(buffer, 0, CONTROL_WORDS);
    this.words = new Int32Array(buffer, 4 * CONTROL_WORDS, CAPACITY * WORDS);
    this.numbers = new Float64Array(buffer, 4 * (CONTROL_WORDS + CAPACITY * WORDS), CAPACITY * numbers);
    this.stride = numbers;
  }
}

export class AnswerWriter extends AnswerViews {
  /** @param numbers [N] and more */
  push(
    sequenceLow: number,
    sequenceHigh: number,
    prediction: number,
    label: number,
    numbers: Float64Array,
  ): void {
    const written = this.control[CONTROL.written];
    if (((written - Atomics.load(this.control, CONTROL.read)) | 0) >= CAPACITY) {
      Atomics.add(this.control, CONTROL.lost, 1);
      return;
    }
    const slot = written & (CAPACITY - 1);
    const base = slot * WORDS;
    this.words[base + WORD.sequenceLow] = sequenceLow;
    this.words[base + WORD.sequenceHigh] = sequenceHigh;
    this.words[base + WORD.prediction] = prediction;
    this.words[base + WORD.label] = label;
    for (let i = 0; i < this.stride; i++) this.numbers[slot * this.stride + i] = numbers[i];
    Atomics.store(this.control, CONTROL.written, (written + 1) | 0);
  }
}

export class AnswerReader extends AnswerViews {
  /** Answers that found no room. */
  get lost(): number {
    return Atomics.load(this.control, CONTROL.lost);
  }

  /** Takes all answers there are, oldest first. */
  *take(): Generator<Answer> {
    const written = Atomics.load(this.control, CONTROL.written);
    for (let at = this.control[CONTROL.read]; at !== written; at = (at + 1) | 0) {
      const slot = at & (CAPACITY - 1);
      const base = slot * WORDS;
      const first = slot * this.stride;
      yield {
        sequence:
          this.words[base + WORD.sequenceHigh] * TWO_POW_32 + (this.words[base + WORD.sequenceLow] >>> 0),
        prediction: this.words[base + WORD.prediction],
        label: this.words[base + WORD.label],
        numbers: [...this.numbers.subarray(first, first + this.stride)],
      };
      Atomics.store(this.control, CONTROL.read, (at + 1) | 0);
    }
  }
}
