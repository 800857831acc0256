/**
 * A serial port that may come and go: opened, read, noticed gone, and opened again for as long as it takes, also when
 * the device comes back under another name.
 *
 *     open ──bytes──> onBytes          waiting ── looks every 0.1 .. 2 s, doubling ──> opening ──> open
 *       └── hang-up ──> onAway ──> waiting                                                └── not there: waiting
 *
 * Invariants: at most one link is open; at most one timer runs; after `close` nothing is called.
 */
import { existsSync, realpathSync } from 'node:fs';
import { EdgeloopError } from '../errors.ts';
import { USUAL_BAUD_RATES } from './baud-search.ts';
import { type LinkOptions, SerialLink } from './link.ts';
import { LINUX, type Roots, realPath } from './machine.ts';
import { type FoundPort, boardName, listPorts, resolvePort } from './ports.ts';

/** A board that was only reset is back within a second or so. */
const RETRY_MS_MIN = 100;
/** A look costs well under a millisecond: at this pace waiting is free, and a board is picked up soon enough. */
const RETRY_MS_MAX = 2000;

/** At boot a board on USB appears seconds after the machine's own UARTs, which "auto" takes only when none came. */
const UART_AFTER_MS = 5000;

export interface DurableLinkOptions extends Omit<LinkOptions, 'path' | 'baudRate'> {
  /** "auto": the likeliest, until `setBaudRate` is called. */
  readonly baudRate: number | 'auto';
  /** A device, a stable name, or "auto". */
  readonly port: string;
  /** Wait for the port and open it again; false: the first failure ends it. */
  readonly reopen: boolean;
  /** Where "auto" looks; the machine's own trees if left out. */
  readonly roots?: Roots;
}

export interface DurableLinkEvents {
  /** bytes[0..count) were read; the buffer is used again for the next read. */
  onBytes(bytes: Uint8Array, count: number): void;
  /** The port was opened; `again` when it had been open before. */
  onOpen(path: string, again: boolean): void;
  /** What "auto" took, in words. */
  onChoice?(text: string): void;
  /** The port is away, and is waited for. */
  onAway(error: EdgeloopError): void;
  /** It is over: the port is away, and reopening was not asked for. Nothing is called after this. */
  onEnd(error: EdgeloopError): void;
}

export interface LinkCounts {
  readonly bytes: number;
  readonly reopens: number;
  readonly awayMs: number;
  /** Most bytes that one read found waiting: how far behind reading ever was. */
  readonly largestReadBytes: number;
}

export class DurableLink {
  readonly #options: DurableLinkOptions;
  readonly #roots: Roots;
  readonly #events: DurableLinkEvents;
  #baudRate: number;
  #link: SerialLink | undefined;
  #opening: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** A name below /dev/serial that follows the device, known from the first time it was open. */
  #stableName: string | undefined;
  /** It has been open on USB: then nothing else is it. */
  #isUsb = false;
  #bytes = 0;
  #largestReadBytes = 0;
  #opens = 0;
  #awayMs = 0;
  #awaySinceMs: number | undefined;

  private constructor(options: DurableLinkOptions, events: DurableLinkEvents) {
    this.#options = options;
    this.#roots = options.roots ?? LINUX;
    this.#baudRate = options.baudRate === 'auto' ? USUAL_BAUD_RATES[0] : options.baudRate;
    this.#events = events;
  }

  /**
   * Opens the port, or begins to wait for it if it is not there.
   * @throws EdgeloopError ELOOP_PORT if the port is there and cannot be opened, or if it is not and `reopen` is false:
   *   missing rights and a wrong name do not mend themselves
   */
  static async open(options: DurableLinkOptions, events: DurableLinkEvents): Promise<DurableLink> {
    const durable = new DurableLink(options, events);
    try {
      await durable.#tryOpen();
    } catch (error) {
      if (!isAbsent(error) || !options.reopen) throw error;
      durable.#awaySinceMs = performance.now();
      events.onAway(error);
      durable.#wait(RETRY_MS_MIN);
    }
    return durable;
  }

  /** The open device, undefined while it is away. */
  get path(): string | undefined {
    return this.#link?.path;
  }

  /** Sends bytes without waiting. @returns whether they were taken; while the port is away they are not */
  write(bytes: Uint8Array): boolean {
    return this.#link?.write(bytes) ?? false;
  }

  get baudRate(): number {
    return this.#baudRate;
  }

  /** Goes on at another rate, also when it is opened again. @throws if the hardware cannot do it */
  async setBaudRate(baudRate: number): Promise<void> {
    await this.#link?.setBaudRate(baudRate);
    this.#baudRate = baudRate;
  }

  get counts(): LinkCounts {
    const { reopens, awayMs } = { reopens: Math.max(0, this.#opens - 1), awayMs: this.#awayMs };
    const now = this.#awaySinceMs === undefined ? 0 : performance.now() - this.#awaySinceMs;
    return { bytes: this.#bytes, reopens, awayMs: awayMs + now, largestReadBytes: this.#largestReadBytes };
  }

  /** Stops reading, stops waiting, gives the port back. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#opening?.catch(() => {});
    await this.#link?.close();
  }

  async #tryOpen(): Promise<void> {
    const path = this.#stableName ?? resolvePort(this.#options.port, this.#roots, this.#takesUarts());
    const port = this.#stableName === undefined ? findPort(path, this.#roots) : undefined;
    const link = await SerialLink.open(
      { ...this.#options, baudRate: this.#baudRate, path },
      {
        onBytes: (bytes, count) => {
          this.#bytes += count;
          if (count > this.#largestReadBytes) this.#largestReadBytes = count;
          this.#events.onBytes(bytes, count);
        },
        onGone: (error) => this.#gone(error),
      },
    );
    if (this.#closed) return link.close();
    this.#link = link;
    this.#note(port);
    if (this.#awaySinceMs !== undefined) this.#awayMs += performance.now() - this.#awaySinceMs;
    this.#awaySinceMs = undefined;
    this.#opens += 1;
    this.#events.onOpen(path, this.#opens > 1);
  }

  /** Without waiting there is no second chance. */
  #takesUarts(): boolean {
    if (!this.#options.reopen) return true;
    const waitedMs = this.#awaySinceMs === undefined ? 0 : performance.now() - this.#awaySinceMs;
    return !this.#isUsb && waitedMs >= UART_AFTER_MS;
  }

  /** Remembers a port that was opened and had no stable name yet. */
  #note(port: FoundPort | undefined): void {
    if (port === undefined) return;
    const { kind, path, stableName } = port;
    this.#isUsb = kind === 'usb';
    // udev makes the name a moment after the device; until then the config's word is looked up anew each time.
    this.#stableName = stableName === path ? undefined : stableName;
    if (this.#options.port !== 'auto') return;
    const why = kind === 'uart' ? '; no board came on USB' : '';
    this.#events.onChoice?.(`serial.port = "auto" is ${stableName} (${boardName(port)}${why}).`);
  }

  #gone(error: EdgeloopError): void {
    this.#link = undefined;
    this.#awaySinceMs = performance.now();
    if (this.#closed) return;
    if (!this.#options.reopen) {
      this.#closed = true;
      this.#events.onEnd(error);
      return;
    }
    this.#events.onAway(error);
    this.#wait(RETRY_MS_MIN);
  }

  /** While it is away every error is one of waiting: udev sets the rights only after the device has appeared. */
  #wait(delayMs: number): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#opening = this.#tryOpen()
        .catch(() => this.#wait(Math.min(2 * delayMs, RETRY_MS_MAX)))
        .finally(() => (this.#opening = undefined));
    }, delayMs);
  }
}

/**
 * @returns undefined if it is not there, which opening it will say, or is no port of hardware
 * @throws EdgeloopError ELOOP_PORT if a console is on the port: it would take half of what the board sends
 */
function findPort(path: string, roots: Roots): FoundPort | undefined {
  if (!existsSync(path)) return undefined;
  const device = realpathSync(path);
  const port = listPorts(roots).find((port) => realPath(port.path) === device);
  if (port?.consoleProblem) throw new EdgeloopError('ELOOP_PORT', `${path}: ${port.consoleProblem}`);
  return port;
}

function isAbsent(error: unknown): error is EdgeloopError {
  return error instanceof EdgeloopError && error.code === 'ELOOP_PORT_ABSENT';
}
