/** When recorded moments are due again, at n times the speed they were recorded at. */

/** Less is not worth a timer, which knows whole milliseconds only. */
const WAIT_MS_MIN = 1;

export class Pace {
  readonly #speed: number;
  #startMs = 0;
  #startUs = NaN;
  #lastUs = NaN;

  /** @param speed 1: as recorded; Infinity: all at once */
  constructor(speed: number) {
    this.#speed = speed;
  }

  /**
   * The first moment is due at once, and so is one that lies before the one asked for last: another clock.
   * @param timeUs recorded time
   * @param nowMs  of the monotonic clock
   * @returns how long it is until then; 0 if it is due
   */
  waitMs(timeUs: number, nowMs: number): number {
    if (this.#speed === Infinity) return 0;
    if (!(timeUs >= this.#lastUs)) {
      this.#startMs = nowMs;
      this.#startUs = timeUs;
    }
    this.#lastUs = timeUs;
    const waitMs = this.#startMs + (timeUs - this.#startUs) / 1000 / this.#speed - nowMs;
    return waitMs < WAIT_MS_MIN ? 0 : waitMs;
  }
}
