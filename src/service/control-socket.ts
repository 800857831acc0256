/**
 * The control socket: other processes of this machine ask a running model. A Unix socket in the runtime directory
 * (control-paths.ts), mode 0660: its owner and group. Requests and answers are lines of JSON:
 *
 *     > {"command": "label", "name": "idle"}
 *     < {"ok": true, "sequence": 81234}                                    the record at which it took effect
 *     > {"command": "freeze", "what": "weather"}
 *     < {"ok": false, "code": "ELOOP_CONTROL", "message": "expected ..."}
 *     > {"command": "subscribe", "topics": ["answers"]}
 *     < {"ok": true, "topics": ["answers"]}
 *     < {"event": "answers", ...}                                          from then on, as they are published
 *
 * Limits: 16 connections, 4 KiB a request, one request at a time on a connection, 64 KiB of unread events (a slower
 * subscriber is dropped, never waited for), half a minute without a request for all but subscribers.
 */
import { lstatSync, unlinkSync } from 'node:fs';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { EdgeloopError } from '../errors.ts';
import { Connection, type Params, type Request } from './control-connection.ts';
import { type Environment, socketPath } from './control-paths.ts';

const CONNECTIONS_MAX = 16;
/** Those too many are told so, half as many again at a time; beyond that they are closed without a word. */
const REFUSED_MAX = CONNECTIONS_MAX / 2;
const REFUSED_MS = 1000;
const IDLE_MS = 30_000;
/** A command takes effect between two rows; if it has not by then, the learner is stuck. */
const HANDLER_MS_MAX = 10_000;
/** The socket of a dead process refuses at once, a living one takes the connection at once. */
const PROBE_MS = 2000;

/** Owner and group may read and write. */
const UMASK = 0o117;

/**
 * What a command does. The parameters are untrusted; an answer has `sequence`, where it took effect.
 * @throws EdgeloopError with the sentence for who asked
 */
export type Handler = (params: Params) => Promise<object>;
export type Handlers = Readonly<Record<string, Handler>>;

export interface ControlOptions {
  /** Chooses the socket where several models run. */
  readonly model: string;
  readonly handlers: Handlers;
  /** What can be subscribed to. */
  readonly topics: readonly string[];
  /** An error of ours in a handler; who asked has been told that there was one. */
  onFault(error: Error): void;
  readonly environment?: Environment;
  readonly idleMs?: number;
  readonly handlerMsMax?: number;
}

export class ControlSocket {
  readonly path: string;
  /** Since the start: nothing is dropped or refused without being counted. */
  readonly counts = { connections: 0, refused: 0, requests: 0, badRequests: 0, subscribersDropped: 0 };
  readonly #options: ControlOptions;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();

  private constructor(path: string, options: ControlOptions) {
    this.path = path;
    this.#options = options;
    // Half open: who sends a request and shuts its side, as `nc` does, still gets the answer.
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    this.#server.maxConnections = CONNECTIONS_MAX + REFUSED_MAX;
    this.#server.on('drop', () => (this.counts.refused += 1));
  }

  /** @throws EdgeloopError when another process answers there, or the socket cannot be made */
  static async open(options: ControlOptions): Promise<ControlSocket> {
    const path = socketPath(options.model, options.environment ?? process.env);
    await clearPath(path);
    const control = new ControlSocket(path, options);
    await listen(control.#server, path);
    // No descriptor is left for one more connection: the stream goes on.
    control.#server.on('error', () => (control.counts.refused += 1));
    return control;
  }

  /** Whether anybody listens: events for nobody need not be made. */
  isWanted(topic: string): boolean {
    for (const connection of this.#connections) if (connection.topics.has(topic)) return true;
    return false;
  }

  /** Sends an event to whoever subscribed. One that has not read enough is dropped. */
  publish(topic: string, event: object): void {
    if (!this.isWanted(topic)) return;
    const line = `${JSON.stringify({ event: topic, ...event })}\n`;
    for (const connection of this.#connections) {
      if (connection.topics.has(topic) && !connection.offer(line)) this.counts.subscribersDropped += 1;
    }
  }

  /** Closes all connections and removes the socket. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const connection of this.#connections) connection.close();
    await closed;
  }

  #accept(socket: Socket): void {
    if (this.#connections.size >= CONNECTIONS_MAX) {
      this.#refuse(socket);
      return;
    }
    this.counts.connections += 1;
    const owner = {
      answer: (request: Request, from: Connection) => this.#answer(request, from),
      onBadRequest: () => void (this.counts.badRequests += 1),
      onFault: (error: Error) => this.#options.onFault(error),
    };
    const connection = new Connection(socket, owner, this.#options.idleMs ?? IDLE_MS);
    this.#connections.add(connection);
    void connection.serve().finally(() => this.#connections.delete(connection));
  }

  /** Says so once the request has come: before that, who writes it would find a closed pipe instead of the sentence. */
  #refuse(socket: Socket): void {
    this.counts.refused += 1;
    const message = `expected at most ${CONNECTIONS_MAX} connections at a time, got one more. Try again later.`;
    const line = `${JSON.stringify({ ok: false, code: 'ELOOP_CONTROL', message })}\n`;
    const close = (): void => void socket.destroy();
    socket.on('error', close).on('end', close).setTimeout(REFUSED_MS, close);
    socket.once('data', () => socket.end(line, close));
  }

  #answer({ command, params }: Request, connection: Connection): Promise<object> {
    this.counts.requests += 1;
    if (command === 'subscribe') return Promise.resolve(this.#subscribe(params, connection));
    const { handlers, handlerMsMax } = this.#options;
    if (Object.hasOwn(handlers, command)) {
      return withinMs(handlers[command](params), handlerMsMax ?? HANDLER_MS_MAX);
    }
    const known = [...Object.keys(handlers), 'subscribe'].join(', ');
    const got = JSON.stringify(command.slice(0, 40));
    return Promise.reject(new EdgeloopError('ELOOP_CONTROL', `expected one of ${known}, got ${got}.`));
  }

  #subscribe({ topics }: Params, connection: Connection): object {
    const known = this.#options.topics;
    if (Array.isArray(topics) && topics.length > 0 && topics.every((topic) => known.includes(topic))) {
      for (const topic of topics) connection.topics.add(topic as string);
      return { topics: [...connection.topics] };
    }
    throw new EdgeloopError('ELOOP_CONTROL', `subscribe: expected "topics", a list of ${known.join(', ')}.`);
  }
}

async function withinMs(result: Promise<object>, ms: number): Promise<object> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new EdgeloopError(
      'ELOOP_CONTROL',
      `expected the learner to answer within ${ms / 1000} s, got nothing. It may be stuck, or may still do it.`,
    );
    timer = setTimeout(() => reject(error), ms);
  });
  try {
    return await Promise.race([result, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A socket that a dead process left behind is removed; what a living one holds is not touched. */
async function clearPath(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new EdgeloopError('ELOOP_CONTROL', `${path}: expected a socket or nothing, got a file. Remove it.`);
  }
  if (await isLiving(path)) {
    throw new EdgeloopError(
      'ELOOP_CONTROL',
      `${path}: another process is learning under this name and answers there. ` +
        'Stop it, or give this model another name with --model NAME.',
    );
  }
  unlinkSync(path);
}

/** @returns whether somebody takes connections there */
export function isLiving(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (living: boolean): void => {
      socket.destroy();
      resolve(living);
    };
    socket.setTimeout(PROBE_MS, () => end(true)); // its queue is full: it lives
    socket.on('connect', () => end(true));
    socket.on('error', ({ code }: NodeJS.ErrnoException) =>
      end(code !== 'ECONNREFUSED' && code !== 'ENOENT'),
    );
  });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', ({ code }: NodeJS.ErrnoException) => {
      const sentence = `${path}: cannot make the control socket (${code}). See to its directory, or set RUNTIME_DIRECTORY.`;
      reject(new EdgeloopError('ELOOP_CONTROL', sentence));
    });
    // The path is made within this call, so that nobody sees it with another mode.
    const before = process.umask(UMASK);
    try {
      server.listen(path, resolve);
    } finally {
      process.umask(before);
    }
  });
}
