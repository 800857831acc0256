import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { EdgeloopError } from '../errors.ts';
import { Motor } from './motor.ts';
import { openPty } from './pty.ts';

/**
 * The virtual board: a process of its own that prints the motor's lines into a pseudo-terminal at their pace,
 * whatever the reader does, as a board does. startBoard() is the parent's side of it, runBoard() the child's:
 *
 *   parent ── stdin: open as long as the parent lives ──> board ── pty ──> the tty that edgeloop opens
 *          <─ stdout: one line, the path of the tty ─────
 */

export interface BoardOptions {
  /** Seed of the motor. */
  readonly seed: number;
  readonly linesPerSecond: number;
  /** Begin in the middle of a line, as a board does that was running before the port was opened. */
  readonly tornFirstLine?: boolean;
}

/** The longest delay of ours that is made up for by a burst of lines; what is older is skipped and counted. */
const CATCH_UP_S_MAX = 1;

/**
 * Be the board, until stdin ends (the parent is gone) or SIGTERM. Ctrl-C is not for us: the terminal sends it to
 * every process of the group, and the parent decides when the board stops.
 * @throws ELOOP_BOARD if there is no pseudo-terminal, or if it goes away
 */
export async function runBoard(options: BoardOptions): Promise<void> {
  process.on('SIGINT', ignore);
  const stop = stopRequest();
  try {
    const pty = await openPty();
    const gone = new Promise<never>((_, reject) => {
      pty.onGone = () => reject(goneError(pty.path));
    });
    process.stdout.write(`${pty.path}\n`);
    const printer = new Printer(options, (line) => pty.write(line));
    try {
      await Promise.race([stop.requested, gone]);
    } finally {
      printer.stop();
      await pty.close();
      if (printer.lost > 0) process.stderr.write(`virtual board: ${printer.lost} lines not read in time\n`);
    }
  } finally {
    stop.release();
    process.off('SIGINT', ignore);
  }
}

function ignore(): void {}

/** Ways in which the board is told to stop; release() lets the process end by itself afterwards. */
function stopRequest(): { requested: Promise<void>; release(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = () => resolve();
  process.once('SIGTERM', stop);
  // An error is an end as well: a parent that was killed may leave a reset connection or a closed stdout.
  for (const event of ['end', 'error', 'close']) process.stdin.once(event, stop);
  process.stdout.on('error', stop);
  process.stdin.resume();
  const release = () => {
    process.off('SIGTERM', stop);
    process.stdin.destroy();
  };
  return { requested: promise, release };
}

/** Prints one line per tick of the monotonic clock. */
class Printer {
  /** Lines that were due and were not printed. */
  lost = 0;

  readonly #motor: Motor;
  readonly #pace: Pace;
  readonly #write: (line: string) => boolean;
  #torn: boolean;
  #timer: NodeJS.Timeout;

  constructor(options: BoardOptions, write: (line: string) => boolean) {
    this.#motor = new Motor(options.seed);
    this.#pace = new Pace(options.linesPerSecond, performance.now());
    this.#write = write;
    this.#torn = options.tornFirstLine ?? false;
    this.#timer = setTimeout(() => this.#tick(), 0);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.lost += this.#pace.skipped;
  }

  #tick(): void {
    const due = this.#pace.take(performance.now());
    for (let line = 0; line < due; line++) if (!this.#write(this.#nextText())) this.lost++;
    this.#timer = setTimeout(() => this.#tick(), this.#pace.waitMs(performance.now()));
  }

  #nextText(): string {
    const line = this.#motor.nextLine();
    if (!this.#torn) return line;
    this.#torn = false;
    return line.slice(line.length >> 1);
  }
}

/** How many lines are due by now. A late wake-up is made up for, so that the average rate holds. */
export class Pace {
  /** Lines given up because we were more than CATCH_UP_S_MAX late (a machine that slept, a stopped process). */
  skipped = 0;

  readonly #linesPerSecond: number;
  readonly #startMs: number;
  #taken = 0; // printed or skipped

  constructor(linesPerSecond: number, startMs: number) {
    this.#linesPerSecond = linesPerSecond;
    this.#startMs = startMs;
  }

  /** @returns the lines due since the last call; they count as printed */
  take(nowMs: number): number {
    const owed = Math.floor(((nowMs - this.#startMs) * this.#linesPerSecond) / 1000) - this.#taken;
    const due = Math.min(owed, Math.ceil(this.#linesPerSecond * CATCH_UP_S_MAX));
    this.#taken += owed;
    this.skipped += owed - due;
    return due;
  }

  /** @returns the time until the next line is due, at least 1 ms: the timer knows nothing finer */
  waitMs(nowMs: number): number {
    const nextMs = this.#startMs + ((this.#taken + 1) * 1000) / this.#linesPerSecond;
    return Math.max(1, Math.ceil(nextMs - nowMs));
  }
}

/** A running virtual board, seen by the process that started it. */
export interface Board {
  /** The tty to open, for example /dev/pts/3. */
  readonly path: string;
  readonly pid: number;
  /** End it and wait until it is gone; the tty hangs up. May be called twice. */
  stop(): Promise<void>;
}

type BoardProcess = ChildProcessByStdio<Writable, Readable, null>;

const START_MS_MAX = 15_000; // an emulated ARM machine takes seconds to start Node
const STOP_MS_MAX = 3000;
const PATH_CHARS_MAX = 100;

/**
 * Start a virtual board in a process of its own.
 * @param command arguments for Node that make it run runBoard(), for example [entry, 'virtual-board', '--seed', '1']
 * @param startMsMax time for the board to name its tty
 * @throws ELOOP_BOARD if it names none in time; its own words are on stderr
 */
export async function startBoard(command: string[], startMsMax = START_MS_MAX): Promise<Board> {
  const child = spawn(process.execPath, command, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {}); // it ended before us
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = () => stopProcess(child, exited);
  try {
    const path = await firstLine(child, startMsMax);
    return { path, pid: child.pid!, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The one line that a board prints: its path. */
function firstLine(child: BoardProcess, startMsMax: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(`nothing within ${startMsMax} ms`), startMsMax);
    const fail = (got: string) => {
      clearTimeout(timer);
      reject(startError(got));
    };
    let printed = '';
    child.stdout.on('data', (bytes: Buffer) => {
      printed = (printed + bytes.toString('latin1')).slice(0, PATH_CHARS_MAX);
      const end = printed.indexOf('\n');
      if (end < 0 && printed.length < PATH_CHARS_MAX) return;
      clearTimeout(timer);
      if (end > 0 && printed.startsWith('/dev/')) resolve(printed.slice(0, end));
      else fail(JSON.stringify(printed));
    });
    child.once('error', (error) => fail(error.message));
    child.once('close', (status, signal) => fail(`exit by ${signal ?? `status ${status}`}`));
  });
}

/** Closing its stdin asks it to stop. A board that does not is killed; the kernel then ends what it started. */
async function stopProcess(child: BoardProcess, exited: Promise<void>): Promise<void> {
  child.stdin.end();
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await exited;
  clearTimeout(timer);
}

function startError(got: string): EdgeloopError {
  return new EdgeloopError(
    'ELOOP_BOARD',
    `expected the virtual board to name its tty, got ${got}. Its own message stands above, if it gave one.`,
  );
}

function goneError(path: string): EdgeloopError {
  return new EdgeloopError(
    'ELOOP_BOARD',
    `virtual board: expected ${path} to stay open, but its \`script\` ended.`,
  );
}
