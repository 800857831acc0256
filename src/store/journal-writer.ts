/** One session of the journal, as the keeper writes it: records in batches, events, and which segment holds what. */
import { HEAD_WORDS, RECORD, type RingReader } from '../stream/ring.ts';
import type { EdgeloopError } from '../errors.ts';
import type { Files } from './files.ts';
import type { JournalDescription, StoreEvent } from './journal.ts';
import { RecordBatch } from './records.ts';
import { SegmentWriter } from './segment-writer.ts';
import { FRAME, STREAM } from './segments.ts';

const BATCH_BYTES_MAX = 65_536;
/** An event is a sentence and a few numbers; the details of one that is longer are left out. */
const EVENT_BYTES_MAX = 16_384;

/** A segment and its first record; undefined while it has none. */
export interface SegmentStart {
  readonly number: number;
  first: number | undefined;
  /** Age of the model when it was begun. */
  readonly runSeconds: number;
}

export interface JournalOptions {
  readonly files: Files;
  readonly directory: string;
  readonly segmentBytesMax: number;
  readonly bufferBytes: number;
  /** Values of a row. */
  readonly columns: number;
  /** How long the model has been learning. */
  readonly runSeconds: () => number;
}

export class JournalWriter {
  /** Those of this session. */
  readonly segments: SegmentStart[] = [];
  /** Sequence number of the last record taken. */
  sequence: number;
  readonly #segments: SegmentWriter;
  readonly #batch: RecordBatch;
  readonly #runSeconds: () => number;
  #description: JournalDescription;
  #events = 0;
  #batchFirst: number | undefined;

  private constructor(segments: SegmentWriter, description: JournalDescription, options: JournalOptions) {
    this.#segments = segments;
    this.#description = description;
    this.#runSeconds = options.runSeconds;
    this.sequence = description.firstSequence - 1;
    this.#batch = new RecordBatch(options.columns, batchBytes(options.columns), (payload) => {
      if (!segments.append(FRAME.records, payload)) return; // it has failed, and has said so
      this.#noteSegment();
      this.segments.at(-1)!.first ??= this.#batchFirst!;
      this.#batchFirst = undefined;
    });
    this.#noteSegment();
  }

  /** Called once, when the disk fails. */
  set onFailure(callback: (error: EdgeloopError) => void) {
    this.#segments.onFailure = callback;
  }

  /** Begins a session; it is on the disk on return. @throws EdgeloopError ELOOP_STORE */
  static async create(description: JournalDescription, options: JournalOptions): Promise<JournalWriter> {
    const segments = await SegmentWriter.create({
      ...options,
      stream: STREAM.journal,
      description,
      syncEveryMs: Infinity,
    });
    await segments.sync().catch(async (error: EdgeloopError) => {
      await segments.close().catch(() => {}); // it fails as the sync has
      throw error;
    });
    return new JournalWriter(segments, description, options);
  }

  /** In hex. */
  get session(): string {
    return this.#segments.session;
  }

  /** Bytes that the system has taken. */
  get bytesWritten(): number {
    return this.#segments.bytesWritten;
  }

  /** Whether the disk is so far behind that the next records would find no room. */
  get isFull(): boolean {
    return this.#segments.room < 2 * batchBytes(this.#batch.columns) + EVENT_BYTES_MAX;
  }

  /** The segment that holds the record, or will hold it. @param sequence of this session */
  segmentOf(sequence: number): number {
    const holding = this.segments.findLast(({ first }) => first !== undefined && first <= sequence);
    return (holding ?? this.segments[0]).number;
  }

  /**
   * Takes records that have been published.
   * @param values float32 bit patterns of the ring's values
   * @returns how many; fewer than `count` if there is no more room
   */
  takeRecords(reader: RingReader, values: Uint32Array, count: number): number {
    for (let taken = 0; taken < count; taken++) {
      if (this.isFull) return taken;
      const slot = reader.slot();
      const hasValues = reader.kind(slot) === RECORD.row;
      const sequence = reader.sequence(slot);
      this.#batch.add(reader.heads, HEAD_WORDS * slot, hasValues ? values : null, reader.columns * slot);
      // If the batch was full it has been sealed, and this record is the first of the next one.
      this.#batchFirst ??= sequence;
      this.sequence = sequence;
      reader.release();
    }
    return count;
  }

  /** Hands the batch over to be written. */
  seal(): void {
    this.#batch.flush();
  }

  /** @returns the event as it stands in the journal */
  takeEvent(event: Omit<StoreEvent, 'index'>): StoreEvent {
    this.seal();
    const whole = { ...event, index: ++this.#events };
    const bytes = Buffer.byteLength(JSON.stringify(whole));
    const placed = bytes > EVENT_BYTES_MAX ? { ...whole, detail: { bytesLeftOut: bytes } } : whole;
    const payload = new TextEncoder().encode(JSON.stringify(placed));
    this.#segments.append(FRAME.event, payload);
    this.#noteSegment();
    return placed;
  }

  /** Names of the classes, before the first record that needs them. */
  describe(classes: readonly string[]): void {
    this.seal();
    this.#description = { ...this.#description, classes };
    this.#segments.describe(this.#description);
    this.#noteSegment();
  }

  /** @returns when the system has taken everything up to now. @throws EdgeloopError ELOOP_STORE */
  flush(): Promise<void> {
    this.seal();
    return this.#segments.flush();
  }

  /** @returns when the disk has everything up to now. @throws EdgeloopError ELOOP_STORE */
  sync(): Promise<void> {
    this.seal();
    return this.#segments.sync();
  }

  /** Ends the session. @throws EdgeloopError ELOOP_STORE if anything is not on the disk */
  close(): Promise<void> {
    this.seal();
    return this.#segments.close();
  }

  #noteSegment(): void {
    const { number } = this.#segments;
    if (this.segments.at(-1)?.number === number) return;
    this.segments.push({ number, first: undefined, runSeconds: this.#runSeconds() });
  }
}

/** Room for a few records at least. */
function batchBytes(columns: number): number {
  return Math.max(BATCH_BYTES_MAX, 16 * columns);
}
