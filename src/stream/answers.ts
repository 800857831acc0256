/**
 * The way back: what the learner answered to each row, for whoever wants it (a board, standard output). One writer
 * (the learner) and one reader (the main thread) share a fixed block of memory:
 *
 *     control  Int32    | WRITTEN | READ | LOST | - |
 *     words    Int32    | sequence lo | hi | class | label |     x capacity
 *     shares   Float64  | probability of the class |             x capacity
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
  /** Class index. */
  readonly prediction: number;
  /** The row's own label, or NO_LABEL. */
  readonly label: number;
  /** Of the predicted class, 0 to 1. */
  readonly probability: number;
}

export function makeAnswers(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * CONTROL_WORDS + CAPACITY * (4 * WORDS + 8));
}

class AnswerViews {
  protected readonly control: Int32Array;
  protected readonly words: Int32Array;
  protected readonly shares: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.control = new Int32Array(buffer, 0, CONTROL_WORDS);
    this.words = new Int32Array(buffer, 4 * CONTROL_WORDS, CAPACITY * WORDS);
    this.shares = new Float64Array(buffer, 4 * (CONTROL_WORDS + CAPACITY * WORDS), CAPACITY);
  }
}

export class AnswerWriter extends AnswerViews {
  /** @param shares where the probabilities lie; that of `prediction` is taken */
  push(
    sequenceLow: number,
    sequenceHigh: number,
    prediction: number,
    label: number,
    shares: Float32Array,
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
    this.shares[slot] = shares[prediction];
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
      yield {
        sequence:
          this.words[base + WORD.sequenceHigh] * TWO_POW_32 + (this.words[base + WORD.sequenceLow] >>> 0),
        prediction: this.words[base + WORD.prediction],
        label: this.words[base + WORD.label],
        probability: this.shares[slot],
      };
      Atomics.store(this.control, CONTROL.read, (at + 1) | 0);
    }
  }
}
