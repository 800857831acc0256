/** Waits for the first of: time up, SIGINT or SIGTERM, an error of the run. */
export class Ending {
  /** undefined: an orderly end. */
  readonly reason: Promise<Error | undefined>;
  readonly #timer: NodeJS.Timeout | undefined;
  #resolve: (error: Error | undefined) => void = () => {};

  /** @param forMs undefined: no time limit */
  constructor(forMs: number | undefined) {
    this.reason = new Promise((settle) => (this.#resolve = settle));
    if (forMs !== undefined) this.#timer = setTimeout(() => this.end(), forMs);
    process.on('SIGINT', this.#onSignal);
    process.on('SIGTERM', this.#onSignal);
  }

  readonly #onSignal = (): void => this.end();

  end(error?: Error): void {
    this.#resolve(error);
  }

  dispose(): void {
    clearTimeout(this.#timer);
    process.off('SIGINT', this.#onSignal);
    process.off('SIGTERM', this.#onSignal);
  }
}
