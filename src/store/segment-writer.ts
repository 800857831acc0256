/**
 * Writes segments (FORMAT.md, "Segments").
 *
 *     append ──> buffer being filled ═swap═ buffer being written ──> 0000000001.seg, 0000000002.seg, ...
 *
 * Invariants
 * - `append` copies and never waits: the disk is served by one chain of writes, from the other of two buffers of
 *   fixed size. When both are full the new frame is refused; the caller counts it.
 * - What was appended while a write was on its way goes out with the next one.
 * - A file that was there before is never touched.
 */
import { randomBytes } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';
import { getSystemErrorMessage } from 'node:util';
import { crc32 } from 'node:zlib';
import { EdgeloopError } from '../errors.ts';
import { type Files, type OpenFile, systemFiles } from './files.ts';
import {
  AT,
  CRC_BYTES,
  DESCRIPTION_BYTES_MAX,
  END_PAYLOAD_BYTES,
  FRAME,
  FRAME_HEAD_BYTES,
  HEADER_BYTES,
  MAGIC,
  PAYLOAD_BYTES_MAX,
  VERSION,
  segmentName,
  segmentNumbers,
} from './segments.ts';

const SESSION_BYTES = 16;
const END_FRAME_BYTES = FRAME_HEAD_BYTES + END_PAYLOAD_BYTES + CRC_BYTES;

export interface SegmentWriterOptions {
  /** Made if it is missing. */
  readonly directory: string;
  /** One of STREAM. */
  readonly stream: number;
  /** What the stream is; the first frame of every segment. */
  readonly description: object;
  /** A segment ends before it would grow above this (16 MiB). */
  readonly segmentBytesMax?: number;
  /** Written data is synced when it is this old; Infinity: only when `sync` is called. */
  readonly syncEveryMs?: number;
  /** Size of each of the two buffers. The default holds four seconds of 1 MB/s while a disk stalls. */
  readonly bufferBytes?: number;
  /** Random unless given. [16] */
  readonly session?: Uint8Array;
  readonly files?: Files;
}

/** A place in a buffer from which on the bytes belong to the file of this number. */
interface Start {
  readonly at: number;
  readonly number: number;
}

class FrameBuffer {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  filled = 0;
  starts: Start[] = [];

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }
}

export class SegmentWriter {
  /** Called once, when the disk fails; from then on every frame is refused. */
  onFailure: ((error: EdgeloopError) => void) | undefined;
  /** Bytes that the system has taken, and those of them that it says are on the disk. */
  bytesWritten = 0;
  bytesSynced = 0;

  readonly firstNumber: number;
  readonly #files: Files;
  readonly #directory: string;
  readonly #stream: number;
  readonly #session: Uint8Array;
  readonly #segmentBytesMax: number;
  readonly #syncEveryMs: number;
  #description: Uint8Array;

  #filling: FrameBuffer;
  #writing: FrameBuffer;
  /** Of the segment that is being filled. */
  #number: number;
  #segmentBytes = 0;
  #frames = 0;
  #crc = 0;

  /** Every access to the disk, one after the other. */
  #chain: Promise<void> = Promise.resolve();
  #drainWaits = false;
  #file: OpenFile | undefined;
  /** What is being written, for messages. */
  #path: string;
  #syncTimer: NodeJS.Timeout | undefined;
  #failure: EdgeloopError | undefined;
  #closed = false;

  private constructor(options: SegmentWriterOptions, firstNumber: number) {
    const { segmentBytesMax = 16 * 1024 ** 2, syncEveryMs = 1000, bufferBytes = 4 * 1024 ** 2 } = options;
    this.#files = options.files ?? systemFiles;
    this.#directory = resolve(options.directory);
    this.#path = this.#directory;
    this.#stream = options.stream;
    this.#session = options.session ?? randomBytes(SESSION_BYTES);
    this.#segmentBytesMax = segmentBytesMax;
    this.#syncEveryMs = syncEveryMs;
    this.#description = encodeDescription(options.description);
    this.#filling = new FrameBuffer(bufferBytes);
    this.#writing = new FrameBuffer(bufferBytes);
    this.firstNumber = firstNumber;
    this.#number = firstNumber;
    this.#startSegment();
  }

  /**
   * Begins a session after what the directory holds. Nothing is written before the first frame or `flush`.
   * @throws EdgeloopError ELOOP_STORE if the directory cannot be read
   */
  static async create(options: SegmentWriterOptions): Promise<SegmentWriter> {
    const directory = resolve(options.directory);
    const files = options.files ?? systemFiles;
    const names = await files.list(directory).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return [];
      throw storeError(directory, cause);
    });
    return new SegmentWriter(options, (segmentNumbers(names).at(-1) ?? 0) + 1);
  }

  /**
   * Takes a frame; it is written as soon as the write before it has returned.
   * @param payload copied; up to PAYLOAD_BYTES_MAX
   * @returns whether there was room; false also after a failure
   */
  append(type: number, payload: Uint8Array): boolean {
    if (payload.length > PAYLOAD_BYTES_MAX) throw new RangeError(`frame of ${payload.length} bytes`);
    if (this.#failure !== undefined || this.#closed) return false;
    const frameBytes = frameSize(payload);
    const rolls =
      this.#frames > 1 && this.#segmentBytes + frameBytes + END_FRAME_BYTES > this.#segmentBytesMax;
    const rollBytes = rolls ? END_FRAME_BYTES + HEADER_BYTES + frameSize(this.#description) : 0;
    // There is always room for the end.
    const room = this.#filling.bytes.length - this.#filling.filled - END_FRAME_BYTES;
    if (frameBytes + rollBytes > room) return false;
    if (rolls) {
      this.#endSegment(true);
      this.#number += 1;
      this.#startSegment();
    }
    this.#putFrame(type, payload);
    this.#drainSoon();
    return true;
  }

  /** In hex. */
  get session(): string {
    return Buffer.from(this.#session).toString('hex');
  }

  /** Of the segment that the next frame goes into, unless it does not fit. */
  get number(): number {
    return this.#number;
  }

  /** Bytes of a payload that `append` would take now. */
  get room(): number {
    const overhead = 2 * END_FRAME_BYTES + HEADER_BYTES + frameSize(this.#description);
    const free = this.#filling.bytes.length - this.#filling.filled;
    return Math.max(0, free - overhead - FRAME_HEAD_BYTES - CRC_BYTES);
  }

  /** Says anew what the stream is: now, and at the start of each further segment. @returns as `append` */
  describe(description: object): boolean {
    const encoded = encodeDescription(description);
    if (!this.append(FRAME.description, encoded)) return false;
    this.#description = encoded;
    return true;
  }

  /** @returns when the system has taken everything appended so far. @throws EdgeloopError ELOOP_STORE */
  flush(): Promise<void> {
    return this.#then(() => this.#drain());
  }

  /** @returns when the disk has everything appended so far. @throws EdgeloopError ELOOP_STORE */
  sync(): Promise<void> {
    return this.#then(async () => {
      await this.#drain();
      await this.#syncFile();
    });
  }

  /** Ends the session: everything is written and synced. @throws EdgeloopError ELOOP_STORE if anything is not */
  async close(): Promise<void> {
    if (this.#failure === undefined && !this.#closed) this.#endSegment(false);
    this.#closed = true;
    const written = this.sync();
    await written.catch(() => {});
    clearTimeout(this.#syncTimer);
    await this.#file?.close().catch(() => {}); // synced before, or failed already
    this.#file = undefined;
    return written;
  }

  // --- Filling the buffer

  #startSegment(): void {
    const { bytes, view, starts, filled: start } = this.#filling;
    starts.push({ at: start, number: this.#number });
    bytes.set(Buffer.from(MAGIC, 'latin1'), start + AT.magic);
    view.setUint16(start + AT.version, VERSION, true);
    view.setUint16(start + AT.stream, this.#stream, true);
    view.setUint32(start + AT.number, this.#number, true);
    bytes.set(this.#session, start + AT.session);
    this.#crc = crc32(bytes.subarray(start, start + AT.crc));
    view.setUint32(start + AT.crc, this.#crc, true);
    this.#filling.filled += HEADER_BYTES;
    this.#segmentBytes = HEADER_BYTES;
    this.#frames = 0;
    this.#putFrame(FRAME.description, this.#description);
  }

  #endSegment(goesOn: boolean): void {
    const payload = new Uint8Array(END_PAYLOAD_BYTES);
    const view = new DataView(payload.buffer);
    view.setUint32(0, this.#frames, true);
    view.setUint32(4, goesOn ? 1 : 0, true);
    this.#putFrame(FRAME.end, payload);
  }

  #putFrame(type: number, payload: Uint8Array): void {
    const { bytes, view, filled: start } = this.#filling;
    const end = start + FRAME_HEAD_BYTES + payload.length;
    view.setUint32(start, payload.length, true);
    view.setUint32(start + 4, type, true);
    bytes.set(payload, start + FRAME_HEAD_BYTES);
    this.#crc = crc32(bytes.subarray(start, end), this.#crc);
    view.setUint32(end, this.#crc, true);
    this.#filling.filled = end + CRC_BYTES;
    this.#segmentBytes += frameSize(payload);
    this.#frames += 1;
  }

  // --- Emptying it

  #drainSoon(): void {
    if (this.#drainWaits) return; // it will take this frame along
    this.#drainWaits = true;
    this.flush().catch(() => {}); // reported by onFailure
  }

  /** Appends work to the chain. The first error ends it for good. */
  #then(work: () => Promise<void>): Promise<void> {
    const turn = this.#chain.then(async () => {
      if (this.#failure !== undefined) throw this.#failure;
      try {
        await work();
      } catch (cause) {
        this.#failure = storeError(this.#path, cause);
        this.onFailure?.(this.#failure);
        throw this.#failure;
      }
    });
    this.#chain = turn.catch(() => {});
    return turn;
  }

  async #drain(): Promise<void> {
    this.#drainWaits = false;
    const full = this.#filling;
    if (full.filled === 0) return;
    this.#filling = this.#writing;
    this.#writing = full;
    let from = 0;
    for (const { at, number } of full.starts) {
      await this.#write(full.bytes, from, at);
      await this.#nextFile(number);
      from = at;
    }
    await this.#write(full.bytes, from, full.filled);
    full.filled = 0;
    full.starts = [];
    if (this.#syncEveryMs === Infinity) return;
    this.#syncTimer ??= setTimeout(() => void this.sync().catch(() => {}), this.#syncEveryMs);
  }

  async #write(bytes: Uint8Array, start: number, end: number): Promise<void> {
    for (let from = start; from < end;) {
      const count = await this.#file!.write(bytes, from, end - from);
      from += count;
      this.bytesWritten += count;
    }
  }

  async #nextFile(number: number): Promise<void> {
    if (this.#file !== undefined) {
      await this.#syncFile();
      await this.#file.close();
      this.#file = undefined;
    }
    this.#path = this.#directory;
    const files = this.#files;
    const made = await files.makeDirectory(this.#directory);
    if (made !== undefined) await files.syncDirectory(dirname(made));
    this.#path = join(this.#directory, segmentName(number));
    this.#file = await files.create(this.#path);
    await files.syncDirectory(this.#directory);
  }

  async #syncFile(): Promise<void> {
    clearTimeout(this.#syncTimer);
    this.#syncTimer = undefined;
    if (this.bytesSynced === this.bytesWritten) return;
    await this.#file!.datasync();
    this.bytesSynced = this.bytesWritten;
  }
}

function frameSize(payload: Uint8Array): number {
  return FRAME_HEAD_BYTES + payload.length + CRC_BYTES;
}

function encodeDescription(description: object): Uint8Array {
  const bytes = new TextEncoder().encode(JSON.stringify(description));
  if (bytes.length > DESCRIPTION_BYTES_MAX) throw new RangeError(`description of ${bytes.length} bytes`);
  return bytes;
}

function storeError(path: string, cause: unknown): EdgeloopError {
  const { code, errno, message } = cause as NodeJS.ErrnoException;
  const got =
    code === undefined || errno === undefined ? message : `${code} (${getSystemErrorMessage(errno)})`;
  const remedy =
    code === 'ENOSPC' || code === 'EDQUOT' ? 'Free some space there' : 'See to the directory and the disk';
  const failure = new EdgeloopError(
    'ELOOP_STORE',
    `${path}: expected to write to it, got ${got}. What was written before is kept. ` +
      `${remedy}, or choose another directory.`,
  );
  failure.cause = cause;
  return failure;
}
