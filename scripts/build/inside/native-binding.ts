/**
 * Inside the one file: serialport's native code. The system loads native code only from a file, so the build for
 * this machine is unpacked once into a directory that nobody else can write, under the name of its hash. Its owner
 * and its hash are checked at each start, before the code is run: a damaged or foreign file is replaced, never run.
 */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { EdgeloopError } from '../../../src/errors.ts';

export type Prebuild = {
  sha256: string; //       of the unpacked bytes, hexadecimal
  brotliBase64: string; // the file, compressed; white space is ignored
};

/** By platform, processor and C library: `linux-arm64-glibc`. */
export type Prebuilds = Record<string, Prebuild>;

// The imports of the one file are all at its top, whoever asks for them: these two would take 5 ms of each start of
// a command or of a pool thread. So they are fetched when a port is opened.
const cryptoModule = () => process.getBuiltinModule('node:crypto');
const zlibModule = () => process.getBuiltinModule('node:zlib');

const GROUP_AND_OTHERS = 0o077;
const WRITE_BY_GROUP_OR_OTHERS = 0o022;

/**
 * Unpacks the build for this machine where it may be run, and runs it.
 * @param directories tried in this order; one that is read-only, noexec, full or not ours leaves it to the next
 * @param open loads a native file and returns its exports; throws when the system refuses
 * @throws EdgeloopError ELOOP_PORT for a machine without a build, ELOOP_STORE when no directory will do
 */
export function loadNativeBinding(
  prebuilds: Prebuilds,
  directories: string[] = privateDirectories(process.env),
  open: (file: string) => unknown = openAddon,
): unknown {
  const prebuild = prebuildFor(`${process.platform}-${process.arch}-${libcName()}`, prebuilds);
  const refusals: string[] = [];
  for (const directory of directories) {
    try {
      return openFrom(directory, prebuild, open);
    } catch (error) {
      refusals.push(`${directory} (${(error as Error).message})`);
    }
  }
  throw new EdgeloopError(
    'ELOOP_STORE',
    `serial port: expected a directory of our own to unpack native code into, got no usable one of ` +
      `${refusals.join(', ')}. Set XDG_CACHE_HOME to a directory that you own, on a file system with free space ` +
      `and mounted without noexec.`,
  );
}

/** The service's own directories first, then the user's, then those that a restart empties. */
export function privateDirectories(environment: NodeJS.ProcessEnv): string[] {
  const { CACHE_DIRECTORY, STATE_DIRECTORY, XDG_CACHE_HOME, HOME, RUNTIME_DIRECTORY } = environment;
  const bases = [
    firstOf(CACHE_DIRECTORY),
    firstOf(STATE_DIRECTORY),
    XDG_CACHE_HOME && join(XDG_CACHE_HOME, 'edgeloop'),
    HOME && join(HOME, '.cache', 'edgeloop'),
    firstOf(RUNTIME_DIRECTORY),
    // Everyone may write there: the user's number keeps two users from meeting under one name.
    join(tmpdir(), `edgeloop-${process.geteuid?.()}`),
  ];
  return bases.filter((base) => base !== undefined && isAbsolute(base)).map((base) => join(base!, 'native'));
}

/** systemd joins the directories of a unit that has several by colons. */
function firstOf(directories: string | undefined): string | undefined {
  return directories?.split(':')[0];
}

function prebuildFor(machine: string, prebuilds: Prebuilds): Prebuild {
  const prebuild = prebuilds[machine];
  if (prebuild !== undefined) return prebuild;
  throw new EdgeloopError(
    'ELOOP_PORT',
    `serial port: expected one of ${Object.keys(prebuilds).join(', ')}, got ${machine}. ` +
      `Run edgeloop from its source folder there (npm ci builds the serial port's native code).`,
  );
}

/** Both C libraries can be installed on one machine; what counts is the one that this process has loaded. */
function libcName(): 'glibc' | 'musl' {
  try {
    return readFileSync('/proc/self/maps', 'latin1').includes('/ld-musl-') ? 'musl' : 'glibc';
  } catch {
    return 'glibc';
  }
}

function openFrom(directory: string, prebuild: Prebuild, open: (file: string) => unknown): unknown {
  takeDirectory(directory);
  const file = join(directory, `${prebuild.sha256}.node`);
  if (!isOurs(file, prebuild.sha256)) unpack(file, prebuild);
  if (!isOurs(file, prebuild.sha256)) throw new Error('the unpacked file does not have the expected hash');
  try {
    return open(file);
  } catch (error) {
    rmSync(file, { force: true }); // of no use here: the directory is mounted noexec
    throw error;
  }
}

/** Makes the directory, or makes sure that it is ours and closed to everyone else. */
function takeDirectory(directory: string): void {
  makeDirectory(directory);
  const status = lstatSync(directory);
  if (!status.isDirectory()) throw new Error('it is not a directory');
  if (status.uid !== process.geteuid?.()) throw new Error(`it belongs to user ${status.uid}`);
  if ((status.mode & GROUP_AND_OTHERS) !== 0) chmodSync(directory, 0o700);
}

/** Not `recursive: true`, which tries for ever where making a directory in one that exists says ENOENT (/proc). */
function makeDirectory(directory: string): void {
  if (existsSync(directory)) return;
  makeDirectory(dirname(directory));
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // another start was quicker
  }
}

function isOurs(file: string, sha256: string): boolean {
  const status = lstatSync(file, { throwIfNoEntry: false });
  if (status === undefined || !status.isFile() || status.uid !== process.geteuid?.()) return false;
  if ((status.mode & WRITE_BY_GROUP_OR_OTHERS) !== 0) return false;
  return cryptoModule().hash('sha256', readFileSync(file)) === sha256;
}

/** Two starts at once write two temporary files; the rename lets one whole file win. No fsync: the hash tells. */
function unpack(file: string, prebuild: Prebuild): void {
  const temporary = `${file}.${cryptoModule().randomUUID()}.tmp`;
  try {
    const bytes = zlibModule().brotliDecompressSync(Buffer.from(prebuild.brotliBase64, 'base64'));
    writeFileSync(temporary, bytes, { flag: 'wx', mode: 0o500 });
    renameSync(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
  }
}

function openAddon(file: string): unknown {
  const addon = { exports: {} };
  process.dlopen(addon, file);
  return addon.exports;
}
