/**
 * Recordings: what a port gave, byte for byte, with the time of each read, in segments. Layout: FORMAT.md,
 * "Segments".
 */
import { EdgeloopError } from '../errors.ts';
import { SegmentWriter } from './segment-writer.ts';
import { type Cut, DESCRIPTION_BYTES_MAX, FRAME, STREAM, SegmentReader, formatError } from './segments.ts';
import { VARINT_BYTES_MAX, readUint64, readVarint, writeUint64, writeVarint } from './varint.ts';

/** What was recorded. Keys that are not known are missing. */
export interface StreamDescription {
  readonly port?: string;
  readonly baudRate?: number;
  /** Wall time, ISO 8601, for people. */
  readonly startedAt?: string;
  /** What was recognised, a dialect's name. */
  readonly format?: string;
  /** Names of the columns in order, the label's among them. */
  readonly columns?: readonly string[];
  /** Which of the columns holds the class. */
  readonly label?: string;
  /** Which of the columns holds the board's clock, and what it counts. */
  readonly time?: string;
  readonly timeUnit?: string;
  /** Between cells, and where the columns stand in text: as in the config. */
  readonly separator?: string;
  readonly pattern?: string;
}

const BATCH_HEAD_BYTES = 16;
const BATCH_BYTES_MAX = 131_072;

/** What a crash of the program may cost. */
const BATCH_MS = 50;

export interface RecordingOptions {
  readonly directory: string;
  readonly description: StreamDescription;
  readonly segmentBytesMax?: number;
  readonly syncEveryMs?: number;
  readonly bufferBytes?: number;
}

export class RecordingWriter {
  /** Bytes of the port so far, and those of them that found no room since the disk did not keep up. */
  bytesSeen = 0;
  bytesLost = 0;

  readonly #segments: SegmentWriter;
  readonly #batch = new Uint8Array(BATCH_BYTES_MAX);
  readonly #view = new DataView(this.#batch.buffer);
  #batchEnd = BATCH_HEAD_BYTES;
  #batchFirst = 0;
  #lastTimeUs = 0;
  /** Where the last batch ended that found room. */
  #keptEnd = 0;
  #timer: NodeJS.Timeout | undefined;

  private constructor(segments: SegmentWriter) {
    this.#segments = segments;
  }

  /**
   * Begins a recording. Nothing is written before the first bytes or `flush`.
   * @throws EdgeloopError ELOOP_STORE if the directory has a recording, or cannot be read
   */
  static async create(options: RecordingOptions): Promise<RecordingWriter> {
    const segments = await SegmentWriter.create({ ...options, stream: STREAM.recording });
    if (segments.firstNumber > 1) {
      throw new EdgeloopError(
        'ELOOP_STORE',
        `${options.directory}: expected a directory without a recording, got one that has segments. Choose another.`,
      );
    }
    return new RecordingWriter(segments);
  }

  /** Called once, when the disk fails. */
  set onFailure(callback: (error: EdgeloopError) => void) {
    this.#segments.onFailure = callback;
  }

  /** Bytes of the files so far. */
  get bytesWritten(): number {
    return this.#segments.bytesWritten;
  }

  /**
   * Keeps bytes[0..count) as one read; copied.
   * @param timeUs monotonic, whole microseconds, never less than before
   */
  take(bytes: Uint8Array, count: number, timeUs: number): void {
    const needed = count + 2 * VARINT_BYTES_MAX;
    if (needed > BATCH_BYTES_MAX - BATCH_HEAD_BYTES) throw new RangeError(`a read of ${count} bytes`);
    if (!(timeUs >= this.#lastTimeUs)) throw new RangeError(`time ${timeUs} after ${this.#lastTimeUs}`);
    if (this.#batchEnd + needed > BATCH_BYTES_MAX) this.#seal();
    const batch = this.#batch;
    if (this.#batchEnd === BATCH_HEAD_BYTES) {
      this.#batchFirst = this.bytesSeen;
      this.#lastTimeUs = timeUs;
      writeUint64(this.#view, 8, timeUs);
    }
    let at = writeVarint(batch, this.#batchEnd, timeUs - this.#lastTimeUs);
    at = writeVarint(batch, at, count);
    batch.set(count === bytes.length ? bytes : bytes.subarray(0, count), at);
    this.#batchEnd = at + count;
    this.#lastTimeUs = timeUs;
    this.bytesSeen += count;
    this.#timer ??= setTimeout(() => this.#seal(), BATCH_MS);
  }

  /** @returns when the system has taken all. @throws EdgeloopError ELOOP_STORE */
  flush(): Promise<void> {
    this.#seal();
    return this.#segments.flush();
  }

  /** Says anew what the stream is, once it has been recognised. */
  describe(description: StreamDescription): void {
    this.#seal();
    this.#segments.describe(description);
  }

  /** Ends the recording; all is on the disk. @throws EdgeloopError ELOOP_STORE if it is not */
  async close(): Promise<void> {
    this.#seal();
    if (this.#keptEnd < this.bytesSeen) {
      await this.#segments.flush().catch(() => {}); // closing reports it
      this.#batchFirst = this.bytesSeen; // an empty batch whose place tells what is missing
      this.#append();
    }
    await this.#segments.close();
  }

  #seal(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#batchEnd > BATCH_HEAD_BYTES) this.#append();
  }

  #append(): void {
    writeUint64(this.#view, 0, this.#batchFirst);
    const kept = this.#segments.append(FRAME.bytes, this.#batch.subarray(0, this.#batchEnd));
    if (kept) this.#keptEnd = this.bytesSeen;
    else this.bytesLost += this.bytesSeen - this.#batchFirst;
    this.#batchEnd = BATCH_HEAD_BYTES;
  }
}

// --- Reading ---------------------------------------------------------------------------------------------------

export type RecordingItem =
  | { readonly kind: 'description'; readonly description: StreamDescription }
  /** One read of the port; `bytes` is valid until the next item is asked for. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly timeUs: number }
  /** Bytes are missing here; what follows may begin in mid-line. */
  | { readonly kind: 'gap'; readonly bytes: number }
  | { readonly kind: 'cut'; readonly cut: Cut };

/**
 * A recording from beginning to end, in constant memory.
 * @throws EdgeloopError ELOOP_FORMAT if there is none, or it is not one that can be read
 */
export function* readRecording(directory: string): Generator<RecordingItem, void, void> {
  let bytesSeen = 0;
  let session: string | undefined;
  for (const item of new SegmentReader(directory, STREAM.recording).read()) {
    if (item.kind === 'cut') yield item;
    else if (item.kind === 'segment') {
      // Nothing is known of what came between two sessions.
      if (session !== undefined && session !== item.header.session) yield { kind: 'gap', bytes: 0 };
      if (session !== item.header.session) bytesSeen = 0;
      session = item.header.session;
    } else if (item.type === FRAME.description) {
      yield { kind: 'description', description: parseDescription(directory, item.payload) };
    } else if (item.type === FRAME.bytes) {
      bytesSeen = yield* readBatch(directory, item.payload, bytesSeen);
    }
  }
}

/** @returns what the first segment that can be read says of the stream in the end */
export function describeRecording(directory: string): StreamDescription {
  let description: StreamDescription = {};
  let segments = 0;
  for (const item of new SegmentReader(directory, STREAM.recording).read()) {
    if (item.kind === 'segment' && ++segments === 2) break;
    if (item.kind === 'frame' && item.type === FRAME.description) {
      description = parseDescription(directory, item.payload);
    }
  }
  return description;
}

function* readBatch(
  directory: string,
  payload: Uint8Array,
  bytesSeen: number,
): Generator<RecordingItem, number, void> {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  if (payload.length < BATCH_HEAD_BYTES) throw malformed(directory);
  const first = readUint64(view, 0);
  let timeUs = readUint64(view, 8);
  if (!(first >= bytesSeen && timeUs >= 0)) throw malformed(directory);
  if (first > bytesSeen) yield { kind: 'gap', bytes: first - bytesSeen };
  let seen = first;
  const cursor = { at: BATCH_HEAD_BYTES };
  while (cursor.at < payload.length) {
    timeUs += readVarint(payload, cursor, payload.length);
    const end = readVarint(payload, cursor, payload.length) + cursor.at;
    if (!(end <= payload.length && timeUs <= Number.MAX_SAFE_INTEGER)) throw malformed(directory);
    yield { kind: 'bytes', bytes: payload.subarray(cursor.at, end), timeUs };
    seen += end - cursor.at;
    cursor.at = end;
  }
  return seen;
}

/** Takes of a description what has the right type; the rest is as if it were missing. */
function parseDescription(directory: string, payload: Uint8Array): StreamDescription {
  if (payload.length > DESCRIPTION_BYTES_MAX) throw malformed(directory);
  let found: unknown;
  try {
    found = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch {
    throw malformed(directory);
  }
  if (typeof found !== 'object' || found === null || Array.isArray(found)) throw malformed(directory);
  const description: { -readonly [key in keyof StreamDescription]: StreamDescription[key] } = {};
  const { port, baudRate, startedAt, format, columns, label, time, timeUnit, separator, pattern } =
    found as Record<string, unknown>;
  if (typeof port === 'string') description.port = port;
  if (typeof baudRate === 'number') description.baudRate = baudRate;
  if (typeof startedAt === 'string') description.startedAt = startedAt;
  if (typeof format === 'string') description.format = format;
  if (Array.isArray(columns) && columns.every((name) => typeof name === 'string'))
    description.columns = columns;
  if (typeof label === 'string') description.label = label;
  if (typeof time === 'string') description.time = time;
  if (typeof timeUnit === 'string') description.timeUnit = timeUnit;
  if (typeof separator === 'string') description.separator = separator;
  if (typeof pattern === 'string') description.pattern = pattern;
  return description;
}

/** The checksum is right and the content is not: it was not our writer. */
function malformed(directory: string): EdgeloopError {
  return formatError(
    directory,
    'expected a recording as FORMAT.md describes it, got a frame that breaks its rules. Record anew.',
  );
}
