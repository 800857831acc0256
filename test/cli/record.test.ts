import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Pty, openPty } from '../../src/demo/pty.ts';
import { describeRecording, readRecording } from '../../src/store/recording.ts';
import { CommandProcess } from '../support/command-process.ts';
import { temporaryFolder } from '../support/program.ts';

let folder: ReturnType<typeof temporaryFolder>;
let pty: Pty;
let out: string;

beforeEach(async () => {
  folder = temporaryFolder();
  pty = await openPty();
  out = join(folder.path, 'out');
});
afterEach(async () => {
  await pty.close();
  folder.dispose();
});

const start = (...args: string[]): CommandProcess =>
  new CommandProcess(['record', pty.path, '--out', out, ...args]);

interface Recorded {
  bytes: Buffer;
  timesUs: number[];
  cuts: number;
}

function recorded(): Recorded {
  const pieces: Buffer[] = [];
  const timesUs: number[] = [];
  let cuts = 0;
  for (const item of readRecording(out)) {
    if (item.kind === 'gap') throw new Error('a gap');
    if (item.kind === 'cut') cuts += 1;
    if (item.kind !== 'bytes') continue;
    pieces.push(Buffer.from(item.bytes));
    timesUs.push(item.timeUs);
  }
  return { bytes: Buffer.concat(pieces), timesUs, cuts };
}

const everyByte = (size: number): Buffer =>
  Buffer.from(Array.from({ length: size }, (_, i) => (i * 31) & 255));

describe('edgeloop record', () => {
  it('keeps every byte with the time it came, and ends in order at Ctrl-C', async () => {
    const program = start('--columns', 'x,state', '--label', 'state', '--baud', '9600');
    await program.prints(/^Recording \/dev\/pts\/\d+ at 9600 baud to .*out\./);
    const sent = everyByte(100_000);
    await pty.send(sent.subarray(0, 50_000));
    await sleep(300);
    await pty.send(sent.subarray(50_000));
    await program.prints(/100,000 bytes in \d+\.\d s \| /);
    const { status, stdout, stderr } = await program.kill('SIGINT');
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toMatch(/100,000 bytes in \d+\.\d s, kept in .*out \(100,\d{3} bytes on disk\)\.\n$/);
    const { bytes, timesUs, cuts } = recorded();
    expect(cuts).toBe(0);
    expect(bytes.equals(sent)).toBe(true);
    expect(timesUs).toEqual(timesUs.toSorted((a, b) => a - b));
    const longestPauseUs = Math.max(...timesUs.slice(1).map((timeUs, index) => timeUs - timesUs[index]));
    expect(longestPauseUs).toBeGreaterThan(250_000);
    const description = describeRecording(out);
    expect(description).toMatchObject({
      port: pty.path,
      baudRate: 9600,
      columns: ['x', 'state'],
      label: 'state',
    });
    expect(Math.abs(Date.parse(description.startedAt!) - Date.now())).toBeLessThan(60_000);
  });

  it('ends by itself after the time given', async () => {
    const program = start('--for', '500ms');
    await program.prints(/Recording/);
    pty.write('1,2\n');
    expect((await program.ended).status).toBe(0);
    expect(recorded().bytes.toString()).toBe('1,2\n');
  });

  it('saves everything and ends with status 3 when the port goes away', async () => {
    const program = start();
    await program.prints(/Recording/);
    const sent = everyByte(30_000);
    await pty.send(sent);
    await program.prints(/30,000 bytes/);
    await pty.close();
    const { status, stdout, stderr } = await program.ended;
    expect(status).toBe(3);
    expect(stdout).toMatch(/30,000 bytes in .*, kept in /);
    expect(stderr).toMatch(/^edgeloop: ELOOP_PORT_GONE: /);
    expect(recorded()).toMatchObject({ bytes: sent, cuts: 0 });
  });

  it('killed in mid-stream leaves a recording that can be read up to the last moments', async () => {
    const program = start();
    await program.prints(/Recording/);
    let sent = '';
    for (let piece = 0; piece < 100; piece++) {
      const text = `${piece},2.5,on\n`.repeat(100);
      await pty.send(Buffer.from(text));
      sent += text;
      await sleep(5);
    }
    expect((await program.kill('SIGKILL')).signal).toBe('SIGKILL');
    const { bytes, cuts } = recorded();
    expect(cuts).toBe(1);
    expect(sent.startsWith(bytes.toString())).toBe(true);
    expect(bytes.length).toBeGreaterThan(sent.length / 2);
  });

  it('leaves no file when the port cannot be opened', async () => {
    const { status, stderr } = await new CommandProcess(['record', '/dev/no-such-port', '--out', out]).ended;
    expect(status).toBe(1);
    expect(stderr).toMatch(/^edgeloop: ELOOP_PORT\w*: \/dev\/no-such-port: cannot open/);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  it('makes a directory named by the time when none is given', async () => {
    const args = ['record', pty.path, '--for', '300ms'];
    expect((await new CommandProcess(args, { cwd: folder.path }).ended).status).toBe(0);
    const [name] = readdirSync(folder.path);
    expect(name).toMatch(/^recording-20\d{6}-\d{6}$/);
    expect(statSync(join(folder.path, name)).mode & 0o777).toBe(0o700);
  });

  it('does not touch an earlier recording', async () => {
    expect((await start('--for', '300ms').ended).status).toBe(0);
    const { status, stderr } = await start('--for', '300ms').ended;
    expect(status).toBe(1);
    expect(stderr).toMatch(/ELOOP_STORE: .*out: expected a directory without a recording/);
  });

  it.each([
    [['--baud', 'fast'], /--baud: expected an integer from 50 to 4000000, got "fast"/],
    [['--baud', '49'], /got "49"/],
    [['--columns', 'a,,b'], /--columns: expected different names/],
    [['--columns', 'a,b', '--label', 'c'], /--label: expected one of several columns, a, b; got "c"/],
    [['--label', 'c'], /--label: expected --columns beside it/],
    [['--for', 'ever'], /expected a time such as 500ms/],
    [['more'], /expected one port.* got .* more/],
    [['--nonsense'], /Unknown option '--nonsense'/],
  ])('refuses %j with status 2', async (args, sentence) => {
    const { status, stderr } = await start(...args).ended;
    expect(status).toBe(2);
    expect(stderr).toMatch(/^edgeloop: ELOOP_CONFIG: /);
    expect(stderr).toMatch(sentence);
  });

  it('prints its help', async () => {
    const { status, stdout } = await start('--help').ended;
    expect(status).toBe(0);
    expect(stdout).toContain('edgeloop record PORT');
  });
});

// A small disk in a mount namespace of the program's own; needs the right to make one.
const smallDisk = (path: string): string[] => [
  'unshare',
  '-rm',
  'sh',
  '-c',
  `mount -t tmpfs -o size=200k none ${path} && "$@"; status=$?; cp -r ${path}/. ${path}-after; exit $status`,
  'sh',
];
const hasNamespaces = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;
if (!hasNamespaces) console.warn('SKIPPED: recording to a full disk, since this user may not mount a tmpfs');

describe.skipIf(!hasNamespaces)('edgeloop record on a disk that becomes full', () => {
  it('says so, keeps what found room, and ends', async () => {
    const disk = join(folder.path, 'disk');
    mkdirSync(disk);
    const args = ['record', pty.path, '--out', join(disk, 'out')];
    const program = new CommandProcess(args, { shell: smallDisk(disk) });
    await program.prints(/Recording/);
    const sent = everyByte(400_000);
    const sending = pty.send(sent).catch(() => {});
    const { status, stdout, stderr } = await program.ended;
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^edgeloop: ELOOP_STORE: .*\.seg: expected to write to it, got ENOSPC \(no space left/,
    );
    expect(stdout).toMatch(/bytes in .* s; the recording ends earlier\.\n$/);
    await pty.close();
    await sending;
    out = join(`${disk}-after`, 'out');
    const { bytes, cuts } = recorded();
    expect(cuts).toBe(1);
    expect(sent.subarray(0, bytes.length).equals(bytes)).toBe(true);
    expect(bytes.length).toBeGreaterThan(0);
  });
});
