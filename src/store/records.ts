/**
 * Batches of ring records, as a journal keeps them in segments. Layout: FORMAT.md, "Segments", type 3.
 *
 * What most records have in common with the one before costs nothing: a row of six values with the same label takes
 * 25 to 27 bytes, where the ring has 56.
 */
import { HEAD, HEAD_WORDS } from '../stream/ring.ts';
import { PAYLOAD_BYTES_MAX, formatError } from './segments.ts';
import { type Cursor, VARINT_BYTES_MAX, readUint64, readVarint, writeUint64, writeVarint } from './varint.ts';

const AT = { sequence: 0, time: 8, columns: 16 } as const;
const HEAD_BYTES = 18;

/** Which parts follow; the high four bits are the time since the record before, if it is below TIME_FOLLOWS. */
const PART = { values: 1, kind: 2, flags: 4, datum: 8 } as const;
const TIME_SHIFT = 4;
const TIME_FOLLOWS = 15;
/** A record without its values at its longest. */
const RECORD_BYTES_MAX = 1 + VARINT_BYTES_MAX + 1 + 4 + VARINT_BYTES_MAX;

/** What the first record of a batch is compared with. */
const FIRST = { kind: 1, flags: 0, datum: -1 } as const;

export const COLUMNS_MAX = 65_535;

const TWO_POW_32 = 4_294_967_296;

/**
 * Takes a record; both arrays are valid only during the call.
 * @param head   [8], see HEAD
 * @param values float32 bit patterns: [C], or [0] if the record has none
 */
export type RecordSink = (head: Int32Array, values: Uint32Array) => void;

export class RecordBatch {
  readonly columns: number;
  readonly #payload: Uint8Array;
  readonly #view: DataView;
  readonly #seal: (payload: Uint8Array) => void;
  #end = HEAD_BYTES;
  #nextSequence = 0;
  #timeUs = 0;
  #kind: number = FIRST.kind;
  #flags: number = FIRST.flags;
  #datum: number = FIRST.datum;

  /**
   * @param columns   C, values of a record that has any
   * @param bytesMax  of a payload
   * @param seal      takes a finished payload, valid only during the call
   */
  constructor(columns: number, bytesMax: number, seal: (payload: Uint8Array) => void) {
    const bytesMin = HEAD_BYTES + RECORD_BYTES_MAX + 4 * columns;
    if (columns > COLUMNS_MAX || bytesMax < bytesMin || bytesMax > PAYLOAD_BYTES_MAX) {
      throw new RangeError(`a batch of ${bytesMax} bytes for ${columns} columns`);
    }
    this.columns = columns;
    this.#payload = new Uint8Array(bytesMax);
    this.#view = new DataView(this.#payload.buffer);
    this.#seal = seal;
    this.#view.setUint16(AT.columns, columns, true);
  }

  /**
   * Takes a record; a batch that is full, or that it does not follow, is sealed before.
   * @param heads  its head is heads[base..base + 8), see HEAD; kind 1 to 255, sequence and time up to 2^53 - 1
   * @param values float32 bit patterns, so that each comes back as it was: [C] from `first` on, or null for none
   */
  add(heads: Int32Array, base: number, values: Uint32Array | null, first: number): void {
    const sequence = heads[base + HEAD.sequenceHigh] * TWO_POW_32 + (heads[base + HEAD.sequenceLow] >>> 0);
    const timeUs = heads[base + HEAD.timeHigh] * TWO_POW_32 + (heads[base + HEAD.timeLow] >>> 0);
    if (this.#end > HEAD_BYTES) {
      const follows = sequence === this.#nextSequence && timeUs >= this.#timeUs;
      const fits = this.#end + RECORD_BYTES_MAX + 4 * this.columns <= this.#payload.length;
      if (!follows || !fits) this.flush();
    }
    if (this.#end === HEAD_BYTES) this.#begin(sequence, timeUs);
    this.#end = this.#write(heads, base, timeUs - this.#timeUs, values, first);
    this.#nextSequence = sequence + 1;
    this.#timeUs = timeUs;
  }

  /** @returns the place after the record */
  #write(
    heads: Int32Array,
    base: number,
    sinceUs: number,
    values: Uint32Array | null,
    first: number,
  ): number {
    const view = this.#view;
    const kind = heads[base + HEAD.kind];
    const flags = heads[base + HEAD.flags];
    const datum = heads[base + HEAD.datum];
    const parts =
      (values === null ? 0 : PART.values) |
      (kind === this.#kind ? 0 : PART.kind) |
      (flags === this.#flags ? 0 : PART.flags) |
      (datum === this.#datum ? 0 : PART.datum);
    view.setUint8(this.#end, parts | (Math.min(sinceUs, TIME_FOLLOWS) << TIME_SHIFT));
    let at = this.#end + 1;
    if (sinceUs >= TIME_FOLLOWS) at = writeVarint(this.#payload, at, sinceUs);
    if (parts & PART.kind) view.setUint8(at++, kind);
    if (parts & PART.flags) view.setInt32((at += 4) - 4, flags, true);
    if (parts & PART.datum) at = writeVarint(this.#payload, at, ((datum << 1) ^ (datum >> 31)) >>> 0);
    if (values !== null) {
      for (let i = 0; i < this.columns; i++, at += 4) view.setUint32(at, values[first + i], true);
    }
    this.#kind = kind;
    this.#flags = flags;
    this.#datum = datum;
    return at;
  }

  /** Seals what there is. */
  flush(): void {
    if (this.#end === HEAD_BYTES) return;
    this.#seal(this.#payload.subarray(0, this.#end));
    this.#end = HEAD_BYTES;
  }

  #begin(sequence: number, timeUs: number): void {
    writeUint64(this.#view, AT.sequence, sequence);
    writeUint64(this.#view, AT.time, timeUs);
    this.#timeUs = timeUs;
    this.#kind = FIRST.kind;
    this.#flags = FIRST.flags;
    this.#datum = FIRST.datum;
  }
}

const NO_VALUES = new Uint32Array(0);

/**
 * Gives the records of a batch to the sink, in order.
 * @param directory of the segments, for messages
 * @throws EdgeloopError ELOOP_FORMAT if the payload breaks its rules; the records before were given
 */
export function readRecords(directory: string, payload: Uint8Array, sink: RecordSink): void {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  if (payload.length < HEAD_BYTES) throw malformed(directory);
  let sequence = readUint64(view, AT.sequence);
  let timeUs = readUint64(view, AT.time);
  const values = new Uint32Array(view.getUint16(AT.columns, true));
  const head = new Int32Array(HEAD_WORDS);
  head[HEAD.kind] = FIRST.kind;
  head[HEAD.flags] = FIRST.flags;
  head[HEAD.datum] = FIRST.datum;
  const cursor: Cursor = { at: HEAD_BYTES };
  for (; cursor.at < payload.length; sequence += 1) {
    const first = payload[cursor.at++];
    const sinceUs = first >> TIME_SHIFT;
    timeUs += sinceUs < TIME_FOLLOWS ? sinceUs : readVarint(payload, cursor, payload.length);
    const fixed = cursor.at + (first & PART.kind ? 1 : 0) + (first & PART.flags ? 4 : 0);
    if (fixed > payload.length) throw malformed(directory);
    if (first & PART.kind) head[HEAD.kind] = view.getUint8(cursor.at++);
    if (first & PART.flags) head[HEAD.flags] = view.getInt32((cursor.at += 4) - 4, true);
    let datum = 0;
    if (first & PART.datum) {
      datum = readVarint(payload, cursor, payload.length);
      head[HEAD.datum] = (datum >>> 1) ^ -(datum & 1);
    }
    const end = cursor.at + (first & PART.values ? 4 * values.length : 0);
    // Of NaN, from a number that is none, every comparison is false.
    const sound =
      timeUs <= Number.MAX_SAFE_INTEGER && sequence <= Number.MAX_SAFE_INTEGER && datum < TWO_POW_32;
    if (!sound || end > payload.length) throw malformed(directory);
    if (first & PART.values) {
      for (let i = 0, at = cursor.at; i < values.length; i++, at += 4) values[i] = view.getUint32(at, true);
    }
    cursor.at = end;
    head[HEAD.sequenceLow] = sequence % TWO_POW_32;
    head[HEAD.sequenceHigh] = Math.floor(sequence / TWO_POW_32);
    head[HEAD.timeLow] = timeUs % TWO_POW_32;
    head[HEAD.timeHigh] = Math.floor(timeUs / TWO_POW_32);
    sink(head, first & PART.values ? values : NO_VALUES);
  }
}

function malformed(directory: string): Error {
  return formatError(
    directory,
    'expected a journal as FORMAT.md describes it, got a batch of records that breaks its rules. Set it aside.',
  );
}
