/**
 * A serial port, open for reading: bytes go to a callback until the port goes away or is closed.
 *
 * serialport's binding opens, configures and locks the port; reading is poll, then one `readSync` into one buffer.
 * The stream of serialport is not used: when a port hangs up while data flows it often spins for ever without an
 * event, and it costs some nine kilobytes of heap per read.
 */
import { readSync, writeSync } from 'node:fs';
import type { LinuxPortBinding } from '@serialport/bindings-cpp';
import { EdgeloopError } from '../errors.ts';
import { LINUX } from './machine.ts';
import { rightsProblem } from './port-access.ts';

/** As much as waits at most: 4 KiB in the tty's line discipline and 64 KiB of buffers behind it. */
const BUFFER_BYTES = 69_632;

/**
 * A read gives what the line discipline holds. One that gives less than this has emptied the tty; after one that gives
 * more the next one is filled from behind.
 */
const FULL_READ_BYTES = 4000;

/** If so much has waited, bytes come faster than any UART has them: the next look is soon, and little waits. */
const BUSY_BYTES = 1024;
const BUSY_PAUSE_MS = 1;

/**
 * After this many bytes the next look, a pause later, is likely to find some too and is made without polling first: that
 * saves 10 µs of processor time and 200 bytes of heap. If it finds none it costs an exception, so not after fewer bytes.
 */
const STEADY_BYTES = 128;

/** serialport's poller flags: readable, and hang-up. */
const READABLE_OR_GONE = 0b0101;

export interface LinkOptions {
  /** The device, e.g. /dev/ttyACM0 or a name under /dev/serial/by-id. */
  readonly path: string;
  /** Bits per second, any number that the hardware can do. */
  readonly baudRate: number;
  readonly dataBits?: 5 | 6 | 7 | 8;
  readonly parity?: 'none' | 'even' | 'odd';
  readonly stopBits?: 1 | 2;
  /** Levels of the lines once open; Linux raises both at open whatever one asks. */
  readonly dtr?: boolean;
  readonly rts?: boolean;
  /** Drop DTR at close, which resets many boards at the next open; default false. */
  readonly hangUpOnClose?: boolean;
  /** Least time between two looks in ms, the latency that reading adds; 1 ms while bytes come fast; default 0. */
  readonly readEveryMs?: number;
}

export interface LinkEvents {
  /** bytes[0..count) are what waited; the buffer is used again for what comes next. */
  onBytes(bytes: Uint8Array, count: number): void;
  /** The port is gone. Called at most once, never after `close`. */
  onGone(error: EdgeloopError): void;
}

export class SerialLink {
  readonly path: string;
  readonly #port: LinuxPortBinding;
  readonly #events: LinkEvents;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  /** Set before the port is told: closing it cancels the poll, which calls back at once with an error. */
  #closed = false;
  #closing: Promise<void> | undefined;
  readonly #readEveryMs: number;
  /** Made once and refreshed: a timer per look would be an object per look. */
  #pause: NodeJS.Timeout | undefined;
  #busyPause: NodeJS.Timeout | undefined;
  #steady = false;
  /** Why the port is gone, once reading it says so. */
  #failure: string | undefined;

  private constructor(port: LinuxPortBinding, options: LinkOptions, events: LinkEvents) {
    this.#port = port;
    this.path = options.path;
    this.#readEveryMs = options.readEveryMs ?? 0;
    this.#events = events;
    port.poller.on('readable', this.#look);
    port.poller.on('disconnect', this.#look);
    this.#arm();
  }

  /** @throws EdgeloopError ELOOP_PORT with what to do about it */
  static async open(options: LinkOptions, events: LinkEvents): Promise<SerialLink> {
    const { SerialPort } = await import('serialport'); // only now: it unpacks and loads a native module
    const { path, baudRate, dataBits = 8, parity = 'none', stopBits = 1, dtr = true, rts = true } = options;
    const hupcl = options.hangUpOnClose ?? false;
    try {
      const settings = { path, baudRate, dataBits, parity, stopBits, hupcl };
      const port = (await SerialPort.binding.open(settings)) as LinuxPortBinding;
      // Both are high already; a pseudo-terminal has no such lines and would refuse even that.
      if (!dtr || !rts) await setLines(port, dtr, rts);
      return new SerialLink(port, options, events);
    } catch (cause) {
      throw openError(path, cause);
    }
  }

  /**
   * Sends bytes without waiting: the port is open non-blocking.
   * @returns whether all of them were taken; if not, the rest is lost
   */
  write(bytes: Uint8Array): boolean {
    if (this.#closed) return false;
    try {
      return writeSync(this.#port.fd!, bytes) === bytes.length;
    } catch {
      return false; // full, or gone: reading will say so
    }
  }

  /**
   * Goes on at another rate; what was received and not yet read is thrown away.
   * @throws if the hardware cannot do it
   */
  async setBaudRate(baudRate: number): Promise<void> {
    await this.#port.update({ baudRate });
    await this.#port.flush();
  }

  /** Stops reading and gives the port back. */
  close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#pause);
    clearTimeout(this.#busyPause);
    this.#closing ??= this.#port.close();
    return this.#closing;
  }

  #arm(): void {
    this.#port.poller.poller.poll(READABLE_OR_GONE);
  }

  /** @param count bytes that waited this time */
  #waitAfter(count: number): void {
    this.#steady = count >= STEADY_BYTES;
    if (this.#readEveryMs === 0) return this.#arm();
    if (count < BUSY_BYTES) {
      if (this.#pause === undefined) this.#pause = setTimeout(this.#afterPause, this.#readEveryMs);
      else this.#pause.refresh();
    } else if (this.#busyPause === undefined) {
      this.#busyPause = setTimeout(this.#afterPause, Math.min(BUSY_PAUSE_MS, this.#readEveryMs));
    } else {
      this.#busyPause.refresh();
    }
  }

  readonly #afterPause = (): void => {
    if (this.#steady) this.#look(null);
    else this.#arm();
  };

  readonly #look = (error: Error | null): void => {
    if (this.#closed) return;
    if (error) return this.#gone(error.message);
    const count = this.#readAll();
    if (count > 0) this.#events.onBytes(this.#buffer, count);
    if (this.#isClosed()) return;
    if (this.#failure !== undefined) return this.#gone(this.#failure);
    if (count > 0) this.#waitAfter(count);
    else this.#arm(); // woken for nothing
  };

  /** Reads what waits into the buffer. @returns how much; beside it the port may have failed */
  #readAll(): number {
    const fd = this.#port.fd!;
    let filled = 0;
    try {
      for (;;) {
        const count = readSync(fd, this.#buffer, filled, BUFFER_BYTES - filled, null);
        if (count === 0) this.#failure = 'end of file';
        filled += count;
        if (count < FULL_READ_BYTES || filled > BUFFER_BYTES - FULL_READ_BYTES) return filled;
      }
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      if (code !== 'EAGAIN') this.#failure = code ?? message;
      return filled;
    }
  }

  /** Asked anew after a handler ran, which may have closed the link. */
  #isClosed(): boolean {
    return this.#closed;
  }

  #gone(why: string): void {
    const message = `${this.path}: the port is gone (${why}). Check the cable and the board's power.`;
    this.close()
      .catch(() => {}) // the descriptor of a device that is gone may refuse even that
      .then(() => this.#events.onGone(new EdgeloopError('ELOOP_PORT_GONE', message)));
  }
}

/** A port whose lines cannot be set is given back, or it would stay locked by ourselves. */
async function setLines(port: LinuxPortBinding, dtr: boolean, rts: boolean): Promise<void> {
  try {
    await port.set({ dtr, rts });
  } catch (cause) {
    await port.close().catch(() => {});
    throw cause;
  }
}

/** The binding reports open errors as text only, e.g. "Error: Permission denied, cannot open /dev/ttyUSB0". */
function openError(path: string, cause: unknown): EdgeloopError {
  const text = cause instanceof Error ? cause.message : String(cause);
  const code = /no such file|no such device/i.test(text) ? 'ELOOP_PORT_ABSENT' : 'ELOOP_PORT';
  return new EdgeloopError(code, `${path}: cannot open the serial port: ${remedyFor(path, text)}`);
}

function remedyFor(path: string, text: string): string {
  if (/permission denied/i.test(text)) return rightsProblem(path, LINUX) ?? 'permission denied. Try again.';
  if (/no such file/i.test(text)) {
    return 'there is no such device. Plug the board in and look under /dev/serial/by-id for its name.';
  }
  if (/cannot lock|temporarily unavailable|busy/i.test(text)) {
    return `another program holds it. Find it with \`fuser ${path}\` and close it.`;
  }
  return `${text}. Expected a serial device.`;
}
