/**
 * The board's own clock where text carries it: a column of milliseconds, microseconds or seconds, laid on ours. The
 * first row counts as taken when it was read; from there on the board's steps alone count, so that intervals are as
 * the board measured them, whatever USB and the reader's pauses did to the bytes.
 *
 *     printed   ..., 4294967291, 4294967295, 3, 7        wrapped: our clock bears the step out, time goes on
 *     printed   ..., 81234, 81238, 12, 16                began anew: it does not, so the row counts as taken when read
 *
 * Our clock only judges: a step is believed if it is as long as ours says, and else if it is so with whole turns of the
 * counter in it. A shorter step forward is believed too, since some clocks stop while the board sleeps. Anything else is
 * a new beginning: a reset, or a damaged digit. New beginnings are counted, and no time ever goes back.
 *
 * Everything is a function of the printed numbers and the times of the reads: a recording gives the same times again.
 */

/** What one step of the printed number is. */
export const TIME_UNITS = ['us', 'ms', 's'] as const;
export type TimeUnit = (typeof TIME_UNITS)[number];

const UNIT_US: Readonly<Record<TimeUnit, number>> = { us: 1, ms: 1000, s: 1_000_000 };
/** Where counters wrap, in steps: millis() and micros(), MicroPython's ticks, CircuitPython's. */
const TURNS: readonly number[] = [2 ** 32, 2 ** 30, 2 ** 29];

/**
 * How far a step may be off ours: what can wait unread in a tty and behind it (64 KiB at 115,200 bits per second are
 * 6 s), and the share by which a board without a quartz runs fast or slow.
 */
const SLACK_US = 10_000_000;
const DRIFT_SHARE = 0.02;

/** Slots of `times`: doubles kept in fields or returned would be put on the heap. The first is the row's time. */
const SLOT = { row: 0, board: 1, read: 2 } as const;

/** What `step` says. */
export const STEP = {
  goesOn: 0,
  /** The clock began anew: the rows before and after do not belong together. */
  anew: 1,
  /** The number is missing, negative or beyond 2^53 µs: nothing has happened. */
  unreadable: 2,
} as const;

export class PrintedClock {
  /** times[0] is the time of the row stepped to last, in whole microseconds on our clock. */
  readonly times = new Float64Array(3);
  /** How often it began anew, the first time not counted. */
  restarts = 0;
  readonly #unitUs: number;
  readonly #turnsUs: Float64Array;
  #running = false;

  constructor(unit: TimeUnit) {
    this.#unitUs = UNIT_US[unit];
    // Seconds are printed from a counter of milliseconds.
    this.#turnsUs = Float64Array.from(TURNS, (steps) => steps * Math.min(this.#unitUs, UNIT_US.ms));
  }

  /** @returns whether printed[0] can be a clock's */
  reads(printed: Float64Array): boolean {
    const boardUs = printed[0] * this.#unitUs;
    return boardUs >= 0 && boardUs < Number.MAX_SAFE_INTEGER;
  }

  /**
   * Goes to the next row.
   * @param printed printed[0] is what the board printed
   * @param readUs  readUs[0] is when it was read (monotonic)
   * @returns one of STEP
   */
  step(printed: Float64Array, readUs: Float64Array): number {
    if (!this.reads(printed)) return STEP.unreadable;
    const { times } = this;
    const boardUs = Math.floor(printed[0] * this.#unitUs + 0.5);
    const forwardUs = boardUs - times[SLOT.board];
    const elapsedUs = readUs[0] - times[SLOT.read];
    const slackUs = SLACK_US + DRIFT_SHARE * Math.abs(elapsedUs);
    times[SLOT.board] = boardUs;
    times[SLOT.read] = readUs[0];
    if (!this.#running) {
      this.#running = true;
      times[SLOT.row] = readUs[0];
      return STEP.goesOn;
    }
    if (forwardUs >= 0 && Math.abs(forwardUs - elapsedUs) <= slackUs) {
      times[SLOT.row] += forwardUs;
      return STEP.goesOn;
    }
    return this.#stepUnlikely(forwardUs, elapsedUs, slackUs);
  }

  /** A step that is not as long as ours. */
  #stepUnlikely(forwardUs: number, elapsedUs: number, slackUs: number): number {
    const { times } = this;
    for (let index = 0; index < this.#turnsUs.length; index++) {
      const turnUs = this.#turnsUs[index];
      const turns = Math.max(1, Math.floor((elapsedUs - forwardUs) / turnUs + 0.5));
      const wrappedUs = forwardUs + turns * turnUs;
      if (wrappedUs < 0 || Math.abs(wrappedUs - elapsedUs) > slackUs) continue;
      times[SLOT.row] += wrappedUs;
      return STEP.goesOn;
    }
    if (forwardUs >= 0 && forwardUs <= elapsedUs) {
      times[SLOT.row] += forwardUs;
      return STEP.goesOn;
    }
    times[SLOT.row] = Math.max(times[SLOT.row], times[SLOT.read]);
    this.restarts += 1;
    return STEP.anew;
  }
}
