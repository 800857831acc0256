/**
 * The board's own clock, 32 bits of microseconds that wrap every 71.6 minutes, laid on ours: the first row counts as
 * taken when it was read, and from there on the board's clock alone counts, so that intervals are as the board
 * measured them. Ours only says how often the board's has wrapped while nothing came. The two drift apart, by
 * seconds a day with a quartz; what comes out never goes back.
 */

const TWO_POW_32 = 4_294_967_296;

/** Names of the slots of `times`: doubles kept in fields or returned would be put on the heap. */
const ROW_US = 0;
const READ_US = 1;

export class BoardClock {
  /** times[0] is the time of the row read last, on our clock. */
  readonly times = new Float64Array(2);
  #boardUs = 0;
  #running = false;

  /** The time of the row read last, or of one that would be the first if it was read at `readUs`. */
  latestUs(readUs: number): number {
    return this.#running ? this.times[ROW_US] : Math.max(this.times[ROW_US], readUs);
  }

  /** The board began anew: its clock did too. */
  restart(): void {
    this.#running = false;
  }

  /**
   * Writes times[0].
   * @param boardUs 32 bits, signed or not
   * @param readUs  when it was read (monotonic)
   */
  read(boardUs: number, readUs: number): void {
    const { times } = this;
    if (this.#running) {
      const forward = (boardUs - this.#boardUs) >>> 0;
      const wraps = Math.floor((readUs - times[READ_US] - forward) / TWO_POW_32 + 0.5);
      times[ROW_US] += Math.max(0, forward + wraps * TWO_POW_32);
    } else {
      times[ROW_US] = Math.max(times[ROW_US], readUs);
      this.#running = true;
    }
    times[READ_US] = readUs;
    this.#boardUs = boardUs | 0;
  }
}
