/**
 * Where the control socket of a running model lies, and which ones there are:
 *
 *     $RUNTIME_DIRECTORY             systemd's, for the service itself; where it is set, no other is looked in
 *     $XDG_RUNTIME_DIR/edgeloop      a user's session
 *     <tmp>/edgeloop-<uid>           neither: a directory of our own, mode 0700
 *     /run/edgeloop                  only to look in: the service's, seen from a terminal
 *
 * In it, one socket per model: edgeloop-<name>.sock.
 */
import { lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { EdgeloopError } from '../errors.ts';

/** The variables that say where; injected in tests. */
export type Environment = Readonly<Record<string, string | undefined>>;

export const DEFAULT_MODEL = 'default';

/** Where systemd makes the runtime directory of a unit named edgeloop. */
const SERVICE_DIRECTORY = '/run/edgeloop';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/;
const SOCKET = /^edgeloop-(.+)\.sock$/;

/** The kernel's limit of a socket's path (sun_path), without the closing zero. */
const PATH_BYTES_MAX = 107;

export interface SocketPlace {
  readonly model: string;
  readonly path: string;
}

/** The path of a model's socket; its directory is made if need be. */
export function socketPath(model: string, environment: Environment): string {
  requireName(model);
  const path = join(ownDirectory(environment), fileName(model));
  if (Buffer.byteLength(path) <= PATH_BYTES_MAX) return path;
  throw new EdgeloopError(
    'ELOOP_CONTROL',
    `${path}: expected at most ${PATH_BYTES_MAX} bytes, got ${Buffer.byteLength(path)}. ` +
      'Set RUNTIME_DIRECTORY to a directory with a shorter path, or give the model a shorter name.',
  );
}

/** The sockets that lie where sockets are looked for, living or not; of one model if it is named. */
export function socketPlaces(model: string | undefined, environment: Environment): SocketPlace[] {
  if (model !== undefined) requireName(model);
  return lookedIn(environment).flatMap((directory) =>
    socketsIn(directory).filter((place) => model === undefined || place.model === model),
  );
}

/** For the sentence that says where nothing was found. */
export function lookedIn(environment: Environment): string[] {
  const runtime = runtimeDirectory(environment);
  if (runtime !== undefined) return [runtime];
  const session = sessionDirectory(environment);
  return [...(session === undefined ? [] : [session]), privateDirectory(), SERVICE_DIRECTORY];
}

function fileName(model: string): string {
  return `edgeloop-${model}.sock`;
}

function requireName(model: string): void {
  if (NAME.test(model)) return;
  throw new EdgeloopError(
    'ELOOP_CONFIG',
    `model name: expected 1 to 32 letters, digits, dots, hyphens or underscores, got ${JSON.stringify(model.slice(0, 40))}.`,
  );
}

function runtimeDirectory({ RUNTIME_DIRECTORY }: Environment): string | undefined {
  return RUNTIME_DIRECTORY ? RUNTIME_DIRECTORY.split(delimiter)[0] : undefined;
}

function sessionDirectory({ XDG_RUNTIME_DIR }: Environment): string | undefined {
  return XDG_RUNTIME_DIR ? join(XDG_RUNTIME_DIR, 'edgeloop') : undefined;
}

function privateDirectory(): string {
  return join(tmpdir(), `edgeloop-${process.getuid!()}`);
}

function ownDirectory(environment: Environment): string {
  const runtime = runtimeDirectory(environment);
  if (runtime !== undefined) return runtime; // systemd has made it
  const directory = sessionDirectory(environment) ?? privateDirectory();
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new EdgeloopError(
      'ELOOP_CONTROL',
      `${directory}: cannot make the directory of the control socket (${(cause as NodeJS.ErrnoException).code}). ` +
        'See to its parent, or set RUNTIME_DIRECTORY.',
    );
  }
  if (isPrivate(directory)) return directory;
  throw new EdgeloopError(
    'ELOOP_CONTROL',
    `${directory}: expected a directory of this user that nobody else can write to. ` +
      'Remove it or mend its mode (0700), or set RUNTIME_DIRECTORY.',
  );
}

/** In a directory that others can write to, anybody could lay a socket under our name. */
function isPrivate(directory: string): boolean {
  const { mode, uid } = lstatSync(directory);
  return (mode & 0o170000) === 0o040000 && uid === process.getuid!() && (mode & 0o022) === 0;
}

function socketsIn(directory: string): SocketPlace[] {
  if (directory === privateDirectory() && !existsPrivately(directory)) return [];
  try {
    return readdirSync(directory).flatMap((file) => {
      const model = SOCKET.exec(file)?.[1];
      if (model === undefined || !NAME.test(model)) return [];
      return [{ model, path: join(directory, file) }];
    });
  } catch {
    return []; // not there, or not ours to read
  }
}

function existsPrivately(directory: string): boolean {
  try {
    return isPrivate(directory);
  } catch {
    return false;
  }
}
