/**
 * The way back to the board: a line with the newest prediction, for an LED or a relay. At a limited rate, and never
 * waited for: what the port does not take at once is lost and counted.
 */
import type { Config } from '../config.ts';
import type { Answer } from '../stream/answers.ts';

export interface ReplyCounts {
  readonly sent: number;
  readonly lost: number;
}

export class Replies {
  readonly counts = { sent: 0, lost: 0 };
  readonly #config: Config['output'];
  readonly #names: readonly string[];
  readonly #write: (bytes: Uint8Array) => boolean;
  #lastClass: number | undefined;
  #notBeforeMs = 0;

  /** @param names class names in order of index; may grow */
  constructor(config: Config['output'], names: readonly string[], write: (bytes: Uint8Array) => boolean) {
    this.#config = config;
    this.#names = names;
    this.#write = write;
  }

  /** Another board may be listening now: it has been told nothing yet. */
  restart(): void {
    this.#lastClass = undefined;
  }

  /** Takes the newest answer. @param nowMs monotonic */
  take(answer: Answer, nowMs: number): void {
    if (nowMs < this.#notBeforeMs) return;
    if (this.#config.onChange && answer.prediction === this.#lastClass) return;
    this.#notBeforeMs = nowMs + this.#config.everyMs;
    if (this.#write(Buffer.from(fillIn(this.#config.line, answer, this.#names)))) {
      this.#lastClass = answer.prediction;
      this.counts.sent += 1;
    } else {
      this.counts.lost += 1;
    }
  }
}

/** The template with {class}, {index} and {probability} filled in. */
export function fillIn(template: string, answer: Answer, names: readonly string[]): string {
  const values: Readonly<Record<string, string>> = {
    class: names[answer.prediction] ?? '',
    index: String(answer.prediction),
    probability: answer.probability.toFixed(3),
  };
  return template.replaceAll(/\{(class|index|probability)\}/g, (_, name: string) => values[name]);
}
