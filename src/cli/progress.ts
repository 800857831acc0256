/**
 * How far long work has come: shown once it has taken two seconds. On a terminal one line that renews itself, with a
 * bar, the rate and the time that is left; elsewhere a plain line every few seconds.
 *
 *     training [#########...........] 45 %  1.2 M samples/s  12 s left  epoch 9 of 20
 */
import { Screen } from './screen.ts';

const SHOWN_AFTER_MS = 2000;
const TERMINAL_EVERY_MS = 200;
const PLAIN_EVERY_MS = 5000;
const BAR_CHARACTERS = 20;
/** The rate is that of about the last seconds: work may become slower or faster on its way. */
const RATE_MEMORY_MS = 5000;

export interface ProgressOptions {
  readonly what: string;
  /** In the plural: "rows", "bytes". */
  readonly unit: string;
  /** Units in all; undefined: unknown, and no bar is drawn. */
  readonly total: number | undefined;
  /** Monotonic, in milliseconds. */
  readonly now?: () => number;
}

export class Progress {
  readonly #screen: Screen;
  readonly #isTerminal: boolean;
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  readonly #startMs: number;
  #shownMs = -Infinity;
  #rateFromMs: number;
  #rateFromDone = 0;
  /** Units per second, NaN before it is known. */
  #rate = NaN;
  #shown = false;

  constructor(stream: NodeJS.WriteStream, options: ProgressOptions) {
    this.#screen = new Screen(stream);
    this.#isTerminal = stream.isTTY === true;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#startMs = this.#now();
    this.#rateFromMs = this.#startMs;
  }

  /**
   * Says how much is done. Cheap enough for every block of work, too dear for every row.
   * @param note what else there is to say, such as "epoch 3 of 20"
   */
  update(done: number, note = ''): void {
    const nowMs = this.#now();
    if (nowMs - this.#startMs < SHOWN_AFTER_MS) return;
    if (nowMs - this.#shownMs < (this.#isTerminal ? TERMINAL_EVERY_MS : PLAIN_EVERY_MS)) return;
    this.#shownMs = nowMs;
    this.#measure(done, nowMs);
    this.#shown = true;
    const line = this.#line(done, note);
    this.#screen.live(line, line);
  }

  /** Leaves the last line as it stands. */
  end(): void {
    if (this.#shown && this.#isTerminal) this.#screen.print('');
    this.#shown = false;
  }

  #measure(done: number, nowMs: number): void {
    const newest = ((done - this.#rateFromDone) * 1000) / (nowMs - this.#rateFromMs);
    const share = Math.min(1, (nowMs - this.#rateFromMs) / RATE_MEMORY_MS);
    this.#rate = this.#rate === this.#rate ? this.#rate + share * (newest - this.#rate) : newest;
    this.#rateFromMs = nowMs;
    this.#rateFromDone = done;
  }

  #line(done: number, note: string): string {
    const { what, unit, total } = this.#options;
    const rate = `${short(this.#rate)} ${unit}/s`;
    if (total === undefined) return [what, `${short(done)} ${unit}`, rate, note].filter(Boolean).join('  ');
    const share = total > 0 ? Math.min(1, done / total) : 1;
    const left = this.#rate > 0 ? `${time(Math.max(0, total - done) / this.#rate)} left` : '';
    return [`${what} ${bar(share)} ${Math.floor(100 * share)} %`, rate, left, note]
      .filter(Boolean)
      .join('  ');
  }
}

function bar(share: number): string {
  const full = Math.floor(share * BAR_CHARACTERS);
  return `[${'#'.repeat(full)}${'.'.repeat(BAR_CHARACTERS - full)}]`;
}

/** 950, 12.3 k, 4.56 M: three digits. */
function short(value: number): string {
  const [scaled, suffix] =
    value >= 1e6 ? [value / 1e6, ' M'] : value >= 1000 ? [value / 1000, ' k'] : [value, ''];
  const decimals = suffix === '' || scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2;
  return `${scaled.toFixed(decimals)}${suffix}`;
}

/** 12 s, 3 min 20 s, 2 h 05 min. */
function time(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')} min`;
}
