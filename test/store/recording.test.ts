import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EdgeloopError } from '../../src/errors.ts';
import {
  type RecordingOptions,
  RecordingWriter,
  describeRecording,
  readRecording,
} from '../../src/store/recording.ts';
import { SegmentWriter } from '../../src/store/segment-writer.ts';
import { FRAME, STREAM } from '../../src/store/segments.ts';
import { readVarint, writeVarint } from '../../src/store/varint.ts';

let directory: string;
let recordingPath: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'edgeloop-recording-'));
  recordingPath = join(directory, 'recording');
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true });
});

const create = (options: Partial<RecordingOptions> = {}): Promise<RecordingWriter> =>
  RecordingWriter.create({ directory: recordingPath, description: {}, ...options });

type Read = readonly [timeUs: number, text: string];

async function write(reads: readonly Read[], options: Partial<RecordingOptions> = {}): Promise<void> {
  const recording = await create(options);
  for (const [timeUs, text] of reads) recording.take(Buffer.from(text), Buffer.byteLength(text), timeUs);
  await recording.close();
}

/** Reads, and "gap N" and "cut" where they stand among them. */
function readAll(): (Read | string)[] {
  return [...simplified()];
}

function* simplified(): Generator<Read | string> {
  for (const item of readRecording(recordingPath)) {
    if (item.kind === 'bytes') yield [item.timeUs, Buffer.from(item.bytes).toString('latin1')];
    if (item.kind === 'gap') yield `gap ${item.bytes}`;
    if (item.kind === 'cut') yield 'cut';
  }
}

const READS: readonly Read[] = [
  [1_000_000, '0.5,1'],
  [1_000_000, '.5\n'],
  [1_001_003, '\0ÿ'],
  [8_000_000_000_000, 'x'.repeat(150)],
];
const READS_LATIN1 = READS.map(([timeUs, text]) => [timeUs, Buffer.from(text).toString('latin1')]);

describe('a recording', () => {
  it('gives back every read with its bytes and its time', async () => {
    await write(READS);
    expect(readAll()).toEqual(READS_LATIN1);
  });

  it('takes a buffer that is used again, and the longest read of a port', async () => {
    const buffer = new Uint8Array(65_536).fill(1);
    const recording = await create();
    recording.take(buffer, 65_536, 5);
    recording.take(buffer.fill(2), 3, 6);
    buffer.fill(3);
    await recording.close();
    expect(readAll()).toEqual([
      [5, '\x01'.repeat(65_536)],
      [6, '\x02\x02\x02'],
    ]);
    expect(() => recording.take(buffer, 1, 5)).toThrow(RangeError);
  });

  it('goes over many segments without a seam', async () => {
    const reads = Array.from({ length: 3000 }, (_, index): Read => [index * 1000, `${index},`.repeat(60)]);
    await write(reads, { segmentBytesMax: 1000 });
    expect(readdirSync(recordingPath).length).toBeGreaterThan(3);
    expect(readAll()).toEqual(reads);
  });

  it('keeps what the stream is, and passes over what it does not know', async () => {
    const known = {
      port: '/dev/ttyACM0',
      baudRate: 9600,
      columns: ['x', 'y'],
      label: 'y',
      time: 'x',
      timeUnit: 'us',
      format: 'numbers',
    };
    await write(READS, { description: { ...known, startedAt: 7, more: [1] } as never });
    expect(describeRecording(recordingPath)).toEqual(known);
  });

  it('takes the newest description, once the stream has been recognised', async () => {
    const recording = await create();
    recording.take(Buffer.from('1'), 1, 1);
    recording.describe({ format: 'numbers', columns: ['a'] });
    recording.take(Buffer.from('2'), 1, 2);
    await recording.close();
    expect(describeRecording(recordingPath)).toEqual({ format: 'numbers', columns: ['a'] });
    expect(readAll()).toEqual([
      [1, '1'],
      [2, '2'],
    ]);
  });

  it('does not mix with another one, and leaves no file when nothing came', async () => {
    await write(READS);
    await expect(create()).rejects.toThrow(/expected a directory without a recording/);
    rmSync(recordingPath, { recursive: true });
    await create();
    expect(readdirSync(directory)).toEqual([]);
  });

  it('is private', async () => {
    await write(READS);
    expect(statSync(recordingPath).mode & 0o777).toBe(0o700);
    expect(statSync(join(recordingPath, '0000000001.seg')).mode & 0o777).toBe(0o600);
  });

  it('counts what a slow disk leaves no room for, and says where it is missing', async () => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const { open } = fs;
    vi.spyOn(fs, 'open').mockImplementation((path, flags, mode) => held.then(() => open(path, flags, mode)));
    const recording = await create({ bufferBytes: 300_000 });
    const text = 'y'.repeat(60_000);
    for (let index = 0; index < 10; index++) recording.take(Buffer.from(text), text.length, index);
    expect(recording.bytesLost).toBeGreaterThan(0);
    release();
    await recording.flush();
    recording.take(Buffer.from('at last'), 7, 100);
    await recording.close();
    const items = readAll();
    expect(items.at(-1)).toEqual([100, 'at last']);
    expect(items.at(-2)).toBe(`gap ${recording.bytesLost}`);
    expect(recording.bytesSeen).toBe(600_007);
    const kept = items.filter((item) => typeof item !== 'string').map(([, part]) => part.length);
    expect(kept.reduce((sum, length) => sum + length, 0) + recording.bytesLost).toBe(600_007);
  });

  it('tells of a loss at its very end', async () => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const { open } = fs;
    vi.spyOn(fs, 'open').mockImplementation((path, flags, mode) => held.then(() => open(path, flags, mode)));
    const recording = await create({ bufferBytes: 200_000 });
    for (let index = 0; index < 4; index++) recording.take(new Uint8Array(65_000), 65_000, index);
    const closed = recording.close();
    release();
    await closed;
    expect(recording.bytesLost).toBeGreaterThan(0);
    expect(readAll().at(-1)).toBe(`gap ${recording.bytesLost}`);
  });
});

const writeWhole = async (): Promise<[path: string, bytes: Buffer]> => {
  const recording = await create();
  for (const [timeUs, text] of READS) {
    recording.take(Buffer.from(text), Buffer.byteLength(text), timeUs);
    await recording.flush(); // a frame for each
  }
  await recording.close();
  const path = join(recordingPath, '0000000001.seg');
  return [path, readFileSync(path)];
};

const expectPrefixAndCut = (): void => {
  const items = readAll();
  expect(items.pop()).toBe('cut');
  expect(items).toEqual(READS_LATIN1.slice(0, items.length));
};

/** A payload of type `bytes`. @param numbers varints of one read */
function batch(before: number, timeUs: number, numbers: readonly number[], text: string): Uint8Array {
  const bytes = new Uint8Array(100);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(before), true);
  view.setBigUint64(8, BigInt(timeUs), true);
  let at = 16;
  for (const number of numbers) at = writeVarint(bytes, at, number);
  bytes.set(Buffer.from(text, 'latin1'), at);
  return bytes.subarray(0, at + text.length);
}

describe('a damaged recording', () => {
  it('cut short anywhere gives its first reads, and says that it was cut', async () => {
    const [path, bytes] = await writeWhole();
    for (let size = bytes.length - 1; size >= 0; size--) {
      truncateSync(path, size);
      expectPrefixAndCut();
    }
  });

  it('with any one bit changed gives its first reads, and says that it was cut', async () => {
    const [path, bytes] = await writeWhole();
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] ^= 1 << (bit & 7);
      writeFileSync(path, changed);
      expectPrefixAndCut();
    }
  });

  it('tells how much is missing in its middle', async () => {
    const reads = Array.from({ length: 60 }, (_, index): Read => [index, 'z'.repeat(10_000)]);
    await write(reads, { segmentBytesMax: 1000 });
    const path = join(recordingPath, '0000000002.seg');
    truncateSync(path, statSync(path).size - 30);
    const items = readAll();
    const kept = items.filter((item) => typeof item !== 'string').length;
    expect(items.filter((item) => typeof item === 'string')).toEqual(['cut', `gap ${(60 - kept) * 10_000}`]);
    expect(kept).toBeLessThan(60);
  });

  it('of two sessions has a gap between them', async () => {
    await write([[900, 'one']]);
    const segments = await SegmentWriter.create({
      directory: recordingPath,
      stream: STREAM.recording,
      description: {},
    });
    segments.append(FRAME.bytes, batch(0, 100, [0, 3], 'two'));
    await segments.close();
    expect(readAll()).toEqual([[900, 'one'], 'gap 0', [100, 'two']]);
  });

  it.each<[string, Uint8Array]>([
    ['no head', new Uint8Array(15)],
    ['a place above 2^53', batch(2 ** 60, 0, [0, 1], 'x')],
    ['a time above 2^53', batch(0, 2 ** 60, [0, 1], 'x')],
    ['times that add up to more', batch(0, 2 ** 53 - 1, [1, 1], 'x')],
    ['a length beyond its end', batch(0, 0, [0, 2], 'x')],
    ['half a number', batch(0, 0, [0], '')],
    ['a number without an end', batch(0, 0, [0, 1], 'x\xff\xff\xff\xff\xff\xff\xff\xff\xff')],
  ])('with a good checksum over nonsense is refused: %s', async (_what, payload) => {
    const options = { directory: recordingPath, stream: STREAM.recording, description: {} };
    const segments = await SegmentWriter.create(options);
    segments.append(FRAME.bytes, payload);
    await segments.close();
    expect(readAll).toThrow(EdgeloopError);
    expect(readAll).toThrow(/got a frame that breaks its rules/);
  });

  it.each(['[]', 'null', '{', '7', `{}${' '.repeat(65_535)}`])(
    'whose description is %j is refused',
    async (description) => {
      const options = { directory: recordingPath, stream: STREAM.recording, description: {} };
      const segments = await SegmentWriter.create(options);
      segments.append(FRAME.description, Buffer.from(description));
      await segments.close();
      expect(() => describeRecording(recordingPath)).toThrow(/breaks its rules/);
    },
  );
});

describe('a varint', () => {
  it.each([0, 1, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32 + 5, 2 ** 53 - 1])('holds %i', (value) => {
    const bytes = new Uint8Array(10);
    const end = writeVarint(bytes, 1, value);
    const cursor = { at: 1 };
    expect(readVarint(bytes, cursor, end)).toBe(value);
    expect(cursor.at).toBe(end);
    expect(readVarint(bytes, { at: 1 }, end - 1)).toBeNaN();
  });

  it('above 2^53 - 1 is none', () => {
    expect(readVarint(new Uint8Array(8).fill(0x7f, 7).fill(0xff, 0, 7), { at: 0 }, 8)).toBeNaN();
    expect(readVarint(new Uint8Array(20).fill(0x80), { at: 0 }, 20)).toBeNaN();
  });
});
