/** Asks a running model through its control socket: finds the socket, sends one request, takes one answer. */
import { type Socket, connect } from 'node:net';
import { EdgeloopError } from '../errors.ts';
import type { Params } from './control-connection.ts';
import { type Environment, type SocketPlace, lookedIn, socketPlaces } from './control-paths.ts';
import { isLiving } from './control-socket.ts';

/** Longer than the server gives its learner. */
const ANSWER_MS_MAX = 15_000;

/** A status with many classes has some tens of kilobytes. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

/**
 * The socket of a running model.
 * @param model undefined: the one that there is
 * @throws EdgeloopError if there is none, or more than one without a name
 */
export async function chooseSocket(
  model: string | undefined,
  environment: Environment = process.env,
): Promise<SocketPlace> {
  const places = socketPlaces(model, environment);
  const answering = await Promise.all(places.map(({ path }) => isLiving(path)));
  const living = places.filter((_, index) => answering[index]);
  if (living.length === 1) return living[0];
  if (living.length > 1) throw ambiguous(model, living);
  const what = model === undefined ? 'a running model' : `a running model named ${model}`;
  throw new EdgeloopError(
    'ELOOP_CONTROL',
    `expected ${what}, found none in ${lookedIn(environment).join(', ')}. Start one with edgeloop run.`,
  );
}

function ambiguous(model: string | undefined, living: readonly SocketPlace[]): EdgeloopError {
  if (model !== undefined) {
    const paths = living.map(({ path }) => path).join(' and ');
    return new EdgeloopError(
      'ELOOP_CONTROL',
      `expected one model named ${model}, got ${paths}. Stop one of them, or set RUNTIME_DIRECTORY.`,
    );
  }
  const names = living.map((place) => place.model).join(', ');
  return new EdgeloopError(
    'ELOOP_CONTROL',
    `expected one running model, got ${names}. Choose with --model NAME.`,
  );
}

/** What the answer holds besides `ok`. */
export type Answer = Readonly<Record<string, unknown>>;

/** @throws EdgeloopError with the model's own sentence if it refuses, or if no whole answer comes */
export async function ask(
  path: string,
  command: string,
  params: Params,
  msMax = ANSWER_MS_MAX,
): Promise<Answer> {
  const line = await exchange(path, `${JSON.stringify({ command, ...params })}\n`, msMax);
  const { ok, message, code: _, ...answer } = parseAnswer(path, line);
  if (ok === true) return answer;
  throw new EdgeloopError('ELOOP_CONTROL', typeof message === 'string' ? message : `${path}: refused.`);
}

function parseAnswer(path: string, line: string): Answer {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null) return value as Answer;
  } catch {
    // said below
  }
  throw unanswered(path, 'something else');
}

/** Sends a line and takes one. */
function exchange(path: string, line: string, msMax: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket: Socket = connect(path, () => socket.write(line));
  const timer = setTimeout(() => reject(unanswered(path, `nothing within ${msMax / 1000} s`)), msMax);
  const chunks: Buffer[] = [];
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    const end = chunk.indexOf('\n');
    chunks.push(end < 0 ? chunk : chunk.subarray(0, end));
    bytes += chunk.length;
    if (end >= 0) resolve(Buffer.concat(chunks).toString('utf8'));
    else if (bytes > ANSWER_BYTES_MAX) reject(unanswered(path, `more than ${ANSWER_BYTES_MAX} bytes`));
  });
  socket.on('error', ({ code }: NodeJS.ErrnoException) => reject(unanswered(path, String(code))));
  socket.on('close', () => reject(unanswered(path, 'the end of the connection')));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

function unanswered(path: string, got: string): EdgeloopError {
  const remedy =
    got === 'EACCES'
      ? 'Only its owner and group may use it: try as that user.'
      : 'See whether the program still runs.';
  return new EdgeloopError('ELOOP_CONTROL', `${path}: expected an answer, got ${got}. ${remedy}`);
}
