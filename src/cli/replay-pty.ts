/**
 * A recording as a board: its bytes come out of a tty, in the same order, at the same moments or faster. Nothing is
 * lost: a reader that is slow makes the play slow.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Pty, openPty } from '../demo/pty.ts';
import { EdgeloopError } from '../errors.ts';
import { LINUX } from '../serial/machine.ts';
import { PortUsers, readProcesses } from '../serial/port-users.ts';
import { describeRecording, readRecording } from '../store/recording.ts';
import type { Cut } from '../store/segments.ts';
import { Ending } from './ending.ts';
import { Pace } from './pace.ts';

/** Reads that are due together go out together, up to this much. */
const PIECE_BYTES = 65_536;

const LOOK_EVERY_MS = 250;
/** From opening the tty to having set its speed, which empties it. */
const SETTLE_MS = 250;

export interface PtyReplay {
  readonly directory: string;
  /** 1: as recorded; Infinity: as fast as it is read. */
  readonly speed: number;
  /** Play after this long; undefined: when somebody has opened the tty. */
  readonly waitMs: number | undefined;
  /** How long the tty stays after the last byte. */
  readonly lingerMs: number;
  readonly onCut: (cut: Cut) => void;
}

/**
 * Prints the path of the tty on standard output, waits, plays, and ends; SIGINT and SIGTERM end it earlier.
 * @throws EdgeloopError ELOOP_FORMAT, or ELOOP_BOARD if there is no pty or it goes away
 */
export async function replayIntoPty(options: PtyReplay): Promise<void> {
  describeRecording(options.directory); // is there one?
  const pty = await openPty();
  const ending = new Ending(undefined);
  const stop = new AbortController();
  const gone = new EdgeloopError('ELOOP_BOARD', `${pty.path}: the pseudo-terminal was closed while in use.`);
  pty.onGone = () => ending.end(gone);
  const ended = ending.reason.then(async (error) => {
    stop.abort();
    await pty.close(); // a `send` that waits for a reader ends
    return error;
  });
  try {
    await perform(pty, options, stop.signal);
    ending.end();
  } catch (error) {
    // What follows from the end is no news; that of an error before it is.
    if (!stop.signal.aborted) ending.end(error as Error);
  } finally {
    ending.dispose();
  }
  const error = await ended;
  if (error !== undefined) throw error;
}

async function perform(pty: Pty, options: PtyReplay, signal: AbortSignal): Promise<void> {
  const { waitMs, lingerMs } = options;
  const before = new Set(readersOf(pty.path));
  process.stdout.write(`${pty.path}\n`);
  if (waitMs === undefined) {
    process.stderr.write('Waiting for a program to open it, or for Enter.\n');
    await beginning(pty.path, before, signal);
  } else {
    await sleep(waitMs, undefined, { signal });
  }
  const startedMs = performance.now();
  const bytes = await play(pty, options, signal);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  process.stderr.write(`${bytes.toLocaleString('en-US')} bytes played in ${seconds} s.\n`);
  await sleep(lingerMs, undefined, { signal });
}

/** @returns the number of bytes */
async function play(pty: Pty, { directory, speed, onCut }: PtyReplay, signal: AbortSignal): Promise<number> {
  const pace = new Pace(speed);
  const piece = new Piece(pty);
  for (const item of readRecording(directory)) {
    signal.throwIfAborted();
    if (item.kind === 'cut') onCut(item.cut);
    if (item.kind !== 'bytes') continue;
    const waitMs = pace.waitMs(item.timeUs, performance.now());
    if (waitMs > 0) {
      await piece.send();
      await sleep(waitMs, undefined, { signal });
    }
    await piece.add(item.bytes);
  }
  await piece.send();
  return piece.bytesSent;
}

/** Bytes on their way to the pty. */
class Piece {
  bytesSent = 0;
  readonly #pty: Pty;
  readonly #bytes = new Uint8Array(PIECE_BYTES);
  #filled = 0;

  constructor(pty: Pty) {
    this.#pty = pty;
  }

  /** Sends what does not fit. */
  async add(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length;) {
      if (this.#filled === PIECE_BYTES) await this.send();
      const part = bytes.subarray(from, from + PIECE_BYTES - this.#filled);
      this.#bytes.set(part, this.#filled);
      this.#filled += part.length;
      from += part.length;
    }
  }

  async send(): Promise<void> {
    if (this.#filled === 0) return;
    // A copy: the pipe to the pty may hold what it is given beyond our wait for it.
    await this.#pty.send(this.#bytes.slice(0, this.#filled));
    this.bytesSent += this.#filled;
    this.#filled = 0;
  }
}

// --- Waiting for a reader --------------------------------------------------------------------------------------

/** @returns when a program has opened the tty that was not there before, or a line came on standard input */
async function beginning(path: string, before: ReadonlySet<number>, signal: AbortSignal): Promise<void> {
  const asked = Promise.withResolvers<void>();
  const listens = mayReadInput();
  if (listens) process.stdin.once('data', () => asked.resolve()).on('error', () => {});
  const begun = new AbortController();
  const opened = whenOpened(path, before, AbortSignal.any([signal, begun.signal]));
  try {
    await Promise.race([asked.promise, opened]);
  } finally {
    begun.abort();
    await opened.catch(() => {}); // that the look was broken off
    if (listens) process.stdin.destroy(); // else it would keep us from ending
  }
}

async function whenOpened(path: string, before: ReadonlySet<number>, signal: AbortSignal): Promise<void> {
  while (readersOf(path).every((pid) => before.has(pid))) await sleep(LOOK_EVERY_MS, undefined, { signal });
  await sleep(SETTLE_MS, undefined, { signal });
}

/** Process ids. Only root sees those of other users. */
function readersOf(path: string): number[] {
  const users = new PortUsers(LINUX, readProcesses(LINUX)).of(path, [], NaN);
  return users.usedBy.map(({ pid }) => pid);
}

/** A program in the background that reads its terminal is stopped by the kernel. */
function mayReadInput(): boolean {
  if (!process.stdin.isTTY) return true;
  const stat = readFileSync('/proc/self/stat', 'latin1');
  // After "pid (name)": state, parent, group, session, terminal, group in the foreground.
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return group === foreground;
}
