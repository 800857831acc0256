import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { brotliCompressSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { build } from '../../scripts/build.ts';
import type { BuildReport } from '../../scripts/build.ts';
import { loadNativeBinding, privateDirectories } from '../../scripts/build/inside/native-binding.ts';
import type { Prebuilds } from '../../scripts/build/inside/native-binding.ts';
import { noticesComment, readPackage } from '../../scripts/build/notices.ts';
import { EdgeloopError } from '../../src/errors.ts';

const scratch = mkdtempSync(join(tmpdir(), 'edgeloop-build-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const permissions = (path: string): number => statSync(path).mode & 0o777;
const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('the one file', () => {
  let report: BuildReport;
  let bytes: Buffer;

  beforeAll(async () => {
    report = await build(join(scratch, 'first'));
    bytes = readFileSync(report.file);
  }, 60_000);

  test('a second build gives the same bytes', async () => {
    const second = await build(join(scratch, 'second'));
    expect(second.sha256).toBe(report.sha256);
    expect(readFileSync(second.file).equals(bytes)).toBe(true);
  }, 60_000);

  test('it is executable and SHA256SUMS names it', () => {
    expect(bytes.toString().startsWith('#!/usr/bin/env node\n')).toBe(true);
    expect(permissions(report.file)).toBe(0o755);
    expect(report).toMatchObject({ fileBytes: bytes.length, sha256: sha256Of(bytes) });
    const sums = readFileSync(join(scratch, 'first', 'SHA256SUMS'), 'utf8');
    expect(sums).toBe(`${report.sha256}  edgeloop.mjs\n`);
  });

  test('nothing in it tells where it was built', () => {
    for (const path of [process.cwd(), scratch]) expect(bytes.includes(path), path).toBe(false);
  });

  test('the notices name every package inside and hold its licence', () => {
    const notices = bytes.subarray(bytes.lastIndexOf('/*\nNotices')).toString();
    const names = report.packages.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining(['piscina', 'serialport', '@serialport/bindings-cpp', 'smol-toml']),
    );
    for (const { name, version } of report.packages) expect(notices).toContain(`\n${name} ${version} (`);
    expect(notices).toContain('Copyright (c) 2026 The edgeloop authors');
    for (const name of names) {
      const folder = join('node_modules', name);
      const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))!;
      const lines = readFileSync(join(folder, file), 'utf8').split('\n');
      for (const line of lines) expect(notices, name).toContain(line.trimEnd());
    }
  });

  test('alone in an empty folder it runs the demo: pool thread, native code and weights', async () => {
    const folder = mkdtempSync(join(scratch, 'alone-'));
    cpSync(report.file, join(folder, 'edgeloop.mjs'));
    const { status, lastLine, errors } = await runAlone(folder, ['demo', '--for', '5s', '--json']);
    expect(status, errors).toBe(0);
    const summary = JSON.parse(lastLine);
    expect(summary.rows).toBeGreaterThan(500);
    expect(summary.weights.startsWith(folder), summary.weights).toBe(true);
    expect(existsSync(summary.weights)).toBe(true);
    const native = readdirSync(join(folder, 'cache', 'edgeloop', 'native'));
    expect(native).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.node$/)]);
  }, 60_000);
});

describe('a file made from another entry', () => {
  /** Pool threads evaluate the file once, get the pool's own workerData, and step back alone. */
  const POOL_ENTRY = `
    import { getPriority } from 'node:os';
    import { fileURLToPath } from 'node:url';
    import { isMainThread } from 'node:worker_threads';
    import { Piscina } from ${JSON.stringify(resolve('node_modules/piscina/dist/esm-wrapper.mjs'))};
    globalThis.evaluations = (globalThis.evaluations ?? 0) + 1;
    export const task = (given) =>
      ({ given, evaluations, workerData: Piscina.workerData, isMainThread, priority: getPriority(0) });
    if (isMainThread) {
      const before = getPriority(0);
      const pool = new Piscina({
        filename: fileURLToPath(import.meta.url),
        name: 'task',
        maxThreads: 1,
        niceIncrement: 3,
        workerData: 'of the pool',
      });
      const result = await pool.run('a task');
      await pool.close();
      result.priority -= before;
      console.log(JSON.stringify({ ...result, mainPriority: getPriority(0) - before }));
    }`;

  test('runs pool threads from itself', async () => {
    const folder = await buildFrom(POOL_ENTRY);
    const { status, lastLine, errors } = await runAlone(folder, []);
    expect(status, errors).toBe(0);
    expect(JSON.parse(lastLine)).toEqual({
      given: 'a task',
      evaluations: 1,
      workerData: 'of the pool',
      isMainThread: false,
      priority: 3,
      mainPriority: 0,
    });
  }, 60_000);

  test('is refused when it would load something from outside', async () => {
    const entry = `try { require('some-neighbour'); } catch {}`;
    await expect(buildFrom(entry)).rejects.toThrow(/expected only Node's own modules .* got some-neighbour/);
  });
});

async function buildFrom(entry: string): Promise<string> {
  const folder = mkdtempSync(join(scratch, 'entry-'));
  writeFileSync(join(folder, 'entry.mjs'), entry);
  await build(folder, join(folder, 'entry.mjs'));
  return folder;
}

function packageOf(manifest: object, files: Record<string, string> = {}): string {
  const folder = mkdtempSync(join(scratch, 'package-'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

describe('the notices', () => {
  const own = { name: 'ours', version: '1.0.0', licence: 'MIT' };
  const manifest = { name: 'theirs', version: '2.0.0', license: 'ISC' };

  test('share one text between packages, and no text can end the comment', () => {
    const theirs = readPackage(packageOf(manifest, { 'LICENSE.md': 'Free. */ process.exit() /*\r\n' }));
    const ours = { ...own, folder: theirs.folder };
    const comment = noticesComment(ours, [theirs]);
    expect(comment).toContain('ours 1.0.0 (MIT)\ntheirs 2.0.0 (ISC)\n\nFree. * / process.exit() /*\n');
    expect(comment.indexOf('*/')).toBe(comment.length - '*/\n'.length);
  });

  test('name licence and author when a package has no licence file', () => {
    const theirs = readPackage(packageOf({ ...manifest, author: { name: 'Ada' } }));
    expect(noticesComment(theirs, [])).toContain('No licence file; package.json says: ISC, by Ada.');
  });

  test('refuse a package with neither', () => {
    expect(() => noticesComment(readPackage(packageOf(manifest)), [])).toThrow(
      'theirs 2.0.0: expected a licence',
    );
    expect(() => readPackage(packageOf({ name: 'theirs', version: '2.0.0' }))).toThrow('expected "license"');
  });
});

/** Runs the file with a home of its own in `folder`, so that it finds and leaves nothing elsewhere. */
async function runAlone(folder: string, args: string[]) {
  const child = spawn(process.execPath, ['edgeloop.mjs', ...args], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      HOME: join(folder, 'home'),
      XDG_CACHE_HOME: join(folder, 'cache'),
      XDG_STATE_HOME: join(folder, 'state'),
      XDG_DATA_HOME: join(folder, 'data'),
      XDG_CONFIG_HOME: join(folder, 'config'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [output, errors, status] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { status, errors, lastLine: output.trimEnd().split('\n').at(-1)! };
}

/** Stand-ins for the system's loader: one that runs what it is given, one that never does. */
const open = (file: string): string => readFileSync(file, 'utf8');
const refuse = (): never => {
  throw new Error('Operation not permitted');
};

describe('the native code', () => {
  const code = Buffer.from('native code of the serial port');
  const fileName = `${sha256Of(code)}.node`;
  const prebuild = { sha256: sha256Of(code), brotliBase64: brotliCompressSync(code).toString('base64') };
  const machines = ['x64', 'arm64'].flatMap((arch) => [`linux-${arch}-glibc`, `linux-${arch}-musl`]);
  const prebuilds: Prebuilds = Object.fromEntries(machines.map((machine) => [machine, prebuild]));

  let first: string;
  let second: string;
  beforeEach(() => {
    const folder = mkdtempSync(join(scratch, 'native-'));
    first = join(folder, 'first', 'native');
    second = join(folder, 'second', 'native');
  });

  test('is unpacked once, for its owner alone, and opened', () => {
    expect(loadNativeBinding(prebuilds, [first, second], open)).toBe(code.toString());
    expect(permissions(first)).toBe(0o700);
    expect(readdirSync(first)).toEqual([fileName]);
    expect(permissions(join(first, fileName))).toBe(0o500);
    const { ino } = statSync(join(first, fileName));
    expect(loadNativeBinding(prebuilds, [first, second], open)).toBe(code.toString());
    expect(statSync(join(first, fileName)).ino).toBe(ino);
    expect(existsSync(second)).toBe(false);
  });

  test('is replaced, not opened, when the file under its name is damaged', () => {
    mkdirSync(first, { recursive: true });
    writeFileSync(join(first, fileName), 'something else');
    expect(loadNativeBinding(prebuilds, [first], open)).toBe(code.toString());
    expect(readdirSync(first)).toEqual([fileName]);
  });

  test('is replaced when others could have written it, and the directory is closed to them', () => {
    mkdirSync(first, { recursive: true });
    writeFileSync(join(first, fileName), code);
    chmodSync(join(first, fileName), 0o722);
    chmodSync(first, 0o777);
    expect(loadNativeBinding(prebuilds, [first], open)).toBe(code.toString());
    expect(permissions(join(first, fileName))).toBe(0o500);
    expect(permissions(first)).toBe(0o700);
  });

  test('goes to the next directory when one cannot be made', () => {
    mkdirSync(join(first, '..', '..'), { recursive: true });
    writeFileSync(join(first, '..'), 'a file where the directory should be');
    expect(loadNativeBinding(prebuilds, [first, second], open)).toBe(code.toString());
    expect(readdirSync(second)).toEqual([fileName]);
  });

  test.skipIf(!existsSync('/proc'))('goes to the next directory where none can ever be made', () => {
    expect(loadNativeBinding(prebuilds, ['/proc/edgeloop/native', second], open)).toBe(code.toString());
    expect(readdirSync(second)).toEqual([fileName]);
  });

  test('goes to the next directory, and leaves no copy, where the system refuses to run it', () => {
    const openUnlessNoexec = (file: string): string => (file.startsWith(first) ? refuse() : open(file));
    expect(loadNativeBinding(prebuilds, [first, second], openUnlessNoexec)).toBe(code.toString());
    expect(readdirSync(first)).toEqual([]);
  });

  test('does not follow a link that stands where its directory should be', () => {
    mkdirSync(join(first, '..'), { recursive: true });
    mkdirSync(second, { recursive: true });
    symlinkSync(second, first);
    expect(() => loadNativeBinding(prebuilds, [first], open)).toThrow(`${first} (it is not a directory)`);
    expect(readdirSync(second)).toEqual([]);
  });

  test.skipIf(process.geteuid?.() !== 0)('does not use a directory of another user', () => {
    mkdirSync(first, { recursive: true });
    chownSync(first, 65534, 65534);
    expect(() => loadNativeBinding(prebuilds, [first], open)).toThrow(`${first} (it belongs to user 65534)`);
  });

  test('a table whose hash does not fit its bytes is refused', () => {
    const wrong = { sha256: sha256Of(Buffer.from('other code')), brotliBase64: prebuild.brotliBase64 };
    const wrongs = Object.fromEntries(machines.map((machine) => [machine, wrong]));
    expect(() => loadNativeBinding(wrongs, [first], open)).toThrow('does not have the expected hash');
  });

  test('when no directory will do, the message names each one tried', () => {
    const error = caught(() => loadNativeBinding(prebuilds, [first, second], refuse));
    expect(error.code).toBe('ELOOP_STORE');
    for (const directory of [first, second]) {
      expect(error.message).toContain(`${directory} (Operation not permitted)`);
    }
  });

  test('a machine without a build is told which ones there are', () => {
    const error = caught(() => loadNativeBinding({ 'beos-ppc-glibc': prebuild }, [first], open));
    expect(error.code).toBe('ELOOP_PORT');
    expect(error.message).toContain(
      `expected one of beos-ppc-glibc, got ${process.platform}-${process.arch}-`,
    );
  });

  test("the service's directories come first, then the user's, then temporary ones", () => {
    const environment = {
      CACHE_DIRECTORY: '/var/cache/edgeloop:/var/cache/other',
      STATE_DIRECTORY: '/var/lib/edgeloop',
      XDG_CACHE_HOME: '/home/ada/caches',
      HOME: '/home/ada',
      RUNTIME_DIRECTORY: '/run/edgeloop',
    };
    const temporary = join(tmpdir(), `edgeloop-${process.geteuid?.()}`, 'native');
    expect(privateDirectories(environment)).toEqual([
      '/var/cache/edgeloop/native',
      '/var/lib/edgeloop/native',
      '/home/ada/caches/edgeloop/native',
      '/home/ada/.cache/edgeloop/native',
      '/run/edgeloop/native',
      temporary,
    ]);
    expect(privateDirectories({ XDG_CACHE_HOME: 'relative', HOME: '' })).toEqual([temporary]);
  });
});

function caught(run: () => unknown): EdgeloopError {
  try {
    run();
  } catch (error) {
    if (error instanceof EdgeloopError) return error;
    throw error;
  }
  throw new Error('expected an EdgeloopError, got none');
}
