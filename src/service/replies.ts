/**
 * The way back to the board: the newest prediction as a line or as a frame, for an LED or a relay. At a limited rate, and
 * never waited for: what the port does not take at once is lost and counted.
 */
import type { Config } from '../config.ts';
import { ANSWER_KIND, type AnswerKind, encodeAnswer } from '../serial/answer-frame.ts';
import type { Answer } from '../stream/answers.ts';

export interface ReplyCounts {
  readonly sent: number;
  readonly lost: number;
}

export interface ReplyTarget {
  /** What an answer is: of numbers the first one is sent. */
  readonly kind: AnswerKind;
  /** Class names in order of index; may grow. */
  readonly names: readonly string[];
  /** What the board calls a class of ours, for frames: see `Decoder.boardClassOf`. */
  boardClassOf(index: number): number;
  /** @returns whether the port took all of it */
  write(bytes: Uint8Array): boolean;
}

export class Replies {
  readonly counts = { sent: 0, lost: 0 };
  readonly #config: Config['output'];
  readonly #target: ReplyTarget;
  #lastClass: number | undefined;
  #notBeforeMs = 0;

  constructor(config: Config['output'], target: ReplyTarget) {
    this.#config = config;
    this.#target = target;
  }

  /** Whether the config asks for any. */
  static wanted({ line, frame }: Config['output']): boolean {
    return line !== '' || frame;
  }

  /** Another board may be listening now: it has been told nothing yet. */
  restart(): void {
    this.#lastClass = undefined;
  }

  /** Takes the newest answer. @param nowMs monotonic */
  take(answer: Answer, nowMs: number): void {
    if (nowMs < this.#notBeforeMs) return;
    if (this.#config.onChange && answer.prediction >= 0 && answer.prediction === this.#lastClass) return;
    this.#notBeforeMs = nowMs + this.#config.everyMs;
    if (this.#target.write(this.#encode(answer))) {
      this.#lastClass = answer.prediction;
      this.counts.sent += 1;
    } else {
      this.counts.lost += 1;
    }
  }

  #encode(answer: Answer): Uint8Array {
    const { line, frame } = this.#config;
    if (!frame) return Buffer.from(fillIn(line, answer, this.#target.names));
    const { sequence, prediction, numbers } = answer;
    const { kind } = this.#target;
    const index =
      kind === ANSWER_KIND.class ? this.#target.boardClassOf(prediction) : Math.max(prediction, 0);
    return encodeAnswer(kind, sequence, index, numbers[0]);
  }
}

/** The template with {class}, {index}, {probability} and {value} filled in; the last two are the answer's number. */
export function fillIn(template: string, answer: Answer, names: readonly string[]): string {
  const values: Readonly<Record<string, string>> = {
    class: names[answer.prediction] ?? '',
    index: String(answer.prediction),
    probability: answer.numbers[0].toFixed(3),
    value: String(Number(answer.numbers[0].toPrecision(6))),
  };
  return template.replaceAll(/\{(class|index|probability|value)\}/g, (_, name: string) => values[name]);
}
