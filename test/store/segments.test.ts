import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import fs, { type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EdgeloopError } from '../../src/errors.ts';
import { SegmentWriter, type SegmentWriterOptions } from '../../src/store/segment-writer.ts';
import { type Cut, FRAME, PAYLOAD_BYTES_MAX, STREAM, SegmentReader } from '../../src/store/segments.ts';

const SPEC = new URL('../../FORMAT.md', import.meta.url);
const SESSION = new Uint8Array(16).fill(0xaa);

let directory: string;
beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), 'edgeloop-segments-'))));
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true });
});

const create = (options: Partial<SegmentWriterOptions> = {}): Promise<SegmentWriter> =>
  SegmentWriter.create({
    directory,
    stream: STREAM.recording,
    description: {},
    session: SESSION,
    ...options,
  });

async function writeFrames(payloads: readonly string[], options: Partial<SegmentWriterOptions> = {}) {
  const writer = await create(options);
  for (const payload of payloads) expect(writer.append(FRAME.bytes, Buffer.from(payload))).toBe(true);
  await writer.close();
}

interface Content {
  /** Of type `bytes`. */
  frames: string[];
  descriptions: string[];
  numbers: number[];
  cuts: Cut[];
}

function readAll(stream: number = STREAM.recording): Content {
  const content: Content = { frames: [], descriptions: [], numbers: [], cuts: [] };
  for (const item of new SegmentReader(directory, stream).read()) {
    if (item.kind === 'cut') content.cuts.push(item.cut);
    else if (item.kind === 'segment') content.numbers.push(item.header.number);
    else {
      const payload = Buffer.from(item.payload).toString('latin1');
      (item.type === FRAME.description ? content.descriptions : content.frames).push(payload);
    }
  }
  return content;
}

const file = (number: number): string => join(directory, `${String(number).padStart(10, '0')}.seg`);

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof EdgeloopError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error('expected an error');
}

describe('segments', () => {
  it('are written byte for byte as the example of FORMAT.md', async () => {
    const example = /### Example[\s\S]*?```\n([\s\S]*?)```/.exec(readFileSync(SPEC, 'utf8'))![1];
    const expected = example
      .trimEnd()
      .split('\n')
      .map((line) => line.slice(10, 58).replaceAll(' ', ''))
      .join('');
    await writeFrames([`${'\0'.repeat(8)}\x40\x42\x0f${'\0'.repeat(5)}\0\x04${'1,2\n'}`]);
    expect(readFileSync(file(1)).toString('hex')).toBe(expected);
  });

  it('give back every frame in order, over as many files as the size limit asks for', async () => {
    const payloads = Array.from({ length: 200 }, (_, index) => `payload ${index} ${'x'.repeat(index)}`);
    await writeFrames(payloads, { segmentBytesMax: 2000, description: { port: 'p' } });
    const { frames, descriptions, numbers, cuts } = readAll();
    expect(frames).toEqual(payloads);
    expect(cuts).toEqual([]);
    expect(numbers.length).toBeGreaterThan(10);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    expect(descriptions).toEqual(numbers.map(() => '{"port":"p"}'));
    const names = readdirSync(directory).toSorted();
    expect(names[0]).toBe('0000000001.seg');
    for (const name of names) {
      const { size, mode } = statSync(join(directory, name));
      expect(size).toBeLessThanOrEqual(2000);
      expect(mode & 0o777).toBe(0o600);
    }
  });

  it('hold a frame that is longer than a whole segment may be, alone', async () => {
    const long = 'y'.repeat(PAYLOAD_BYTES_MAX);
    await writeFrames(['a', long, 'b'], { segmentBytesMax: 500 });
    expect(readAll()).toMatchObject({ frames: ['a', long, 'b'], numbers: [1, 2, 3], cuts: [] });
    const writer = await create();
    expect(() => writer.append(FRAME.bytes, new Uint8Array(PAYLOAD_BYTES_MAX + 1))).toThrow(RangeError);
  });

  it('repeat the newest description', async () => {
    const writer = await create({ segmentBytesMax: 200 });
    writer.append(FRAME.bytes, Buffer.from('a'));
    writer.describe({ format: 'numbers' });
    writer.append(FRAME.bytes, Buffer.alloc(100, 'b'));
    await writer.close();
    expect(readAll().descriptions).toEqual(['{}', '{"format":"numbers"}', '{"format":"numbers"}']);
  });

  it('of an earlier session are left alone; a new one begins after them', async () => {
    await writeFrames(['old']);
    const before = readFileSync(file(1));
    await writeFrames(['new'], { session: new Uint8Array(16) });
    expect(readFileSync(file(1))).toEqual(before);
    expect(readAll()).toMatchObject({ frames: ['old', 'new'], numbers: [1, 2], cuts: [] });
  });

  it('of another kind or version are refused in a sentence', async () => {
    await writeFrames(['a'], { stream: STREAM.journal });
    expect(codeOf(() => readAll())).toMatch(/^ELOOP_FORMAT: .*expected a recording, got a journal/);
    const bytes = readFileSync(file(1));
    bytes.writeUInt16LE(2, 8);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 32)), 32);
    writeFileSync(file(1), bytes);
    expect(codeOf(() => readAll())).toMatch(
      /^ELOOP_FORMAT: .*expected segments of version 1, got version 2\./,
    );
    rmSync(file(1));
    expect(codeOf(() => readAll())).toMatch(/^ELOOP_FORMAT: .*expected segments .*, got none/);
    expect(codeOf(() => new SegmentReader(join(directory, 'no'), 1))).toMatch(/^ELOOP_FORMAT: .*got ENOENT/);
  });

  it('are read in constant memory', async () => {
    const writer = await create({ bufferBytes: 3 * PAYLOAD_BYTES_MAX });
    const payload = new Uint8Array(PAYLOAD_BYTES_MAX);
    for (let count = 0; count < 48; count++) {
      expect(writer.append(FRAME.bytes, payload)).toBe(true);
      await writer.flush();
    }
    await writer.close();
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    for (const item of new SegmentReader(directory, STREAM.recording).read()) {
      if (item.kind === 'cut') throw new Error(item.cut.reason);
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    expect(most).toBeLessThan(2 * PAYLOAD_BYTES_MAX);
  });
});

describe('a damaged segment', () => {
  const PAYLOADS = ['first', '', 'third, a little longer'];

  function expectFirstFrames({ frames }: Content): void {
    expect(frames).toEqual(PAYLOADS.slice(0, frames.length));
  }

  it('cut short anywhere gives its first frames and says where it was cut', async () => {
    await writeFrames(PAYLOADS);
    const whole = readFileSync(file(1));
    let framesBefore = PAYLOADS.length;
    for (let size = whole.length - 1; size >= 0; size--) {
      truncateSync(file(1), size);
      const content = readAll();
      expectFirstFrames(content);
      expect(content.cuts).toHaveLength(1);
      const { offset, bytes, path } = content.cuts[0];
      expect(offset + bytes).toBe(size);
      expect(path).toBe(file(1));
      expect(content.frames.length).toBeLessThanOrEqual(framesBefore);
      framesBefore = content.frames.length;
    }
    expect(framesBefore).toBe(0);
  });

  it('with any one bit changed gives the frames before it and says where it was cut', async () => {
    await writeFrames(PAYLOADS);
    const whole = readFileSync(file(1));
    for (let bit = 0; bit < 8 * whole.length; bit++) {
      const changed = Buffer.from(whole);
      changed[bit >> 3] ^= 1 << (bit & 7);
      writeFileSync(file(1), changed);
      const content = readAll();
      expectFirstFrames(content);
      expect(content.cuts).toHaveLength(1);
      expect(content.cuts[0].offset).toBeLessThanOrEqual(bit >> 3);
    }
  });

  it('between two others costs its own rest alone', async () => {
    await writeFrames(['a'.repeat(50), 'b'.repeat(50), 'c'.repeat(50)], { segmentBytesMax: 150 });
    const whole = readFileSync(file(2));
    for (let bit = 0; bit < 8 * whole.length; bit++) {
      const changed = Buffer.from(whole);
      changed[bit >> 3] ^= 1 << (bit & 7);
      writeFileSync(file(2), changed);
      const { frames, cuts } = readAll();
      expect(frames[0]).toBe('a'.repeat(50));
      expect(frames.at(-1)).toBe('c'.repeat(50));
      expect(frames.slice(1, -1).every((frame) => frame === 'b'.repeat(50))).toBe(true);
      expect(cuts.map(({ path }) => path)).toEqual([file(2)]);
    }
  });

  it('with many bytes changed never gives a frame that was not written', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`seed ${seed}`);
    let state = seed;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    await writeFrames(PAYLOADS);
    const whole = readFileSync(file(1));
    for (let round = 0; round < 1000; round++) {
      let changed = Buffer.from(whole);
      for (let count = 1 + random(20); count > 0; count--) changed[random(changed.length)] = random(256);
      if (random(3) === 0) changed = changed.subarray(0, random(changed.length));
      if (random(3) === 0) changed = Buffer.concat([changed, whole.subarray(random(whole.length))]);
      writeFileSync(file(1), changed);
      const content = readAll();
      expectFirstFrames(content);
      if (!changed.equals(whole)) expect(content.cuts).toHaveLength(1);
    }
  });

  it('does not take frames that another session left in its place', async () => {
    await writeFrames(['mine', 'mine too']);
    const mine = readFileSync(file(1));
    rmSync(file(1));
    await writeFrames(['yours', 'not mine'], { session: new Uint8Array(16) });
    const yours = readFileSync(file(1));
    const head = mine.length - 20 - 20; // end frame, and the frame before it
    writeFileSync(file(1), Buffer.concat([mine.subarray(0, head), yours.subarray(head + 1)]));
    expect(readAll()).toMatchObject({ frames: ['mine'], cuts: [{ offset: head }] });
  });

  it('whose end frame counts other frames than there are is reported, though every checksum is right', async () => {
    await writeFrames(['a', 'b']);
    const bytes = readFileSync(file(1));
    const end = bytes.length - 20;
    expect(bytes.readUInt32LE(end + 8)).toBe(3);
    bytes.writeUInt32LE(4, end + 8);
    bytes.writeUInt32LE(crc32(bytes.subarray(end, end + 16), bytes.readUInt32LE(end - 4)), end + 16);
    writeFileSync(file(1), bytes);
    const reason = 'the end frame counts 4 frames, there are 3';
    expect(readAll()).toMatchObject({ frames: ['a', 'b'], cuts: [{ reason }] });
  });

  it('is reported when it is missing, renamed, or the session does not go on', async () => {
    const limit = { segmentBytesMax: 150 };
    await writeFrames(['a'.repeat(50), 'b'.repeat(50), 'c'.repeat(50), 'd'.repeat(50)], limit);
    const third = readFileSync(file(3));
    rmSync(file(2));
    rmSync(file(3));
    expect(readAll().cuts).toMatchObject([{ path: file(2), reason: 'all up to 0000000003.seg are missing' }]);
    writeFileSync(file(2), third);
    rmSync(file(4));
    expect(readAll()).toMatchObject({
      numbers: [1],
      cuts: [{ path: file(2), offset: 0, reason: 'the file says that it is 0000000003.seg' }],
    });
    rmSync(file(2));
    expect(readAll().cuts).toMatchObject([{ path: file(2), reason: 'the segment is missing' }]);
    await writeFrames(['e'], { session: new Uint8Array(16) });
    const { frames, cuts } = readAll();
    expect(frames).toEqual(['a'.repeat(50), 'e']);
    expect(cuts[0].reason).toContain('another one begins');
  });
});

/** Lets a test see and change what happens to each file that is opened. */
function onOpen(change: (handle: FileHandle, path: string) => void): void {
  const { open } = fs;
  vi.spyOn(fs, 'open').mockImplementation(async (path, flags, mode) => {
    const handle = await open(path, flags, mode);
    change(handle, String(path));
    return handle;
  });
}

const systemError = (code: string, errno: number): Error => Object.assign(new Error(code), { code, errno });

describe('the segment writer and the disk', () => {
  it('syncs the directory when it makes a file, the data at the interval and at the end', async () => {
    const steps: string[] = [];
    onOpen((handle, path) => {
      const kind = path === directory ? 'directory' : 'file';
      for (const step of ['write', 'sync', 'datasync', 'close'] as const) {
        const call = handle[step].bind(handle) as (...values: unknown[]) => Promise<never>;
        vi.spyOn(handle, step).mockImplementation((...values: unknown[]) => {
          steps.push(`${step} ${kind}`);
          return call(...values);
        });
      }
    });
    const writer = await create({ syncEveryMs: 30 });
    expect(readdirSync(directory)).toEqual([]);
    await writer.flush();
    expect(steps.splice(0)).toEqual(['sync directory', 'close directory', 'write file']);
    writer.append(FRAME.bytes, Buffer.from('a'));
    await writer.flush();
    expect(steps.splice(0)).toEqual(['write file']);
    await sleep(100);
    expect(steps.splice(0)).toEqual(['datasync file']);
    expect(writer.bytesSynced).toBe(writer.bytesWritten);
    writer.append(FRAME.bytes, Buffer.from('b'));
    await writer.close();
    expect(steps).toEqual(['write file', 'datasync file', 'close file']);
    expect(writer.append(FRAME.bytes, Buffer.from('c'))).toBe(false);
    expect(writer.bytesSynced).toBe(statSync(file(1)).size);
  });

  it('refuses a frame when both buffers are full, and keeps every frame it took', async () => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    onOpen((handle) => {
      const write = handle.write.bind(handle) as (...values: unknown[]) => Promise<never>;
      vi.spyOn(handle, 'write').mockImplementation((...values: unknown[]) =>
        held.then(() => write(...values)),
      );
    });
    const writer = await create({ bufferBytes: 4096, segmentBytesMax: 1000 });
    const taken: string[] = [];
    for (let index = 0; index < 300; index++) {
      const payload = `frame ${index} `.padEnd(60, '.');
      if (writer.append(FRAME.bytes, Buffer.from(payload))) taken.push(payload);
      if (index === 20) await sleep(5); // the first write is on its way: both buffers come into play
    }
    expect(taken.length).toBeGreaterThan(60);
    expect(taken.length).toBeLessThan(120);
    release();
    await writer.flush();
    expect(writer.append(FRAME.bytes, Buffer.from('room again'))).toBe(true);
    await writer.close();
    expect(readAll()).toMatchObject({ frames: [...taken, 'room again'], cuts: [] });
  });

  it('keeps room for the end when its buffer is full', async () => {
    const writer = await create({ bufferBytes: 50 + 10 * 13 });
    let taken = 0;
    while (writer.append(FRAME.bytes, Buffer.from('x'))) taken += 1;
    expect(taken).toBe(8);
    await writer.close();
    expect(readAll()).toMatchObject({ frames: Array.from({ length: 8 }, () => 'x'), cuts: [] });
  });

  it('says in a sentence that the disk is full, once, and what was written stays readable', async () => {
    let broken = false;
    onOpen((handle) => {
      const write = handle.write.bind(handle);
      vi.spyOn(handle, 'write').mockImplementation((async (bytes: Uint8Array, from: number, size: number) => {
        if (!broken) return write(bytes, from, size);
        if (size > 5) return write(bytes, from, 5); // as a disk does that has room for five bytes more
        throw systemError('ENOSPC', -28);
      }) as never);
    });
    const writer = await create();
    const failures: EdgeloopError[] = [];
    writer.onFailure = (error) => failures.push(error);
    writer.append(FRAME.bytes, Buffer.from('kept'));
    await writer.flush();
    broken = true;
    writer.append(FRAME.bytes, Buffer.from('lost'));
    await expect(writer.flush()).rejects.toThrow(
      `${file(1)}: expected to write to it, got ENOSPC (no space left on device). ` +
        'What was written before is kept. Free some space there, or choose another directory.',
    );
    expect(writer.append(FRAME.bytes, Buffer.from('refused'))).toBe(false);
    await expect(writer.close()).rejects.toBe(failures[0]);
    expect(failures.map(({ code }) => code)).toEqual(['ELOOP_STORE']);
    const { frames, cuts } = readAll();
    expect(frames).toEqual(['kept']);
    expect(cuts).toHaveLength(1);
  });

  it.each([
    ['EROFS', -30, 'read-only file system'],
    ['EIO', -5, 'i/o error'],
  ])('says so when a sync fails: %s', async (code, errno, words) => {
    onOpen((handle, path) => {
      if (path !== directory) vi.spyOn(handle, 'datasync').mockRejectedValue(systemError(code, errno));
    });
    const writer = await create();
    await expect(writer.sync()).rejects.toThrow(`got ${code} (${words})`);
    await expect(writer.close()).rejects.toThrow(code);
  });

  it('never writes into a file that another writer has made meanwhile', async () => {
    const [one, two] = [await create(), await create()];
    await one.flush();
    await expect(two.flush()).rejects.toThrow(/EEXIST \(file already exists\)/);
    await two.close().catch(() => {});
    await one.close();
    expect(readAll().cuts).toEqual([]);
  });

  it('says so when the directory cannot be made', async () => {
    writeFileSync(join(directory, 'taken'), '');
    await expect(create({ directory: join(directory, 'taken') })).rejects.toThrow(/got ENOTDIR/);
  });
});
