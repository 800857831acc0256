/**
 * A serial port, open for reading: bytes go to a callback until the port goes away or is closed.
 *
 * serialport's binding opens, configures and locks the port; reading is poll, then one `readSync` into one buffer.
 * The stream of serialport is not used: when a port hangs up while data flows it often spins for ever without an
 * event, and it costs some nine kilobytes of heap per read.
 */
import { readFileSync, readSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import type { LinuxPortBinding } from '@serialport/bindings-cpp';
import { EdgeloopError } from '../errors.ts';

/** More than a tty holds (4 KiB), so that one read empties it. */
const READ_BYTES = 65_536;

/** serialport's poller flags: readable, and hang-up. */
const READABLE_OR_GONE = 0b0101;

export interface LinkOptions {
  /** The device, e.g. /dev/ttyACM0 or a name under /dev/serial/by-id. */
  readonly path: string;
  /** Bits per second. */
  readonly baudRate: number;
}

export interface LinkEvents {
  /** bytes[0..count) were read; the buffer is used again for the next read. */
  onBytes(bytes: Uint8Array, count: number): void;
  /** The port is gone. Called at most once, never after `close`. */
  onGone(error: EdgeloopError): void;
}

export class SerialLink {
  readonly path: string;
  readonly #port: LinuxPortBinding;
  readonly #events: LinkEvents;
  readonly #buffer = new Uint8Array(READ_BYTES);
  /** Set before the port is told: closing it cancels the poll, which calls back at once with an error. */
  #closed = false;
  #closing: Promise<void> | undefined;

  private constructor(port: LinuxPortBinding, path: string, events: LinkEvents) {
    this.#port = port;
    this.path = path;
    this.#events = events;
    port.poller.on('readable', this.#read);
    port.poller.on('disconnect', this.#read);
    this.#arm();
  }

  /** @throws EdgeloopError ELOOP_PORT with what to do about it */
  static async open(options: LinkOptions, events: LinkEvents): Promise<SerialLink> {
    const { SerialPort } = await import('serialport'); // only now: it unpacks and loads a native module
    try {
      const port = await SerialPort.binding.open({
        path: options.path,
        baudRate: options.baudRate,
        hupcl: false,
      });
      return new SerialLink(port as LinuxPortBinding, options.path, events);
    } catch (cause) {
      throw openError(options.path, cause);
    }
  }

  /** Stops reading and gives the port back. */
  close(): Promise<void> {
    this.#closed = true;
    this.#closing ??= this.#port.close();
    return this.#closing;
  }

  #arm(): void {
    this.#port.poller.poller.poll(READABLE_OR_GONE);
  }

  readonly #read = (error: Error | null): void => {
    if (this.#closed) return;
    if (error) return this.#gone(error.message);
    try {
      const count = readSync(this.#port.fd!, this.#buffer, 0, READ_BYTES, null);
      if (count === 0) return this.#gone('end of file');
      this.#events.onBytes(this.#buffer, count);
      if (!this.#isClosed()) this.#arm();
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === 'EAGAIN') return this.#arm(); // woken for nothing
      if (code === undefined) throw cause; // not the port's: a handler failed
      this.#gone(code);
    }
  };

  /** Asked anew after a handler ran, which may have closed the link. */
  #isClosed(): boolean {
    return this.#closed;
  }

  #gone(why: string): void {
    const message = `${this.path}: the port is gone (${why}). Check the cable and the board's power, then start again.`;
    this.close()
      .catch(() => {}) // the descriptor of a device that is gone may refuse even that
      .then(() => this.#events.onGone(new EdgeloopError('ELOOP_PORT_GONE', message)));
  }
}

/** The binding reports open errors as text only, e.g. "Error: Permission denied, cannot open /dev/ttyUSB0". */
function openError(path: string, cause: unknown): EdgeloopError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new EdgeloopError('ELOOP_PORT', `${path}: cannot open the serial port: ${remedyFor(path, text)}`);
}

function remedyFor(path: string, text: string): string {
  if (/permission denied/i.test(text)) {
    const group = groupOf(path);
    if (group === 'root')
      return 'permission denied. The device belongs to root alone; udev usually gives it to dialout.';
    return (
      `permission denied. The device belongs to the group ${group}: ` +
      `run \`sudo usermod -aG ${group} ${userInfo().username}\`, log out and in again.`
    );
  }
  if (/no such file/i.test(text)) {
    return 'there is no such device. Plug the board in and look under /dev/serial/by-id for its name.';
  }
  if (/cannot lock|temporarily unavailable|busy/i.test(text)) {
    return `another program holds it. Find it with \`fuser ${path}\` and close it.`;
  }
  return `${text}. Expected a serial device.`;
}

/** Name of the group that owns the device, from /etc/group; Debian's serial ports belong to dialout. */
function groupOf(path: string): string {
  const { gid } = statSync(path);
  const entry = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find((fields) => Number(fields[2]) === gid);
  return entry?.[0] ?? String(gid);
}
