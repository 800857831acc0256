import { readFileSync, truncateSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Pace } from '../../src/cli/pace.ts';
import { openPty } from '../../src/demo/pty.ts';
import { Labels } from '../../src/serial/labels.ts';
import { RecordingWriter, type StreamDescription, readRecording } from '../../src/store/recording.ts';
import { CommandProcess } from '../support/command-process.ts';
import { lives } from '../support/processes.ts';
import { numbersDecoder } from '../support/lines.ts';
import { temporaryFolder } from '../support/program.ts';

let folder: ReturnType<typeof temporaryFolder>;
let recording: string;
beforeEach(() => {
  folder = temporaryFolder();
  recording = join(folder.path, 'recording');
});
afterEach(() => folder.dispose());

type Read = readonly [timeUs: number, text: string];

const DESCRIPTION: StreamDescription = { columns: ['x', 'y', 'state'], label: 'state' };
const READS: readonly Read[] = [
  [1_000_000, '9,on\n0.1,-0,of'],
  [1_020_000, 'f\r\n'],
  [1_020_001, '1e-3,,on\n3,4,\n'],
  [1_040_000, '5,6\nx,6,on\n'],
  [1_300_000, '7,nan,off\n8,8,o'],
];

async function write(
  reads: readonly Read[],
  description = DESCRIPTION,
  segmentBytesMax = 1e6,
): Promise<void> {
  const writer = await RecordingWriter.create({ directory: recording, description, segmentBytesMax });
  for (const [timeUs, text] of reads) {
    writer.take(Buffer.from(text), text.length, timeUs);
    await writer.flush(); // a frame for each
  }
  await writer.close();
}

const replay = (...args: string[]): CommandProcess => new CommandProcess(['replay', recording, ...args]);

const record = (port: string, out: string): CommandProcess =>
  new CommandProcess(['record', port, '--out', out]);

const bytesOf = (directory: string): Buffer =>
  Buffer.concat(
    [...readRecording(directory)].flatMap((item) => (item.kind === 'bytes' ? Buffer.from(item.bytes) : [])),
  );

describe('edgeloop replay into the decoder', () => {
  it('prints the rows with the times of their reads, missing values and labels as null', async () => {
    await write(READS);
    const { status, stdout, stderr } = await replay().ended;
    expect(stdout.trimEnd().split('\n')).toEqual([
      '{"timeUs":1020000,"values":[0.10000000149011612,-0],"label":"off"}',
      '{"timeUs":1020001,"values":[0.0010000000474974513,null],"label":"on"}',
      '{"timeUs":1020001,"values":[3,4],"label":null}',
      '{"timeUs":1300000,"values":[7,null],"label":"off"}',
    ]);
    expect(stderr).toBe('4 rows from 57 bytes; dropped: torn 1, columnCount 1, notANumber 1.\n');
    expect(status).toBe(0);
  });

  it('gives the rows that a decoder gave when the bytes came, twice', async () => {
    const rows: unknown[] = [];
    const labels = new Labels([], 8);
    const decoder = numbersDecoder(['x', 'y', 'label'], labels, (values, label, [timeUs]) =>
      rows.push({ timeUs, values: [...values], label: labels.names[label] }),
    );
    const writer = await RecordingWriter.create({ directory: recording, description: DESCRIPTION });
    const text = Array.from({ length: 5000 }, (_, i) => `${i / 7},${-i * 1e-9},${i % 3 ? 'a' : 'b'}\n`).join(
      '',
    );
    for (let at = 0, timeUs = 5; at < text.length; at += 37, timeUs += 997) {
      const bytes = Buffer.from(text.slice(at, at + 37));
      decoder.push(bytes, bytes.length, timeUs);
      writer.take(bytes, bytes.length, timeUs);
    }
    await writer.close();
    const [first, second] = await Promise.all([replay().ended, replay('--speed', 'full').ended]);
    const printed = first.stdout.trimEnd().split('\n');
    expect(printed.map((line) => JSON.parse(line) as unknown)).toEqual(rows);
    expect(rows).toHaveLength(4999);
    expect(second.stdout).toBe(first.stdout);
  });

  it('takes other columns than those of the recording, and needs some', async () => {
    await write([[5, '\n1,2\n']], {});
    expect((await replay('--columns', 'a,b').ended).stdout).toBe(
      '{"timeUs":5,"values":[1,2],"label":null}\n',
    );
    expect((await replay('--columns', 'a,b', '--label', 'b').ended).stdout).toBe(
      '{"timeUs":5,"values":[1],"label":"2"}\n',
    );
    const { status, stderr } = await replay().ended;
    expect(status).toBe(2);
    expect(stderr).toMatch(/ELOOP_CONFIG: .*expected --columns, since none are kept with this recording/);
  });

  it('plays at the speed of the recording, or n times as fast', async () => {
    await write([
      [0, '\n1,2,a\n'],
      [1_500_000, '3,4,b\n'],
    ]);
    const program = replay('--speed', '1');
    await program.prints(/"a"/);
    const begunMs = performance.now();
    await program.prints(/"b"/);
    expect(performance.now() - begunMs).toBeGreaterThan(1000);
    const fast = replay('--speed', '30');
    await fast.prints(/"a"/);
    const fastMs = performance.now();
    await fast.prints(/"b"/);
    expect(performance.now() - fastMs).toBeLessThan(700);
  });

  it('says where a recording is damaged, and never joins what stood before and after', async () => {
    // Each row lies across two reads: [i, i]. Of two that do not belong together it would be [i, j].
    const reads = Array.from({ length: 40 }, (_, i): Read => [i, `${i - 1},${'l'.repeat(40)}\n${i},`]);
    await write(reads, DESCRIPTION, 1000);
    const path = join(recording, '0000000002.seg');
    truncateSync(path, statSync(path).size - 50);
    const { status, stdout, stderr } = await replay().ended;
    expect(status).toBe(0);
    expect(stderr).toMatch(/0000000002\.seg: cut at byte \d+, \d+ bytes not read: /);
    expect(stderr).toMatch(/torn 2.*; \d+ bytes are missing/s);
    const printed = stdout.trimEnd().split('\n');
    const rows = printed.map((line) => (JSON.parse(line) as { values: [number, number] }).values);
    expect(rows.length).toBeGreaterThan(30);
    expect(rows.length).toBeLessThan(39);
    for (const [x, y] of rows) expect(y).toBe(x);
    expect(rows.at(-1)![0]).toBe(38);
  });

  it('ends quietly when its reader has had enough', async () => {
    await write(
      Array.from({ length: 2000 }, (_, i): Read => [i, `${i},2,on\n`]),
      DESCRIPTION,
    );
    const program = replay();
    program.child.stdout!.once('data', () => program.child.stdout!.destroy());
    const { status, stderr } = await program.ended;
    expect(status).toBe(0);
    expect(stderr).not.toMatch(/Error/);
  });

  it.each([
    [['--speed', '0'], 2, /--speed: expected "full" or a number above 0/],
    [['--speed', 'fast'], 2, /got "fast"/],
    [['--wait', '1s'], 2, /--wait has no meaning with no --pty/],
    [['--pty', '--columns', 'a,b'], 2, /--columns has no meaning with --pty/],
    [['more'], 2, /expected one directory with a recording/],
    [[], 1, /ELOOP_FORMAT: .*expected to read it, got ENOENT/],
    [['--pty'], 1, /ELOOP_FORMAT: .*expected to read it, got ENOENT/],
  ])('refuses %j with status %i', async (args, expected, sentence) => {
    const { status, stderr } = await replay(...args).ended;
    expect(stderr).toMatch(sentence);
    expect(status).toBe(expected);
  });

  it('refuses a file that is no recording', async () => {
    await write(READS);
    writeFileSync(join(recording, '0000000001.seg'), readFileSync(import.meta.filename));
    const { status, stderr } = await replay('--columns', 'a,b').ended;
    expect(status).toBe(0);
    expect(stderr).toMatch(/cut at byte 0, \d+ bytes not read: the file does not begin as a segment/);
  });
});

describe('edgeloop replay into a pty', () => {
  it('gives a second recording the same bytes, and closes the tty at its end', async () => {
    const board = await openPty();
    const sent = Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * 31) & 255));
    const first = record(board.path, recording);
    await first.prints(/Recording/);
    await board.send(sent);
    await first.prints(/200,000 bytes/);
    await board.close();
    expect((await first.ended).status).toBe(3);

    const again = join(folder.path, 'again');
    const player = replay('--pty', '--speed', 'full');
    const [, path] = await player.prints(/^(\/dev\/pts\/\d+)\n/);
    const second = record(path, again);
    const played = await player.ended;
    expect(played.status).toBe(0);
    expect(played.stderr).toMatch(/200,000 bytes played in/);
    expect((await second.ended).status).toBe(3);
    expect(bytesOf(recording).equals(sent)).toBe(true);
    expect(bytesOf(again).equals(sent)).toBe(true);
  });

  it('keeps the pauses of the recording', async () => {
    await write([
      [7_000_000, 'one\n'],
      [7_600_000, 'two\n'],
      [8_200_000, 'three\n'],
    ]);
    const again = join(folder.path, 'again');
    const player = replay('--pty', '--speed', '2');
    const [, path] = await player.prints(/^(\/dev\/pts\/\d+)\n/);
    await record(path, again).ended;
    const times = [...readRecording(again)].flatMap((item) => (item.kind === 'bytes' ? item.timeUs : []));
    expect(times).toHaveLength(3);
    const pausesMs = [times[1] - times[0], times[2] - times[1]].map((us) => us / 1000);
    for (const pauseMs of pausesMs) expect(Math.abs(pauseMs - 300)).toBeLessThan(150);
  });

  it('begins at a line on standard input, or after --wait, though nobody has opened the tty', async () => {
    await write(READS);
    const asked = replay('--pty', '--linger', '50ms');
    await asked.prints(/^\/dev\/pts/);
    asked.child.stdin!.write('\n');
    expect((await asked.ended).stderr).toMatch(/57 bytes played/);
    const waited = await replay('--pty', '--wait', '100ms', '--linger', '50ms').ended;
    expect(waited).toMatchObject({ status: 0, stderr: expect.stringMatching(/^57 bytes played/) as string });
  });

  it('ends at Ctrl-C while it waits and while nobody reads, and leaves no process', async () => {
    await write(Array.from({ length: 40 }, (_, i): Read => [i, 'x'.repeat(60_000)]));
    const waiting = replay('--pty');
    const [, path] = await waiting.prints(/^(\/dev\/pts\/\d+)\n/);
    expect(await waiting.kill('SIGINT')).toMatchObject({ status: 0, signal: null });
    expect(path).toMatch(/pts/);
    const unread = replay('--pty', '--wait', '10ms');
    await unread.prints(/^\/dev\/pts/);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(lives(unread.child.pid!)).toBe(true);
    expect(await unread.kill('SIGTERM')).toMatchObject({ status: 0, signal: null });
  });
});

describe('the pace of a replay', () => {
  it('is that of the recording, divided by the speed', () => {
    const pace = new Pace(4);
    expect(pace.waitMs(10_000_000, 500)).toBe(0);
    expect(pace.waitMs(10_400_000, 500)).toBe(100);
    expect(pace.waitMs(10_400_000, 600)).toBe(0);
    expect(pace.waitMs(10_800_000, 650)).toBe(50);
  });

  it('makes up for a delay, and begins anew at another clock', () => {
    const pace = new Pace(1);
    pace.waitMs(1_000_000, 0);
    expect(pace.waitMs(1_100_000, 150)).toBe(0);
    expect(pace.waitMs(1_200_000, 150)).toBe(50);
    expect(pace.waitMs(5, 400)).toBe(0);
    expect(pace.waitMs(100_005, 400)).toBe(100);
  });

  it('is none at full speed', () => {
    const pace = new Pace(Infinity);
    pace.waitMs(0, 0);
    expect(pace.waitMs(1e12, 0)).toBe(0);
  });
});
