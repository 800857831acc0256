import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { Worker, threadId } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { EdgeloopError } from '../../src/errors.ts';
import { replaceFile } from '../../src/store/replace-file.ts';

const MODULE = new URL('../../src/store/replace-file.ts', import.meta.url).href;
const OLD = Buffer.alloc(3000, 'old ');
const NEW = Buffer.alloc(5000, 'new ');

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await fs.mkdtemp(join(tmpdir(), 'edgeloop-replace-'));
  path = join(directory, 'motor.safetensors');
});

afterEach(async () => {
  vi.restoreAllMocks();
  await fs.rm(directory, { recursive: true });
});

async function failureOf(work: Promise<void>): Promise<EdgeloopError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof EdgeloopError)) throw error ?? new Error('expected a failure');
  expect(error.code).toBe('ELOOP_STORE');
  return error;
}

function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: from the test`), { code });
}

/** The process id of a child that has ended. */
async function deadProcessId(): Promise<number> {
  const child = spawn('true');
  await once(child, 'exit');
  return child.pid!;
}

/** The temporary that a writer of `path` leaves when it dies. */
const leftover = (processId: number, thread = threadId) =>
  join(directory, `.motor.safetensors.${processId}.${thread}.tmp`);

/** Makes one step of the next replacement fail; the steps before it are real. */
type Fault = (error: Error) => void;
const failInHandle =
  (step: 'writeFile' | 'sync' | 'close', ofDirectory: boolean): Fault =>
  (error) => {
    const { open } = fs;
    vi.spyOn(fs, 'open').mockImplementation(async (name, flags, mode) => {
      const handle = await open(name, flags, mode);
      if ((name === directory) === ofDirectory) {
        if (step === 'writeFile') await handle.write('half of it');
        if (step === 'close') onTestFinished(handle.close.bind(handle));
        vi.spyOn(handle, step).mockRejectedValue(error);
      }
      return handle;
    });
  };
const failCall =
  (call: 'open' | 'rename' | 'readdir'): Fault =>
  (error) => {
    vi.spyOn(fs, call).mockRejectedValue(error);
  };

describe('a replaced file', () => {
  test('has the new content, is private, and nothing stays beside it', async () => {
    await replaceFile(path, OLD);
    expect(await fs.readFile(path)).toEqual(OLD);
    await fs.chmod(path, 0o644);
    await replaceFile(path, NEW);
    expect(await fs.readFile(path)).toEqual(NEW);
    expect((await fs.stat(path)).mode & 0o777).toBe(0o600);
    expect(await fs.readdir(directory)).toEqual(['motor.safetensors']);
  });

  test('may be empty, or part of a larger buffer in shared memory', async () => {
    await replaceFile(path, new Uint8Array(0));
    expect((await fs.stat(path)).size).toBe(0);
    const arena = new Uint8Array(new SharedArrayBuffer(64)).fill(7);
    await replaceFile(path, arena.subarray(10, 13));
    expect([...(await fs.readFile(path))]).toEqual([7, 7, 7]);
  });

  test('is written, synced, renamed, and its directory synced, in this order', async () => {
    const steps: string[] = [];
    const { open, rename } = fs;
    vi.spyOn(fs, 'open').mockImplementation(async (name, flags, mode) => {
      const handle = await open(name, flags, mode);
      const kind = name === directory ? 'directory' : 'temporary';
      for (const step of ['writeFile', 'sync', 'close'] as const) {
        const call = handle[step].bind(handle) as (...values: unknown[]) => Promise<void>;
        vi.spyOn(handle, step).mockImplementation((...values: unknown[]) => {
          steps.push(`${step} ${kind}`);
          return call(...values);
        });
      }
      return handle;
    });
    vi.spyOn(fs, 'rename').mockImplementation((from, to) => {
      steps.push('rename');
      return rename(from, to);
    });
    await replaceFile(path, NEW);
    expect(steps).toEqual([
      'writeFile temporary',
      'sync temporary',
      'close temporary',
      'rename',
      'sync directory',
      'close directory',
    ]);
  });
});

describe('several calls on one path', () => {
  test('end with the content of the last, and none fails', async () => {
    const contents = Array.from({ length: 20 }, (_, index) => Buffer.alloc(20_000 - index, `${index} `));
    await Promise.all(contents.map((bytes) => replaceFile(path, bytes)));
    expect(await fs.readFile(path)).toEqual(contents.at(-1));
    expect(await fs.readdir(directory)).toEqual(['motor.safetensors']);
  });

  test('write at most twice: the one that has begun, and the newest of those that waited', async () => {
    const renames = vi.spyOn(fs, 'rename');
    const first = replaceFile(path, OLD);
    await Promise.resolve(); // now its turn has begun
    await Promise.all([first, ...[OLD, OLD, NEW].map((bytes) => replaceFile(path, bytes))]);
    expect(renames).toHaveBeenCalledTimes(2);
    expect(await fs.readFile(path)).toEqual(NEW);
    await replaceFile(path, OLD);
    expect(await fs.readFile(path)).toEqual(OLD);
  });

  test('never overlap, not even when a caller goes on at the very end of the one before', async () => {
    let active = 0;
    let activeMax = 0;
    const { rename } = fs;
    vi.spyOn(fs, 'rename').mockImplementation(async (from, to) => {
      activeMax = Math.max(activeMax, ++active);
      await rename(from, to);
      active--;
    });
    const first = replaceFile(path, OLD).then(() => replaceFile(path, NEW));
    await Promise.resolve(); // now its turn has begun
    await Promise.all([first, replaceFile(path, OLD)]);
    expect(activeMax).toBe(1);
    expect(await fs.readFile(path)).toEqual(NEW);
  });

  test('are the same path however it is written', async () => {
    const renames = vi.spyOn(fs, 'rename');
    const paths = [path, `${directory}/x/../motor.safetensors`, relative(process.cwd(), path)];
    await Promise.all(paths.map((name) => replaceFile(name, NEW)));
    expect(renames).toHaveBeenCalledTimes(1);
    expect(await fs.readFile(path)).toEqual(NEW);
  });

  test('go on after one that failed', async () => {
    vi.spyOn(fs, 'rename').mockRejectedValueOnce(systemError('EIO'));
    const first = failureOf(replaceFile(path, OLD));
    await Promise.resolve(); // now its turn has begun
    await replaceFile(path, NEW);
    expect((await first).message).toContain('EIO');
    expect(await fs.readFile(path)).toEqual(NEW);
  });

  test('from two threads leave one whole content', async () => {
    const source = `
      const { replaceFile } = await import(${JSON.stringify(MODULE)});
      for (let round = 0; round < 30; round++) await replaceFile(${JSON.stringify(path)}, Buffer.alloc(3000, 'old '));
    `;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
    const ended = once(worker, 'exit');
    for (let round = 0; round < 30; round++) await replaceFile(path, NEW);
    expect(await ended).toEqual([0]);
    expect([OLD.toString(), NEW.toString()]).toContain(await fs.readFile(path, 'utf8'));
    expect(await fs.readdir(directory)).toEqual(['motor.safetensors']);
  });
});

describe('the leftover of a writer that died', () => {
  test('does not block a writer of the same id, and is removed', async () => {
    await fs.writeFile(leftover(process.pid), 'half');
    await replaceFile(path, NEW);
    expect(await fs.readFile(path)).toEqual(NEW);
    expect(await fs.readdir(directory)).toEqual(['motor.safetensors']);
  });

  test('is removed when its process is gone', async () => {
    await fs.writeFile(leftover(await deadProcessId(), 3), 'half');
    await replaceFile(path, NEW);
    expect(await fs.readdir(directory)).toEqual(['motor.safetensors']);
  });

  test('stays when its writer may be alive, or when it is not of this path', async () => {
    const dead = await deadProcessId();
    const kept = [
      leftover(process.ppid),
      leftover(process.pid, threadId + 1),
      join(directory, `.other.safetensors.${dead}.0.tmp`),
      join(directory, `.motor.safetensors.${dead}.0.tmp.bak`),
      join(directory, `.motor.safetensors.notes.tmp`),
    ];
    for (const name of kept) await fs.writeFile(name, 'keep');
    await replaceFile(path, NEW);
    expect((await fs.readdir(directory)).toSorted()).toEqual(
      [...kept, path].map((name) => name.slice(directory.length + 1)).toSorted(),
    );
  });
});

describe('a failure', () => {
  test('names the path, the reason and the remedy: no directory', async () => {
    const missing = join(directory, 'none', 'motor.safetensors');
    const { message, cause } = await failureOf(replaceFile(missing, NEW));
    expect(message).toBe(
      `${missing}: expected to replace the file, got ENOENT (the directory is missing, or takes no files). ` +
        'The file is as it was. Create it, or choose another path.',
    );
    expect(cause).toMatchObject({ code: 'ENOENT' });
  });

  test('says when a part of the path is a file, when a directory has the name, when the name is too long', async () => {
    await fs.writeFile(path, OLD);
    const below = await failureOf(replaceFile(join(path, 'x'), NEW));
    expect(below.message).toContain('got ENOTDIR (a part of the path is not a directory)');
    const directoryName = join(directory, 'taken');
    await fs.mkdir(directoryName);
    const taken = await failureOf(replaceFile(directoryName, NEW));
    expect(taken.message).toContain('got EISDIR (there is a directory of this name)');
    const long = await failureOf(replaceFile(join(directory, 'x'.repeat(255)), NEW));
    expect(long.message).toContain('got ENAMETOOLONG (the name is too long)');
    expect((await fs.readdir(directory)).toSorted()).toEqual(['motor.safetensors', 'taken']);
  });

  const beforeRename: [step: string, code: string, reason: string, fault: Fault][] = [
    ['listing the directory', 'EACCES', 'no access to the directory', failCall('readdir')],
    ['opening the temporary', 'EROFS', 'the file system is read-only', failCall('open')],
    ['writing it', 'ENOSPC', 'the disk is full', failInHandle('writeFile', false)],
    ['syncing it', 'EIO', 'the disk reports an input/output error', failInHandle('sync', false)],
    ['closing it', 'EDQUOT', 'the disk quota is used up', failInHandle('close', false)],
    ['renaming it', 'EPERM', 'the system does not permit it', failCall('rename')],
    ['a cause we have no words for', 'EMLINK', 'EMLINK: from the test', failCall('rename')],
  ];

  test.each(beforeRename)(
    'in %s leaves the old file alone and no temporary',
    async (_step, code, reason, fault) => {
      await replaceFile(path, OLD);
      fault(systemError(code));
      const { message } = await failureOf(replaceFile(path, NEW));
      vi.restoreAllMocks();
      expect(message).toContain(
        `${path}: expected to replace the file, got ${code} (${reason}). The file is as it was. `,
      );
      expect(await fs.readFile(path)).toEqual(OLD);
      expect(await fs.readdir(directory)).toEqual(['motor.safetensors']);
    },
  );

  test('in syncing the directory says that the new content is there', async () => {
    await replaceFile(path, OLD);
    failInHandle('sync', true)(systemError('EIO'));
    const { message } = await failureOf(replaceFile(path, NEW));
    expect(message).toContain('The new content is there, but a power cut may undo it.');
    expect(await fs.readFile(path)).toEqual(NEW);
  });

  test('is not that a file system cannot sync a directory', async () => {
    failInHandle('sync', true)(systemError('EINVAL'));
    await replaceFile(path, NEW);
    expect(await fs.readFile(path)).toEqual(NEW);
  });
});

describe('a writer killed at any step', () => {
  /**
   * Kills itself with SIGKILL just before its n-th call to the file system; a write is cut in half. Without a
   * limit that it reaches, it ends by itself.
   */
  const WRITER = `
    import fs from 'node:fs/promises';
    const [module, path, limit] = process.argv.slice(1);
    let calls = 0;
    const count = () => ++calls === Number(limit) && process.kill(process.pid, 'SIGKILL');
    const watch = (object, names) => {
      for (const name of names) {
        const call = object[name].bind(object);
        object[name] = async (...values) => {
          if (name === 'writeFile' && calls + 1 === Number(limit)) await object.write(values[0].subarray(0, 1234));
          count();
          const result = await call(...values);
          if (name === 'open') watch(result, ['writeFile', 'sync', 'close']);
          return result;
        };
      }
    };
    watch(fs, ['readdir', 'open', 'rename', 'rm']);
    const { replaceFile } = await import(module);
    await replaceFile(path, Buffer.alloc(5000, 'new '));
  `;

  async function runWriter(limit: number): Promise<string | number> {
    const values = ['--input-type=module', '--eval', WRITER, MODULE, path, `${limit}`];
    const child = spawn(process.execPath, values, { stdio: ['ignore', 'ignore', 'inherit'] });
    const [status, signal] = (await once(child, 'exit')) as [number | null, string | null];
    return signal ?? status!;
  }

  test('leaves the old content or the new, and the next writer clears up', { timeout: 60_000 }, async () => {
    const contents: string[] = [];
    let leftovers = 0;
    let ending: string | number = 'SIGKILL';
    for (let limit = 1; ending === 'SIGKILL'; limit++) {
      await replaceFile(path, OLD);
      ending = await runWriter(limit);
      contents.push((await fs.readFile(path)).equals(OLD) ? 'old' : 'new');
      if (contents.at(-1) === 'new') expect(await fs.readFile(path)).toEqual(NEW);
      leftovers += (await fs.readdir(directory)).length - 1;
    }
    expect(ending).toBe(0);
    // readdir, open, write, sync, close, rename; then the directory: open, sync, close; then the end.
    expect(contents.join(' ')).toBe('old old old old old old new new new new');
    expect(leftovers).toBe(4); // from the write to the rename
    await replaceFile(path, OLD);
    expect(await fs.readdir(directory)).toEqual(['motor.safetensors']);
  });
});
