import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { EdgeloopError } from '../errors.ts';

/**
 * A pseudo-terminal without a native module: util-linux `script` holds the master, its standard streams are the
 * board's end, and the path it prints is a tty that any program can open.
 *
 *   write(), send() ── stdin ──> script ══ pty ══> /dev/pts/N ── the program under test
 *   onData          <─ stdout ──        <═     ══
 *
 * Invariants:
 * - Nothing is buffered without limit. `script` itself would: while nobody reads the tty it keeps every line it
 *   is given, 8 KiB for each (measured: 110 MB for 5.6 MB of lines). So we keep count of what it has not passed
 *   on, from the bytes the kernel says it has written (/proc/PID/io), and hold back above UNREAD_BYTES_MAX.
 * - Nothing survives us. `setpriv --pdeathsig` has the kernel kill `script` when the thread that opened it dies;
 *   the master closes with it, and the hang-up ends the `sleep` that keeps the tty open.
 * - A Ctrl-C in our terminal does not reach it: it runs in a session of its own.
 */

const COMMAND = 'setpriv';
const ARGUMENTS = [
  '--pdeathsig',
  'KILL',
  'script',
  '-qfc',
  'stty raw -echo; tty; echo $$; exec sleep infinity',
  '/dev/null',
];

const OPEN_MS_MAX = 5000;
const CLOSE_MS_MAX = 1000;
const REASON_CHARS_MAX = 300;

/** What may wait inside `script`, beside the 4 KiB to 64 KiB that the kernel keeps for a tty. */
const UNREAD_BYTES_MAX = 65_536;

type Script = ChildProcessByStdio<Writable, Readable, Readable>;

export class Pty {
  /** The tty for the other side to open, for example /dev/pts/3. */
  readonly path: string;

  /** Bytes that the other side writes to the tty. Those that come while this is unset are dropped. */
  onData: ((bytes: Buffer) => void) | undefined;

  /** The pseudo-terminal went away by itself, not by close(). */
  onGone: (() => void) | undefined;

  readonly #script: Script;
  readonly #exited: Promise<void>;
  readonly #sleepPid: number;
  readonly #account: Account;
  #open = true;

  /** Use openPty(). */
  constructor(script: Script, path: string, sleepPid: number) {
    this.path = path;
    this.#script = script;
    this.#sleepPid = sleepPid;
    this.#account = new Account(`/proc/${script.pid}/io`);
    this.#exited = new Promise<void>((resolve) => script.once('exit', () => resolve())).then(() =>
      this.#ended(),
    );
    script.stdin.on('error', () => {}); // a write after the end: the exit is what we act upon
    script.stdout.on('data', (bytes: Buffer) => {
      this.#account.received(bytes.length);
      this.onData?.(bytes);
    });
  }

  /**
   * Send one line, or lose it as a serial port without flow control does.
   * @returns false if nothing of it was taken, since what was sent before has not been read yet, or since the
   *   pseudo-terminal is gone
   */
  write(line: string | Uint8Array): boolean {
    if (!this.#open || this.#full()) return false;
    this.#account.sent(Buffer.byteLength(line));
    this.#script.stdin.write(line);
    return true;
  }

  /**
   * Send everything, as fast as the other side reads. One call at a time.
   * @param bytes not to be changed until the promise is settled
   * @throws ELOOP_BOARD if the pseudo-terminal is gone before all is handed over
   */
  async send(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.length; start += UNREAD_BYTES_MAX) {
      while (this.#open && this.#full()) await sleep(1);
      if (!this.#open) throw goneError(this.path);
      const part = bytes.subarray(start, start + UNREAD_BYTES_MAX);
      this.#account.sent(part.length);
      this.#script.stdin.write(part);
    }
    while (this.#open && this.#script.stdin.writableLength > 0) await sleep(1);
  }

  /** Pull the cable: the other side sees a hang-up, and what it has not read is lost. Leaves no process. */
  async close(): Promise<void> {
    if (this.#open) {
      this.#open = false;
      hangUp(this.#sleepPid);
      const timer = setTimeout(() => this.#script.kill('SIGKILL'), CLOSE_MS_MAX);
      await this.#exited;
      clearTimeout(timer);
    }
    await this.#exited;
  }

  #full(): boolean {
    return this.#script.stdin.writableLength > 0 || this.#account.exceeds(UNREAD_BYTES_MAX);
  }

  #ended(): void {
    const expected = !this.#open;
    this.#open = false;
    this.#account.close();
    release(this.#script);
    if (!expected) this.onGone?.();
  }
}

/**
 * Open a pseudo-terminal in raw mode.
 * @param openMsMax time for `script` to name the tty
 * @throws ELOOP_BOARD if `script` or `setpriv` is missing, or names no tty in time
 */
export async function openPty(openMsMax = OPEN_MS_MAX): Promise<Pty> {
  // `script` runs its command by $SHELL, which need not be a Bourne shell.
  const env = { ...process.env, SHELL: '/bin/sh' };
  const script = spawn(COMMAND, ARGUMENTS, { stdio: 'pipe', detached: true, env });
  try {
    const [path, sleepPid] = await greeting(script, openMsMax);
    return new Pty(script, path, sleepPid);
  } catch (error) {
    script.kill('SIGKILL');
    release(script);
    throw error instanceof EdgeloopError ? error : openError((error as Error).message);
  }
}

/** The first two lines that `script` prints: the tty, and the pid of the sleep that keeps it open. */
function greeting(script: Script, openMsMax: number): Promise<[string, number]> {
  return new Promise((resolve, reject) => {
    let printed = '';
    let complaint = '';
    const listen = (bytes: Buffer) => {
      printed += bytes.toString('latin1');
      const lines = printed.split('\n', 3);
      if (lines.length < 3) return;
      const sleepPid = Number(lines[1]);
      if (!lines[0].startsWith('/dev/') || !(sleepPid > 1)) fail(JSON.stringify(printed));
      else settle(() => resolve([lines[0], sleepPid]));
    };
    const settle = (then: () => void) => {
      clearTimeout(timer);
      script.stdout.off('data', listen);
      then();
    };
    const fail = (reason: string) => settle(() => reject(openError(reason)));
    const timer = setTimeout(() => fail(`no answer within ${openMsMax} ms`), openMsMax);
    script.stdout.on('data', listen);
    script.stderr.on('data', (bytes: Buffer) => {
      complaint = (complaint + bytes.toString('latin1')).slice(0, REASON_CHARS_MAX);
    });
    script.on('error', (error) => fail(error.message));
    // 'close', not 'exit': then its last words have arrived.
    script.on('close', (status) => fail(complaint.trim() || `exit status ${status}`));
  });
}

/** How many bytes `script` has been given and has not passed on to the tty. */
class Account {
  readonly #file: number;
  readonly #reading = Buffer.alloc(512);
  readonly #writtenAtStart: number;
  #sent = 0;
  #received = 0;
  #passedOn = 0; // as of the last reading: never too high, so `#sent - #passedOn` is never too low

  /** @param file the kernel's account of the process, /proc/PID/io */
  constructor(file: string) {
    this.#file = openSync(file, 'r');
    this.#writtenAtStart = this.#bytesWritten();
  }

  sent(count: number): void {
    this.#sent += count;
  }

  received(count: number): void {
    this.#received += count;
  }

  /** Asks the kernel only when the last reading does not settle it. */
  exceeds(limit: number): boolean {
    if (this.#sent - this.#passedOn <= limit) return false;
    // What came from the tty was written twice: to us, and to the transcript in /dev/null.
    this.#passedOn = this.#bytesWritten() - this.#writtenAtStart - 2 * this.#received;
    return this.#sent - this.#passedOn > limit;
  }

  close(): void {
    closeSync(this.#file);
  }

  /** All bytes that the process has written so far, or 0 if it has just ended. */
  #bytesWritten(): number {
    try {
      const length = readSync(this.#file, this.#reading, 0, this.#reading.length, 0);
      return Number(/^wchar: (\d+)$/m.exec(this.#reading.toString('latin1', 0, length))?.[1] ?? 0);
    } catch {
      return 0;
    }
  }
}

/** End the sleep: it leads the session of the tty, so its end is the hang-up, and `script` follows by itself. */
function hangUp(sleepPid: number): void {
  try {
    process.kill(sleepPid, 'SIGKILL');
  } catch {
    // Ended already, and `script` is about to.
  }
}

/** Let go of the streams, so that they keep no event loop alive. */
function release(script: Script): void {
  script.stdin.destroy();
  script.stdout.destroy();
  script.stderr.destroy();
}

function openError(reason: string): EdgeloopError {
  return new EdgeloopError(
    'ELOOP_BOARD',
    `expected \`script\` to open a pseudo-terminal, got: ${reason}. ` +
      'Install `script` (package bsdutils) and `setpriv` (package util-linux), and see that /dev/pts is mounted.',
  );
}

function goneError(path: string): EdgeloopError {
  return new EdgeloopError(
    'ELOOP_BOARD',
    `${path}: the pseudo-terminal was closed while data was being sent.`,
  );
}
