import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mulberry32 } from '../../src/engine/random.ts';
import { type ControlCommand, control } from '../../src/cli/control.ts';
import { ask, chooseSocket } from '../../src/service/control-client.ts';
import { socketPath } from '../../src/service/control-paths.ts';
import { eventually } from '../support/processes.ts';
import { ChildProgram, type Ended, temporaryFolder } from '../support/program.ts';

const SERVER = join(import.meta.dirname, '../support/control-server.ts');
const CLI = join(import.meta.dirname, '../../src/main.ts');

let folder: ReturnType<typeof temporaryFolder>;
let servers: ChildProgram[];

beforeEach(() => {
  folder = temporaryFolder();
  servers = [];
});

afterEach(async () => {
  await Promise.all(servers.map((server) => server.kill('SIGKILL')));
  folder.dispose();
});

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, RUNTIME_DIRECTORY: folder.path };
}

function startServer(...args: string[]): ChildProgram {
  const server = new ChildProgram(process.execPath, ['--expose-gc', SERVER, ...args], {
    env: environment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  servers.push(server);
  return server;
}

/** @returns the path of its socket */
async function serverPath(...args: string[]): Promise<string> {
  const [, path] = await startServer(...args).prints(/listening (.+)\n/);
  return path;
}

function edgeloop(...args: string[]): Promise<Ended> {
  const options = { env: environment(), stdio: ['ignore', 'pipe', 'pipe'] as ('ignore' | 'pipe')[] };
  return new ChildProgram(process.execPath, [CLI, ...args], options).ended;
}

/** A connection seen in the raw. */
class Raw {
  text = '';
  closed = false;
  readonly socket: Socket;

  constructor(path: string) {
    this.socket = connect(path);
    this.socket.on('data', (chunk: Buffer) => (this.text += chunk.toString('utf8')));
    this.socket.on('close', () => (this.closed = true));
    this.socket.on('error', () => (this.closed = true));
  }

  get lines(): Record<string, unknown>[] {
    return this.text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async answers(count: number): Promise<Record<string, unknown>[]> {
    await eventually(() => this.lines.length >= count || this.closed);
    return this.lines;
  }
}

describe('the control socket', () => {
  it('acknowledges every command with the record at which it took effect, from the command line', async () => {
    await serverPath();
    expect((await edgeloop('label', 'idle')).stdout).toBe('Label "idle" from record 1,001 on.\n');
    expect((await edgeloop('label', '--undo')).stdout).toContain('Records 900 to 999, labelled "idle"');
    expect((await edgeloop('label', 'none')).stdout).toBe('No label from record 1,003 on.\n');
    expect((await edgeloop('freeze', 'scaler')).stdout).toBe('Frozen from record 1,004 on: scaler.\n');
    expect((await edgeloop('unfreeze')).stdout).toBe('Learning again from record 1,005 on.\n');
    expect((await edgeloop('relearn', '--json')).stdout).toBe('{"sequence":1006}\n');
    // What a terminal would obey does not reach it.
    expect((await edgeloop('status')).stdout).toBe('label null?[2J\n');
    expect(JSON.parse((await edgeloop('status', '--json')).stdout)).toMatchObject({
      sequence: 1006,
      label: null,
    });
    const refused = await edgeloop('label', '--undo');
    expect(refused).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('expected a label to take back'),
    });
  });

  it('tells a misuse before it looks for a model', async () => {
    const misuses: [ControlCommand, string[], string][] = [
      ['label', [], 'expected one NAME, none, or --undo'],
      ['label', ['a', 'b'], 'expected one NAME, none, or --undo'],
      ['label', ['a', '--undo'], 'expected one NAME, none, or --undo'],
      ['freeze', ['sun'], 'expected one of all, scaler, network, winner or nothing, got "sun"'],
      ['freeze', ['--undo'], 'expected no --undo, which belongs to label'],
      ['status', ['x'], 'expected nothing after it, got "x"'],
      ['status', ['--model', '../x'], 'model name: expected 1 to 32 letters'],
      ['relearn', ['--now'], 'Try --help'],
    ];
    for (const [command, args, sentence] of misuses) {
      const error: unknown = await control(command, args).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'ELOOP_CONFIG', message: expect.stringContaining(sentence) });
    }
    const alone = await edgeloop('status');
    expect(alone).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`found none in ${folder.path}`),
    });
  });

  it('is for its owner and group, in a directory for its owner', async () => {
    expect(statSync(await serverPath()).mode & 0o777).toBe(0o660);
    const path = socketPath('motor', { XDG_RUNTIME_DIR: folder.path });
    expect(path).toBe(join(folder.path, 'edgeloop/edgeloop-motor.sock'));
    expect(statSync(join(folder.path, 'edgeloop')).mode & 0o777).toBe(0o700);
  });

  it('is chosen by name where there are several, and needs none where there is one', async () => {
    const motor = await serverPath('motor');
    expect(await chooseSocket(undefined, environment())).toEqual({ model: 'motor', path: motor });
    const pump = await serverPath('pump');
    await expect(chooseSocket(undefined, environment())).rejects.toThrow(
      'expected one running model, got motor, pump. Choose with --model NAME.',
    );
    expect(await chooseSocket('pump', environment())).toEqual({ model: 'pump', path: pump });
    await expect(chooseSocket('fan', environment())).rejects.toThrow('found none in');
    await servers[0].kill('SIGKILL'); // its socket stays, dead
    expect(existsSync(motor)).toBe(true);
    expect(await chooseSocket(undefined, environment())).toEqual({ model: 'pump', path: pump });
  });

  it('of a dead process is replaced, of a living one left alone, and a file is not touched', async () => {
    const path = await serverPath();
    const second = await startServer().ended;
    expect(second).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('another process is learning'),
    });
    expect((await ask(path, 'status', {})).sequence).toBe(1000);
    await servers[0].kill('SIGKILL');
    expect(existsSync(path)).toBe(true);
    expect(await serverPath()).toBe(path);
    expect((await servers.at(-1)!.kill('SIGTERM')).status).toBe(0);
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, 'a file');
    expect((await startServer().ended).stderr).toContain(
      'expected a socket or nothing, got a file. Remove it.',
    );
    expect(existsSync(path)).toBe(true);
  });

  it('is not laid into a directory that others can write to, nor under a path too long', () => {
    mkdirSync(join(folder.path, 'edgeloop'));
    chmodSync(join(folder.path, 'edgeloop'), 0o777);
    expect(() => socketPath('default', { XDG_RUNTIME_DIR: folder.path })).toThrow('nobody else can write to');
    expect(() => socketPath('default', { RUNTIME_DIRECTORY: `/${'x'.repeat(100)}` })).toThrow(
      /expected at most 107 bytes, got 123\./,
    );
    expect(socketPath('default', { RUNTIME_DIRECTORY: '/run/edgeloop:/run/other' })).toBe(
      '/run/edgeloop/edgeloop-default.sock',
    );
  });

  it('answers requests in order, also those that came at once and those of a side already shut', async () => {
    const raw = new Raw(await serverPath());
    raw.socket.end(
      '{"command":"label","name":"a"}\n{"command":"nonsense"}\n{"command":"label","name":"b"}\n',
    );
    const [first, second, third] = await raw.answers(3);
    expect(first).toEqual({ ok: true, sequence: 1001 });
    expect(second).toMatchObject({ ok: false, message: expect.stringContaining('got "nonsense"') });
    expect(third).toEqual({ ok: true, sequence: 1002 });
    expect(await eventually(() => raw.closed)).toBe(true);
  });

  it('refuses each bad request with a sentence, and takes the next one', async () => {
    const raw = new Raw(await serverPath());
    raw.socket.write(REFUSALS.map(([request]) => `${request}\n{"command":"relearn"}\n`).join(''));
    const answers = await raw.answers(2 * REFUSALS.length);
    REFUSALS.forEach(([, sentence], index) => {
      expect(answers[2 * index]).toMatchObject({ ok: false, message: expect.stringContaining(sentence) });
      expect(answers[2 * index + 1]).toEqual({ ok: true, sequence: 1001 + index });
    });
    raw.socket.destroy();
  });

  it('takes a line of 4096 bytes and refuses a longer one before its end has come', async () => {
    const path = await serverPath();
    const request = '{"command":"relearn"}';
    const fits = new Raw(path);
    fits.socket.write(`${request.padEnd(4095)}\n`);
    expect(await fits.answers(1)).toEqual([{ ok: true, sequence: 1001 }]);
    const long = new Raw(path);
    long.socket.write(request.padEnd(4096));
    expect((await long.answers(1))[0]).toMatchObject({
      ok: false,
      message: expect.stringContaining('4096 bytes'),
    });
    expect(await eventually(() => long.closed)).toBe(true);
    fits.socket.destroy();
  });

  it('has at most 16 connections, says so, and has room again when one is closed', async () => {
    const path = await serverPath();
    const raws = Array.from({ length: 16 }, () => new Raw(path));
    for (const raw of raws) raw.socket.write('{"command":"relearn"}\n');
    for (const raw of raws) await raw.answers(1);
    await expect(ask(path, 'relearn', {})).rejects.toThrow('expected at most 16 connections at a time');
    raws[3].socket.destroy();
    await sleep(50);
    expect((await ask(path, 'relearn', {})).sequence).toBe(1017);
    for (const raw of raws) raw.socket.destroy();
  });

  it('closes a connection that asks nothing, or takes no answer, and keeps one that subscribed', async () => {
    const path = await serverPath('default', '300');
    const silent = new Raw(path);
    const dripping = new Raw(path);
    const drip = setInterval(() => dripping.socket.write(' '), 50);
    const deaf = new Raw(path);
    deaf.socket.pause();
    deaf.socket.write('{"command":"large"}\n'.repeat(20));
    const listening = new Raw(path);
    listening.socket.write('{"command":"subscribe","topics":["answers"]}\n');
    expect(await eventually(() => silent.closed && dripping.closed)).toBe(true);
    clearInterval(drip);
    await sleep(500);
    deaf.socket.resume();
    expect(await eventually(() => deaf.closed)).toBe(true);
    expect(deaf.lines.length).toBeLessThan(20);
    expect(await ask(path, 'tick', {})).toEqual({ wanted: true });
    expect((await listening.answers(2))[1]).toEqual({ event: 'answers', class: 'idle' });
    listening.socket.destroy();
  });

  it('drops a subscriber that does not read instead of keeping events for it', async () => {
    const path = await serverPath();
    const reading = new Raw(path);
    const deaf = new Raw(path);
    for (const raw of [reading, deaf]) raw.socket.write('{"command":"subscribe","topics":["answers"]}\n');
    await Promise.all([reading.answers(1), deaf.answers(1)]);
    deaf.socket.pause();
    for (let row = 0; row < 2000; row++) await ask(path, 'tick', {});
    expect(await reading.answers(2001)).toHaveLength(2001);
    await ask(path, 'flood', {}); // a megabyte at once is more than anybody can have read
    const { document } = (await ask(path, 'status', {})) as { document: { counts: Record<string, number> } };
    expect(document.counts.subscribersDropped).toBe(2);
    expect(await ask(path, 'tick', {})).toEqual({ wanted: false });
    for (const raw of [reading, deaf]) raw.socket.destroy();
  });

  it('says when the learner does not answer, and when the program itself has failed', async () => {
    const path = await serverPath('default', '30000', '200');
    await expect(ask(path, 'slow', {})).rejects.toThrow('expected the learner to answer within 0.2 s');
    await expect(ask(path, 'broken', {})).rejects.toThrow('an error of the program itself');
    expect(servers[0].stderr).toBe('fault: a mistake of ours\n');
    expect((await ask(path, 'relearn', {})).sequence).toBe(1001);
  });

  it('is given up by a client that gets no whole answer', async () => {
    const path = await serverPath();
    await expect(ask(path, 'slow', {}, 100)).rejects.toThrow('expected an answer, got nothing within 0.1 s');
    const refused = expect(ask(path, 'slow', {})).rejects.toThrow(
      /expected an answer, got (the end of the connection|ECONNRESET)/,
    );
    await sleep(100);
    await servers[0].kill('SIGKILL');
    await refused;
    await expect(ask(path, 'relearn', {})).rejects.toThrow('got ECONNREFUSED');
  });

  it('survives whatever is written to it, with flat memory', async () => {
    const seed = Number(process.env.EDGELOOP_FUZZ_SEED ?? Date.now() % 1_000_000);
    const connections = Number(process.env.EDGELOOP_FUZZ_COUNT ?? 3000) / 5;
    process.stdout.write(`  control socket fuzz: EDGELOOP_FUZZ_SEED=${seed}\n`);
    const path = await serverPath();
    const random = mulberry32(seed);
    const memoryBytes = async (): Promise<number> => {
      const { document } = (await ask(path, 'status', {})) as { document: { memoryBytes: number } };
      return document.memoryBytes;
    };
    const bombard = async (count: number): Promise<void> => {
      for (let connection = 0; connection < count; connection++) await attack(path, random);
    };
    await bombard(connections / 2);
    const before = await memoryBytes();
    await bombard(connections / 2);
    const after = await memoryBytes();
    process.stdout.write(`  memory ${(before / 1024).toFixed(0)} -> ${(after / 1024).toFixed(0)} KiB\n`);
    expect(after - before).toBeLessThan(2 ** 20);
    expect(servers[0].stderr).toBe('');
    expect((await edgeloop('label', 'still here')).stdout).toContain('Label "still here" from record');
  });
});

const REFUSALS: [string, string][] = [
  ['{"command":"label"}', '"name" to be null or 1 to 64 bytes'],
  ['{"command":"label","name":""}', '"name" to be null'],
  ['{"command":"label","name":" a"}', '"name" to be null'],
  ['{"command":"label","name":"a\\u001b[2J"}', 'without control characters'],
  [`{"command":"label","name":"${'x'.repeat(65)}"}`, '64 bytes'],
  ['{"command":"label","name":"a","undo":true}', 'either "name" or "undo"'],
  ['{"command":"label","nane":"a"}', 'expected only name, undo, got "nane"'],
  ['{"command":"freeze","what":7}', 'all, scaler, network, winner, got 7'],
  ['{"command":"status","__proto__":1}', 'expected no parameters, got "__proto__"'],
  ['{"command":"toString"}', 'got "toString"'],
  ['{"command":["label"]}', 'one JSON object'],
  ['[1]', 'one JSON object'],
  ['null', 'one JSON object'],
  ['{"command":', 'one JSON object'],
  ['{"command":"subscribe","topics":["weather"]}', 'a list of answers'],
  ['{"command":"subscribe","topics":[]}', 'a list of answers'],
];

const PIECES = [
  '{"command":"label","name":"a"}\n',
  '{"command":"status"}\n',
  '{"command":"subscribe","topics":["answers"]}\n',
  '{"command":"large"}\n',
  '{"command":"flood"}\n',
  '\n',
  '{"command":"label","name":"',
  '[['.repeat(2000),
  '{"a":'.repeat(700),
  'x'.repeat(5000),
  '"\\ud800',
];

/** One connection that writes pieces, whole, cut or with bytes turned over, then leaves in one way or another. */
async function attack(path: string, random: () => number): Promise<void> {
  const raw = new Raw(path);
  const pieces = 1 + Math.floor(4 * random());
  for (let piece = 0; piece < pieces; piece++) {
    const bytes = Buffer.from(PIECES[Math.floor(PIECES.length * random())]);
    if (random() < 0.3)
      for (let i = 0; i < 3; i++) bytes[Math.floor(bytes.length * random())] = 256 * random();
    raw.socket.write(bytes.subarray(0, random() < 0.3 ? Math.floor(bytes.length * random()) : bytes.length));
    if (random() < 0.3) await new Promise((resolve) => setImmediate(resolve));
  }
  if (random() < 0.3) raw.socket.destroy();
  else raw.socket.end();
  await eventually(() => raw.closed);
}
