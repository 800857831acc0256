/**
 * One connection of the control socket: bounded lines of JSON in, one answer to each out, in order. The next line is
 * taken when the answer to the one before has been handed over, so that nothing piles up on either side.
 */
import type { Socket } from 'node:net';
import { EdgeloopError } from '../errors.ts';

/** A request is a line of at most this many bytes, its end included. */
export const REQUEST_BYTES_MAX = 4096;

/** What a subscriber has not read yet; one that is further behind is dropped. */
const UNREAD_BYTES_MAX = 65_536;

const LINE_FEED = 10;

export type Params = Readonly<Record<string, unknown>>;

export interface Request {
  readonly command: string;
  readonly params: Params;
}

/** What the server does for its connections. */
export interface ConnectionOwner {
  /** @throws EdgeloopError with the sentence for the other side */
  answer(request: Request, connection: Connection): Promise<object>;
  onBadRequest(): void;
  /** Something of ours failed. */
  onFault(error: Error): void;
}

export class Connection {
  readonly topics = new Set<string>();
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #idle: NodeJS.Timeout;
  readonly #line = Buffer.alloc(REQUEST_BYTES_MAX);
  #lineBytes = 0;

  /** @param idleMs a connection that neither makes a request nor takes its answer for so long is closed */
  constructor(socket: Socket, owner: ConnectionOwner, idleMs: number) {
    this.#socket = socket;
    this.#owner = owner;
    this.#idle = setTimeout(() => {
      if (this.topics.size === 0) socket.destroy();
    }, idleMs);
    socket.on('error', () => socket.destroy()); // it went away in the middle of something
  }

  /** Settles when the connection is over; never rejects. */
  async serve(): Promise<void> {
    try {
      for await (const chunk of this.#socket as AsyncIterable<Buffer>) {
        if (!(await this.#take(chunk))) break;
      }
    } catch {
      // Reset by the other side: that is its right.
    } finally {
      this.close();
    }
  }

  close(): void {
    this.topics.clear();
    clearTimeout(this.#idle);
    this.#socket.destroy();
  }

  /** Sends an event, unless too much is unread. @returns whether it was sent; if not, the connection is closed */
  offer(line: string): boolean {
    if (this.#socket.writableLength + line.length <= UNREAD_BYTES_MAX) {
      this.#socket.write(line);
      return true;
    }
    this.close();
    return false;
  }

  /** @returns whether to go on */
  async #take(chunk: Buffer): Promise<boolean> {
    for (let first = 0; first < chunk.length;) {
      const end = chunk.indexOf(LINE_FEED, first);
      const last = end < 0 ? chunk.length : end;
      // Without its end, a line of REQUEST_BYTES_MAX bytes is too long already.
      if (this.#lineBytes + last - first >= REQUEST_BYTES_MAX) return this.#refuseLongLine();
      this.#lineBytes += chunk.copy(this.#line, this.#lineBytes, first, last);
      if (end < 0) return true;
      const text = this.#line.toString('utf8', 0, this.#lineBytes);
      this.#lineBytes = 0;
      if (!(await this.#say(await this.#answer(text)))) return false;
      this.#idle.refresh();
      first = end + 1;
    }
    return true;
  }

  async #refuseLongLine(): Promise<boolean> {
    this.#owner.onBadRequest();
    await this.#say(
      failure(`expected a line of at most ${REQUEST_BYTES_MAX} bytes, got more. The connection is closed.`),
    );
    return false;
  }

  /** @returns the answer as a line */
  async #answer(text: string): Promise<string> {
    const request = parseRequest(text);
    if (request === undefined) {
      this.#owner.onBadRequest();
      return failure('expected a line with one JSON object, {"command": "...", ...}, got something else.');
    }
    try {
      return `${JSON.stringify({ ok: true, ...(await this.#owner.answer(request, this)) })}\n`;
    } catch (error) {
      if (error instanceof EdgeloopError) return failure(error.message, error.code);
      this.#owner.onFault(error as Error);
      return failure('an error of the program itself; its log has more.');
    }
  }

  /** Settles when the line has been handed to the kernel. @returns false if the other side has gone */
  #say(line: string): Promise<boolean> {
    return new Promise((resolve) => {
      this.#socket.write(line, (error) => resolve(!error));
    });
  }
}

function failure(message: string, code = 'ELOOP_CONTROL'): string {
  return `${JSON.stringify({ ok: false, code, message })}\n`;
}

function parseRequest(text: string): Request | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { command, ...params } = value as Record<string, unknown>;
  return typeof command === 'string' ? { command, params } : undefined;
}
