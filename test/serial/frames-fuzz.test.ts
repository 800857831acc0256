/**
 * Frames, damaged at random. What is right is decided by the bytes alone: cut the damaged stream at its zeros; a
 * piece is good exactly if it is one of the frames that were sent. $EDGELOOP_FUZZ_COUNT frames (100,000), and
 * $EDGELOOP_FUZZ_SEED.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { mulberry32 } from '../../src/engine/random.ts';
import { FrameEncoder } from '../../src/serial/frame-encoder.ts';
import type { Session } from '../../src/serial/frame-session.ts';
import { FRAME_BYTES_MAX, FrameDecoder } from '../../src/serial/frames.ts';
import { Labels } from '../../src/serial/labels.ts';
import { NO_LABEL } from '../../src/stream/ring.ts';

const COUNT = Number(process.env.EDGELOOP_FUZZ_COUNT ?? 100_000);
const SEED = Number(process.env.EDGELOOP_FUZZ_SEED ?? Date.now() % 1_000_000);
const BATCH_FRAMES = 1000;
const HEAP_GROWTH_BYTES_MAX = 2e6;

const SESSION: Session = {
  rateHz: 100,
  valueType: 'float32',
  hasTime: false,
  labelInBand: true,
  columns: ['a', 'b', 'c'].map((name) => ({ name, unit: '', scale: 1 })),
  classes: ['off', 'on'],
};

const random = mulberry32(SEED);
const below = (limit: number): number => Math.floor(random() * limit);
const noise = (count: number): number[] => Array.from({ length: count }, () => below(256));

const repeat = (byte: number, length: number): number[] => Array.from({ length }, () => byte);

/** Each takes a frame with its end mark and gives what arrives of it. */
const DAMAGE: ((frame: number[]) => number[])[] = [
  (frame) => frame.with(below(frame.length), below(256)),
  (frame) => {
    const at = below(frame.length);
    return frame.with(at, frame[at] ^ (1 << below(8)));
  },
  (frame) => frame.with(below(frame.length), 0),
  (frame) => frame.toSpliced(below(frame.length), 1 + below(6)),
  (frame) => frame.toSpliced(below(frame.length), 0, ...noise(1 + below(6))),
  (frame) => {
    const at = below(frame.length);
    return frame.toSpliced(at, 0, ...frame.slice(at, at + 1 + below(8)));
  },
  (frame) => frame.slice(0, -1), // runs into the next
  (frame) => frame.slice(below(frame.length)),
  (frame) => frame.slice(0, below(frame.length)),
  (frame) => {
    const [one, two] = [below(frame.length), below(frame.length)];
    return frame.with(one, frame[two]).with(two, frame[one]);
  },
  (frame) => [...Buffer.from('boot: ok\r\n'), ...frame],
  (frame) => [...repeat(0, below(40)), ...frame],
  (frame) => [...frame, ...noise(below(60))],
  () => [],
];
/** Seldom, since it is long. */
const FLOOD = (frame: number[]): number[] => [
  ...repeat(1 + below(255), FRAME_BYTES_MAX + below(9)),
  ...frame,
];

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes still in use: what the test itself has thrown away does not count. */
function liveHeapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

interface Sent {
  /** Three values and the label, or undefined for a description. */
  readonly row: string | undefined;
}

it(`no damage to frames gets through, and nothing else is lost: seed ${SEED}, ${COUNT} frames`, () => {
  console.log(`frames fuzz: seed ${SEED}, ${COUNT} frames`);
  const board = new FrameEncoder(SESSION);
  let expected: string[] = [];
  let got: string[] = [];
  const decoder = new FrameDecoder(new Labels([], 2), {
    onRow: (values, label) => got.push(`${values.join()},${label}`),
  });
  const first = board.describe();
  decoder.push(first, first.length, 0);
  let pushed = first.length;
  let [rows, damaged, descriptions] = [0, 0, 1];
  let heapAtStart = 0;
  for (let batch = 0; batch * BATCH_FRAMES < COUNT; batch++) {
    const sent = new Map<string, Sent>();
    const stream: number[] = [];
    for (let index = 0; index < BATCH_FRAMES; index++) {
      const frame = [...next(board, sent)];
      const hurt = random() < 0.5;
      if (hurt) damaged += 1;
      const damage = random() < 0.001 ? FLOOD : DAMAGE[below(DAMAGE.length)];
      stream.push(...(hurt ? damage(frame) : frame));
    }
    stream.push(0); // so that no piece goes on in the next batch, whose frames are others
    descriptions += findGood(stream, sent, expected);
    pushed += stream.length;
    const bytes = Uint8Array.from(stream);
    for (let at = 0; at < bytes.length;) {
      const piece = bytes.subarray(at, at + 1 + below(200));
      decoder.push(piece, piece.length, 0);
      at += piece.length;
    }
    if (got.length !== expected.length || got.join(';') !== expected.join(';')) expect(got).toEqual(expected);
    rows += got.length;
    [expected, got] = [[], []];
    if (batch === 20) heapAtStart = liveHeapBytes();
  }
  const counted = Object.values<number>({ ...decoder.bytes }).reduce((sum, count) => sum + count, 0);
  expect(counted + decoder.pendingBytes).toBe(pushed);
  expect(decoder.taken).toEqual({ data: rows, session: descriptions, label: 0 });
  expect(rows).toBeGreaterThan(COUNT * 0.4);
  const { torn, tooLong, crc } = decoder.dropped;
  for (const count of [torn, tooLong, crc, decoder.lost]) expect(count).toBeGreaterThan(0);
  expect(Object.values<number>({ ...decoder.dropped }).reduce((a, b) => a + b)).toBe(torn + tooLong + crc);
  const grownBytes = liveHeapBytes() - heapAtStart;
  expect(grownBytes).toBeLessThan(HEAP_GROWTH_BYTES_MAX);
  console.log(
    `  ${rows} rows, ${damaged} damaged: ${torn} torn, ${crc} crc, ${tooLong} too long, heap ${grownBytes} bytes`,
  );
}, 600_000);

/** Sends a row, or now and then a description. */
function next(board: FrameEncoder, sent: Map<string, Sent>): Uint8Array {
  const isRow = random() < 0.97;
  board.label = [0, 1, 255][below(3)];
  // Many zeros, and runs without: both matter for stuffing.
  const values = Float32Array.from({ length: 3 }, () => (random() < 0.3 ? below(3) : (random() - 0.5) * 1e3));
  const bytes = isRow ? board.row(values) : board.describe();
  const label = board.label === 255 ? NO_LABEL : board.label;
  sent.set(keyOf(bytes, 0, bytes.length - 1), { row: isRow ? `${values.join()},${label}` : undefined });
  return bytes;
}

/** Appends the rows that must come out of the stream. @returns how many descriptions must */
function findGood(stream: number[], sent: Map<string, Sent>, rows: string[]): number {
  let descriptions = 0;
  for (let start = 0, end = 0; end < stream.length; end++) {
    if (stream[end] !== 0) continue;
    const known = end - start < 200 ? sent.get(keyOf(stream, start, end)) : undefined;
    if (known?.row !== undefined) rows.push(known.row);
    else if (known !== undefined) descriptions += 1;
    start = end + 1;
  }
  return descriptions;
}

function keyOf(bytes: ArrayLike<number>, start: number, end: number): string {
  let key = '';
  for (let at = start; at < end; at++) key += String.fromCharCode(bytes[at]);
  return key;
}
