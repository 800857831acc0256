import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDirectory } from '../../src/store/directory-lock.ts';

const MODULE = new URL('../../src/store/directory-lock.ts', import.meta.url).href;

let directory: string;
beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), 'edgeloop-lock-'))));
afterEach(() => rmSync(directory, { recursive: true }));

async function startHolder(): Promise<ChildProcess> {
  const code = `
    const { lockDirectory } = await import(${JSON.stringify(MODULE)});
    await lockDirectory(${JSON.stringify(directory)}).then(() => console.log('held'), (error) => console.log(error.message));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  expect(`${line}`).toBe('held\n');
  return child;
}

describe('the lock of a directory', () => {
  it('lets one in, and the next when that one has gone', async () => {
    const lock = await lockDirectory(directory);
    await expect(lockDirectory(directory)).rejects.toThrow(/this very process has had it since/);
    lock.release();
    (await lockDirectory(directory)).release();
    expect(readdirSync(directory)).toEqual([]);
  });

  it('says who has it', async () => {
    const holder = await startHolder();
    const refused = lockDirectory(directory);
    await expect(refused).rejects.toMatchObject({ code: 'ELOOP_STORE' });
    await expect(refused).rejects.toThrow(
      `${directory}: expected to be alone with this model, but the process ${holder.pid} has had it since 20`,
    );
    await expect(refused).rejects.toThrow('Stop that one, or choose another directory.');
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    (await lockDirectory(directory)).release();
  });

  it('is not held by a later process of the same id, by another boot, or by a file torn in the making', async () => {
    const lock = await lockDirectory(directory);
    const held = JSON.parse(readFileSync(join(directory, 'lock'), 'utf8')) as object;
    lock.release();
    for (const content of [
      JSON.stringify({ ...held, started: '1' }),
      JSON.stringify({ ...held, boot: 'another' }),
      '{"pid":',
      '',
    ]) {
      writeFileSync(join(directory, 'lock'), content);
      (await lockDirectory(directory)).release();
      expect(readdirSync(directory)).toEqual([]);
    }
  });

  it('left by the dead goes to one of many that want it', async () => {
    writeFileSync(join(directory, 'lock'), '{"pid":1,"started":"0","boot":"","since":""}');
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockDirectory(directory)));
    const locks = results.filter((result) => result.status === 'fulfilled');
    expect(locks).toHaveLength(1);
    locks[0].value.release();
  });
});
