/**
 * Segments: an append-only container of checked frames, for a stream that is written as it comes. Layout and
 * promises: FORMAT.md, "Segments". Here are its names and sizes, and the reader: frames up to the first damage of
 * each segment, and a report of what was cut. segment-writer.ts writes them.
 */
import { closeSync, fstatSync, openSync, readSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { EdgeloopError } from '../errors.ts';

export const MAGIC = 'ELOOPSEG';
export const VERSION = 1;
export const HEADER_BYTES = 36;
export const FRAME_HEAD_BYTES = 8;
export const CRC_BYTES = 4;
export const END_PAYLOAD_BYTES = 8;
const NUMBER_MAX = 2 ** 32 - 1;
/** Places in the header. */
export const AT = { magic: 0, version: 8, stream: 10, number: 12, session: 16, crc: 32 } as const;

export const PAYLOAD_BYTES_MAX = 1_048_576;
export const DESCRIPTION_BYTES_MAX = 65_536;

/** What a segment holds. */
export const STREAM = { recording: 1, journal: 2 } as const;

export const FRAME = { description: 1, bytes: 2, records: 3, end: 4, event: 5 } as const;

export interface SegmentHeader {
  readonly version: number;
  /** One of STREAM. */
  readonly stream: number;
  readonly number: number;
  /** In hex. */
  readonly session: string;
}

export function segmentName(number: number): string {
  return `${String(number).padStart(10, '0')}.seg`;
}

/** @returns the numbers of the segments in a directory, ascending */
export function segmentNumbers(names: readonly string[]): number[] {
  return names
    .map((name) => Number(/^(\d{10})\.seg$/.exec(name)?.[1] ?? 0))
    .filter((number) => number > 0 && number <= NUMBER_MAX)
    .sort((a, b) => a - b);
}

// --- Reading ---------------------------------------------------------------------------------------------------

/** What is not read of a segment, and why. */
export interface Cut {
  readonly path: string;
  /** The first byte that was not taken. */
  readonly offset: number;
  /** From there to the end of the file; 0 if only the end frame is missing. */
  readonly bytes: number;
  /** A half sentence: "a frame fails its checksum". */
  readonly reason: string;
}

export type SegmentItem =
  | { readonly kind: 'segment'; readonly header: SegmentHeader }
  /** `payload` is valid until the next item is asked for. */
  | { readonly kind: 'frame'; readonly type: number; readonly payload: Uint8Array }
  | { readonly kind: 'cut'; readonly cut: Cut };

export class SegmentReader {
  readonly directory: string;
  readonly #stream: number;
  readonly #numbers: readonly number[];

  /**
   * Looks for segments; those made later are not read.
   * @param stream one of STREAM
   * @param numbers those to read, ascending; all that are there unless given
   * @throws EdgeloopError ELOOP_FORMAT if there are none
   */
  constructor(directory: string, stream: number, numbers?: readonly number[]) {
    this.directory = directory;
    this.#stream = stream;
    this.#numbers = numbers ?? segmentNumbers(reading(directory, () => readdirSync(directory)));
    if (this.#numbers.length === 0) {
      throw formatError(directory, 'expected segments (0000000001.seg, ...), got none. Check the path.');
    }
  }

  /**
   * Everything that can be read, in order, in constant memory; damage comes as a `cut` at its place.
   * @throws EdgeloopError ELOOP_FORMAT for a version or a kind of stream that is not known
   */
  *read(): Generator<SegmentItem, void, void> {
    const buffer = new Uint8Array(FRAME_HEAD_BYTES + PAYLOAD_BYTES_MAX + CRC_BYTES);
    let session: string | undefined;
    let expected = this.#numbers[0];
    for (const number of this.#numbers) {
      if (number !== expected) yield this.#missing(expected, number - 1);
      session = yield* this.#readSegment(number, buffer, session);
      expected = number + 1;
    }
    if (session !== undefined) yield this.#missing(expected, expected);
  }

  /**
   * @param due the session that the segment before said would go on in this one
   * @returns the session, if the segment says that it goes on in the next one
   */
  *#readSegment(
    number: number,
    buffer: Uint8Array,
    due: string | undefined,
  ): Generator<SegmentItem, string | undefined, void> {
    const path = join(this.directory, segmentName(number));
    const source = new Source(path, buffer);
    try {
      const cut = (reason: string): SegmentItem => ({
        kind: 'cut',
        cut: { path, offset: source.offset, bytes: source.size() - source.offset, reason },
      });
      const header = takeHeader(source, number);
      if (typeof header === 'string') {
        yield cut(header);
        return undefined;
      }
      this.#requireKnown(path, header);
      if (due !== undefined && due !== header.session) {
        yield cut('the session of the segment before should go on here, and another one begins');
      }
      yield { kind: 'segment', header };
      for (let frames = 0; ; frames++) {
        const frame = takeFrame(source);
        if (typeof frame === 'string') {
          yield cut(frame);
          return undefined;
        }
        if (frame.type !== FRAME.end) {
          yield { kind: 'frame', ...frame };
          continue;
        }
        const end = readEnd(frame.payload);
        if (end.frames !== frames)
          yield cut(`the end frame counts ${end.frames} frames, there are ${frames}`);
        else if (source.has(1)) yield cut('something follows the end frame');
        return end.goesOn ? header.session : undefined;
      }
    } finally {
      source.close();
    }
  }

  #requireKnown(path: string, { version, stream }: SegmentHeader): void {
    if (version !== VERSION) {
      const remedy = 'Read it with the edgeloop that wrote it, or a newer one.';
      throw formatError(path, `expected segments of version ${VERSION}, got version ${version}. ${remedy}`);
    }
    if (stream === this.#stream) return;
    const [expected, got] = [nameOf(this.#stream), nameOf(stream)];
    throw formatError(path, `expected a ${expected}, got a ${got}. Choose another directory.`);
  }

  #missing(first: number, last: number): SegmentItem {
    const path = join(this.directory, segmentName(first));
    const reason = first === last ? 'the segment is missing' : `all up to ${segmentName(last)} are missing`;
    return { kind: 'cut', cut: { path, offset: 0, bytes: 0, reason } };
  }
}

/** @returns the header, or why there is none */
function takeHeader(source: Source, number: number): SegmentHeader | string {
  if (!source.has(HEADER_BYTES)) return 'the file ends within its header';
  const { bytes, view, start } = source;
  if (Buffer.from(bytes.subarray(start, start + MAGIC.length)).toString('latin1') !== MAGIC) {
    return 'the file does not begin as a segment';
  }
  const crc = crc32(bytes.subarray(start, start + AT.crc));
  if (crc !== view.getUint32(start + AT.crc, true)) return 'the header fails its checksum';
  const header: SegmentHeader = {
    version: view.getUint16(start + AT.version, true),
    stream: view.getUint16(start + AT.stream, true),
    number: view.getUint32(start + AT.number, true),
    session: Buffer.from(bytes.subarray(start + AT.session, start + AT.crc)).toString('hex'),
  };
  if (header.number !== number) return `the file says that it is ${segmentName(header.number)}`;
  source.take(HEADER_BYTES, crc);
  return header;
}

/** @returns a view of the next frame, or why there is none */
function takeFrame(source: Source): { type: number; payload: Uint8Array } | string {
  if (!source.has(1)) return 'the end frame is missing: the writer was stopped, or is still writing';
  if (!source.has(FRAME_HEAD_BYTES)) return 'the file ends within a frame';
  const payloadBytes = source.view.getUint32(source.start, true);
  if (payloadBytes > PAYLOAD_BYTES_MAX) return 'a frame says that it is longer than any can be';
  const size = FRAME_HEAD_BYTES + payloadBytes + CRC_BYTES;
  if (!source.has(size)) return 'the file ends within a frame';
  const { bytes, view, start } = source;
  const end = start + size - CRC_BYTES;
  const crc = crc32(bytes.subarray(start, end), source.crc);
  if (crc !== view.getUint32(end, true)) return 'a frame fails its checksum';
  const type = view.getUint32(start + 4, true);
  if (type === FRAME.end && payloadBytes !== END_PAYLOAD_BYTES) return 'an end frame has the wrong size';
  source.take(size, crc);
  return { type, payload: bytes.subarray(start + FRAME_HEAD_BYTES, end) };
}

function readEnd(payload: Uint8Array): { frames: number; goesOn: boolean } {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  return { frames: view.getUint32(0, true), goesOn: view.getUint32(4, true) !== 0 };
}

/** A window on a file: bytes[start..end) are there and not yet taken. */
class Source {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  start = 0;
  /** Place in the file of bytes[start]. */
  offset = 0;
  /** Of everything taken so far but the checksums. */
  crc = 0;
  readonly #path: string;
  readonly #file: number;
  #end = 0;

  constructor(path: string, buffer: Uint8Array) {
    this.#path = path;
    this.#file = reading(path, () => openSync(path, 'r'));
    this.bytes = buffer;
    this.view = new DataView(buffer.buffer);
  }

  size(): number {
    return fstatSync(this.#file).size;
  }

  close(): void {
    closeSync(this.#file);
  }

  /** @returns whether the file has so many bytes more; then they are in the window */
  has(count: number): boolean {
    if (this.#end - this.start >= count) return true;
    this.bytes.copyWithin(0, this.start, this.#end);
    this.#end -= this.start;
    this.start = 0;
    while (this.#end < count) {
      const room = this.bytes.length - this.#end;
      const got = reading(this.#path, () => readSync(this.#file, this.bytes, this.#end, room, null));
      if (got === 0) return false;
      this.#end += got;
    }
    return true;
  }

  take(count: number, crc: number): void {
    this.start += count;
    this.offset += count;
    this.crc = crc;
  }
}

/** @throws EdgeloopError ELOOP_FORMAT if the system refuses */
function reading<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw formatError(path, `expected to read it, got ${code}. Check the path, its rights and the disk.`);
  }
}

function nameOf(stream: number): string {
  return Object.entries(STREAM).find(([, value]) => value === stream)?.[0] ?? `stream of kind ${stream}`;
}

export function formatError(path: string, sentence: string): EdgeloopError {
  return new EdgeloopError('ELOOP_FORMAT', `${path}: ${sentence}`);
}
