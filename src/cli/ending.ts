/** Waits for the first of: time up, SIGINT, SIGTERM or SIGHUP, an error of the run. */
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
    process.on('SIGHUP', this.#onSignal); // the terminal was closed
  }

  /** Once: a second signal ends the process the hard way, should the orderly one hang. */
  readonly #onSignal = (): void => {
    this.#offSignals();
    this.end();
  };

  #offSignals(): void {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, this.#onSignal);
  }

  end(error?: Error): void {
    this.#resolve(error);
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#offSignals();
  }
}
