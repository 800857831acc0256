import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { type Board, Pace, startBoard } from '../../src/demo/board.ts';
import { Motor } from '../../src/demo/motor.ts';
import { EdgeloopError } from '../../src/errors.ts';
import { descendants, eventually, lives, Tty } from '../support/processes.ts';

const MODULE = JSON.stringify(new URL('../../src/demo/board.ts', import.meta.url).href);

/** Arguments for Node to be a board. */
function boardCommand(options: object): string[] {
  return node(`const { runBoard } = await import(${MODULE}); await runBoard(${JSON.stringify(options)});`);
}

function node(code: string): string[] {
  return ['--input-type=module', '-e', code];
}

/** The first lines of a motor. */
function motorLines(seed: number, count: number): string {
  const motor = new Motor(seed);
  return Array.from({ length: count }, () => motor.nextLine()).join('');
}

describe('Pace', () => {
  test('gives one line for each period, however the calls fall', () => {
    const pace = new Pace(200, 1000);
    expect(pace.take(1000)).toBe(0);
    expect(pace.take(1004.9)).toBe(0);
    expect(pace.take(1005)).toBe(1);
    expect(pace.take(1005)).toBe(0);
    expect(pace.take(1021)).toBe(3);
    expect(pace.take(1025)).toBe(1);
    expect(pace.skipped).toBe(0);
  });

  test('makes up for one second of delay and counts what is older', () => {
    const pace = new Pace(200, 0);
    expect(pace.take(1000)).toBe(200);
    expect(pace.take(4500)).toBe(200);
    expect(pace.skipped).toBe(500);
    expect(pace.take(4505)).toBe(1);
  });

  test('waits until the next line and no less than a millisecond', () => {
    const pace = new Pace(200, 0);
    expect(pace.waitMs(0)).toBe(5);
    expect(pace.waitMs(3)).toBe(2);
    expect(pace.waitMs(7)).toBe(1);
    pace.take(7);
    expect(pace.waitMs(7)).toBe(3);
  });
});

describe('a virtual board', () => {
  const boards: Board[] = [];
  const ttys: Tty[] = [];

  afterEach(async () => {
    for (const tty of ttys.splice(0)) tty.close();
    for (const board of boards.splice(0)) await board.stop();
  });

  async function start(options: object): Promise<[Board, Tty]> {
    const board = await startBoard(boardCommand(options));
    boards.push(board);
    const tty = new Tty(board.path);
    ttys.push(tty);
    return [board, tty];
  }

  test("prints the motor's lines from the first on", async () => {
    const [, tty] = await start({ seed: 3, linesPerSecond: 200 });
    const wanted = motorLines(3, 100);
    expect(await tty.readUntil(() => tty.text.length >= wanted.length)).toBe(true);
    expect(tty.text.slice(0, wanted.length)).toBe(wanted);
  });

  test('tears the first line when asked to, and only that', async () => {
    const [, tty] = await start({ seed: 3, linesPerSecond: 1000, tornFirstLine: true });
    const [first, ...rest] = motorLines(3, 20).split('\n').slice(0, -1);
    expect(await tty.readUntil(() => tty.text.split('\n').length > 21)).toBe(true);
    const [torn, ...whole] = tty.text.split('\n');
    expect(torn.length).toBeLessThan(first.length);
    expect(torn.length).toBeGreaterThan(0);
    expect(first.endsWith(torn)).toBe(true);
    expect(whole.slice(0, rest.length)).toEqual(rest);
  });

  test('keeps its pace, whether fast or slow', async () => {
    for (const linesPerSecond of [200, 4000]) {
      const [board, tty] = await start({ seed: 1, linesPerSecond });
      expect(await tty.readUntil(() => tty.bytesRead > 0)).toBe(true);
      const count = () => tty.text.split('\n').length;
      const [startCount, startMs] = [count(), performance.now()];
      await tty.readUntil(() => performance.now() - startMs >= 1000);
      const rate = ((count() - startCount) * 1000) / (performance.now() - startMs);
      expect(rate).toBeGreaterThan(0.8 * linesPerSecond);
      expect(rate).toBeLessThan(1.2 * linesPerSecond);
      await board.stop();
    }
  });

  test('stops on request and leaves no process', async () => {
    const [board, tty] = await start({ seed: 1, linesPerSecond: 200 });
    const started = [board.pid, ...descendants(board.pid)];
    expect(started.length).toBe(3); // the board, script, sleep
    await board.stop();
    expect(started.filter(lives)).toEqual([]);
    expect(await tty.readUntil(() => tty.hungUp)).toBe(true);
    await board.stop();
  });

  test('takes no notice of Ctrl-C, and ends with status 0 at SIGTERM', async () => {
    const child = spawn(process.execPath, boardCommand({ seed: 1, linesPerSecond: 200 }), {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [path] = (await once(child.stdout, 'data')) as [Buffer];
    const tty = new Tty(path.toString().trim());
    ttys.push(tty);
    const started = descendants(child.pid!);
    child.kill('SIGINT');
    const bytesThen = tty.bytesRead;
    expect(await tty.readUntil(() => tty.bytesRead > bytesThen + 2000)).toBe(true);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(started.filter(lives)).toEqual([]);
    child.stdin.destroy();
  });

  test('counts the lines that nobody read and says so', async () => {
    const child = spawn(process.execPath, boardCommand({ seed: 1, linesPerSecond: 20_000 }), {
      stdio: 'pipe',
    });
    let said = '';
    child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()));
    await once(child.stdout, 'data');
    await new Promise((resolve) => setTimeout(resolve, 800));
    child.stdin.end();
    const [status] = await once(child, 'close');
    expect(status).toBe(0);
    expect(Number(/(\d+) lines not read in time/.exec(said)?.[1])).toBeGreaterThan(1000);
  });

  test('ends when its parent is killed, and so does all that it started', async () => {
    const command = JSON.stringify(boardCommand({ seed: 1, linesPerSecond: 200 }));
    const code = `const { startBoard } = await import(${MODULE});
      const board = await startBoard(${command}); console.log(board.path); setInterval(() => {}, 1e6);`;
    const parent = spawn(process.execPath, node(code), { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(parent.stdout, 'data');
    const started = descendants(parent.pid!);
    expect(started.length).toBe(3); // the board, script, sleep
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    expect(await eventually(() => !started.some(lives))).toBe(true);
  });

  test('leaves nothing when it is killed itself, and its parent can still stop it', async () => {
    const [board, tty] = await start({ seed: 1, linesPerSecond: 200 });
    const started = [board.pid, ...descendants(board.pid)];
    process.kill(board.pid, 'SIGKILL');
    expect(await eventually(() => !started.some(lives))).toBe(true);
    expect(await tty.readUntil(() => tty.hungUp)).toBe(true);
    await board.stop();
  });

  test('fails when its pseudo-terminal goes away', async () => {
    const child = spawn(process.execPath, boardCommand({ seed: 1, linesPerSecond: 200 }), { stdio: 'pipe' });
    let said = '';
    child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()));
    await once(child.stdout, 'data');
    process.kill(descendants(child.pid!)[0], 'SIGKILL');
    const [status] = await once(child, 'close');
    expect(status).toBe(1);
    expect(said).toMatch(/ELOOP_BOARD/);
  });
});

/** What startBoard() rejects with when Node runs this instead of a board. */
async function refusal(code: string, startMsMax?: number): Promise<string> {
  const error = await startBoard(node(code), startMsMax).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(EdgeloopError);
  expect((error as EdgeloopError).code).toBe('ELOOP_BOARD');
  return (error as EdgeloopError).message;
}

describe('startBoard', () => {
  test('reports a board that ends, with its status', async () => {
    expect(await refusal('process.exit(7)')).toMatch(/got exit by status 7/);
  });

  test('reports a board that prints something else', async () => {
    expect(await refusal('console.log("usage: ..."); process.stdin.resume()')).toMatch(/got "usage: \.\.\./);
  });

  test('reports a board that prints too much without an end of line', async () => {
    expect(await refusal('process.stdout.write("/dev/" + "x".repeat(5000)); process.stdin.resume()')).toMatch(
      /got "\/dev\/x{95}"/,
    );
  });

  test('reports a board that stays silent, and ends it', async () => {
    const before = descendants(process.pid);
    expect(await refusal('process.stdin.resume()', 300)).toMatch(/got nothing within 300 ms/);
    expect(descendants(process.pid).filter((pid) => lives(pid) && !before.includes(pid))).toEqual([]);
  });
});
