/**
 * edgeloop frames: bytes in, rows out. FORMAT.md, "Frames", has the layout.
 *
 *     ... 00 | COBS( head, body, CRC-32 ) 00 | COBS( ...
 *
 * Invariants
 * - Every byte pushed is counted once: in `bytes` by what became of its frame, or in `pendingBytes`.
 * - Nothing of a frame is believed before its checksum is right.
 * - Rows are taken only under the description they name by its tag, so that after a change of sketch no value is
 *   read with the scale of another.
 * - A frame that is missing is known by the sequence number; it may have been a change of label, so the label that
 *   the board had set counts as unknown until the board says it again.
 * - Memory is fixed but for the last description; a row allocates nothing.
 */
import { NO_LABEL } from '../stream/ring.ts';
import { BoardClock } from './board-clock.ts';
import { cobsDecode } from './cobs.ts';
import { crc32, crc32Of } from './crc32.ts';
import { decodeSession, type Session, valuesBytes } from './frame-session.ts';
import { LABEL_REFUSED, type Labels } from './labels.ts';
import type { RowSink } from './lines.ts';

/** A longer frame is noise, or another baud rate. Without the zero at its end. */
export const FRAME_BYTES_MAX = 4096;

export const FRAME_VERSION = 1;

/** `answer` goes the other way, to the board: see answer-frame.ts. */
export const FRAME_TYPE = { session: 1, data: 2, label: 3, answer: 4 } as const;

/** The label byte of a row, or of a board, without a label; and of an answer whose class the board does not know. */
export const LABEL_NONE = 0xff;

/** The int16 that stands for a missing value; a float32 says it with NaN. */
export const INT16_MISSING = -32_768;

/** Where things stand in a decoded frame: the first byte is version and type, the last four are the checksum. */
const SESSION_AT = { sequence: 1, label: 5, description: 6 } as const;
const ROW_AT = { tag: 1, sequence: 3, body: 7 } as const;
const CRC_BYTES = 4;
const LABEL_FRAME_BYTES = ROW_AT.body + 1 + CRC_BYTES;

const encoder = new TextEncoder();

/** The code byte that stands before 254 bytes that no zero follows. */
const COBS_NO_ZERO = 255;
/** What `#unstuff` says of a frame that must be looked at byte by byte. */
const NOT_WHOLE = -1;

/** What `#follow` says of a frame that comes straight after the one before. */
const NO_GAP = -1;

/** Frames dropped, by reason. */
export interface FrameDrops {
  /** Cut off at the beginning of the stream or by a lost zero: no whole frame in it. */
  torn: number;
  /** Longer than FRAME_BYTES_MAX. */
  tooLong: number;
  /** The checksum is wrong. */
  crc: number;
  /** Of another version of the format. */
  unknownVersion: number;
  unknownType: number;
  /** The checksum is right, but a rule of the format is broken: the sender is wrong. */
  malformed: number;
  /** A row or a label before the description that it names, or under one that was refused. */
  beforeSession: number;
  /** A row that is not as long as its description says. */
  columnCount: number;
  /** A row with an infinite value. */
  infinite: number;
  /** A label that the description does not name, or a class beyond the number of outputs. */
  unknownLabel: number;
}

export interface FramesTaken {
  session: number;
  data: number;
  label: number;
}

type Outcome = keyof FrameDrops | keyof FramesTaken;

/** Bytes by what became of their frame, its end mark included. */
export interface FrameBytes extends FrameDrops, FramesTaken {
  /** End marks with nothing before them. */
  idle: number;
}

export interface FrameEvents {
  readonly onRow: RowSink;
  /**
   * A description other than the last one: the board says what its rows mean.
   * @returns whether to take rows under it; without this callback all are taken
   */
  onSession?(session: Session): boolean;
  /**
   * The stream is broken at this place, just before the next row.
   * @param lost frames missing; 0 if the board began anew and nobody knows
   */
  onGap?(lost: number, timeUs: number): void;
}

function noDrops(): FrameDrops {
  return {
    torn: 0,
    tooLong: 0,
    crc: 0,
    unknownVersion: 0,
    unknownType: 0,
    malformed: 0,
    beforeSession: 0,
    columnCount: 0,
    infinite: 0,
    unknownLabel: 0,
  };
}

export class FrameDecoder {
  readonly dropped: FrameDrops = noDrops();
  readonly taken: FramesTaken = { session: 0, data: 0, label: 0 };
  readonly bytes: FrameBytes = { ...noDrops(), session: 0, data: 0, label: 0, idle: 0 };
  /** Frames that the board sent and that did not come, by the sequence number. */
  lost = 0;
  /** How often the sequence numbers went back, or another description came. */
  restarts = 0;

  readonly #labels: Labels;
  readonly #events: FrameEvents;
  readonly #frame = new Uint8Array(FRAME_BYTES_MAX);
  readonly #view = new DataView(this.#frame.buffer);
  #length = 0;
  /** Of the frame that was unstuffed last. */
  #size = 0;
  /** Until the first zero nobody knows whether a frame is whole. */
  #synchronised = false;

  #session: Session | undefined;
  #description = new Uint8Array(0);
  #accepted = false;
  #tag = -1;
  #hasTime = false;
  #labelInBand = false;
  #isInt16 = false;
  #dataFrameBytes = 0;
  #row = new Float32Array(0);
  #scales = new Float32Array(0);
  /** [classes of the board] -> class of the network, or LABEL_REFUSED */
  #classOf = new Int32Array(0);

  /** Low 32 bits, as a signed integer. */
  #nextSequence = 0;
  /** Class set by label frames: NO_LABEL if none or unknown, LABEL_REFUSED if it is beyond the outputs. */
  #label = NO_LABEL;
  readonly #clock = new BoardClock();
  /** When the bytes under way were read. */
  readonly #readUs = new Float64Array(1);

  constructor(labels: Labels, events: FrameEvents) {
    this.#labels = labels;
    this.#events = events;
  }

  /** The last description that was taken. */
  get session(): Session | undefined {
    return this.#accepted ? this.#session : undefined;
  }

  /** The board's own index of a class of ours, LABEL_NONE if its description does not name it. */
  boardClassOf(index: number): number {
    const own = this.#classOf.indexOf(index);
    return own < 0 ? LABEL_NONE : own;
  }

  /** Bytes of a frame whose end has not come yet. */
  get pendingBytes(): number {
    return this.#length;
  }

  /** Takes bytes[0..count) as they came from the port, read at `timeUs` (monotonic). */
  push(bytes: Uint8Array, count: number, timeUs: number): void {
    this.#readUs[0] = timeUs;
    const frame = this.#frame;
    let length = this.#length;
    for (let at = 0; at < count; at++) {
      if (length === 0 && this.#synchronised) at = this.#takeWhole(bytes, at, count, timeUs);
      if (at === count) break;
      const byte = bytes[at];
      if (byte !== 0) {
        if (length < FRAME_BYTES_MAX) frame[length] = byte;
        length += 1;
      } else {
        this.#endFrame(length, timeUs);
        length = 0;
      }
    }
    this.#length = length;
  }

  /**
   * Takes the frames that lie whole in the block, each in one go: nothing is looked for, since a code byte says where the
   * next one is.
   * @returns where the first frame begins that does not, or `count`
   */
  #takeWhole(bytes: Uint8Array, start: number, count: number, timeUs: number): number {
    let first = start;
    for (;;) {
      const end = this.#unstuff(bytes, first, count);
      if (end < 0) return first;
      this.#countFrame(this.#takeDecoded(this.#size, timeUs), end - first);
      first = end + 1;
    }
  }

  /**
   * Unstuffs the frame at bytes[start] into #frame, and its size into #size.
   * @returns the index of the zero behind it; negative if the frame is not whole, too long or no frame
   */
  #unstuff(bytes: Uint8Array, start: number, count: number): number {
    const frame = this.#frame;
    let size = 0;
    let at = start;
    while (at < count) {
      const code = bytes[at];
      const stop = at + code;
      if (code === 0 || stop >= count || stop - start > FRAME_BYTES_MAX) return NOT_WHOLE;
      let lowest = 0; // negative once there was a zero
      for (at += 1; at < stop; at++) {
        const byte = bytes[at];
        lowest |= byte - 1;
        frame[size++] = byte;
      }
      if (lowest < 0) return NOT_WHOLE;
      if (bytes[stop] === 0) {
        this.#size = size;
        return stop;
      }
      if (code !== COBS_NO_ZERO) frame[size++] = 0;
    }
    return NOT_WHOLE;
  }

  #endFrame(length: number, timeUs: number): void {
    const first = !this.#synchronised;
    this.#synchronised = true;
    if (length === 0) {
      this.bytes.idle += 1;
      return;
    }
    const outcome =
      length > FRAME_BYTES_MAX ? 'tooLong' : this.#takeDecoded(cobsDecode(this.#frame, length), timeUs);
    this.#countFrame(first && outcome === 'crc' ? 'torn' : outcome, length);
  }

  /** @param length of the frame as it was sent, without its zero */
  #countFrame(outcome: Outcome, length: number): void {
    if (outcome === 'data') {
      this.taken.data += 1;
      this.bytes.data += length + 1;
      return;
    }
    if (outcome === 'session' || outcome === 'label') this.taken[outcome] += 1;
    else this.dropped[outcome] += 1;
    this.bytes[outcome] += length + 1;
  }

  /** @param size of what is in #frame now, its checksum included */
  #takeDecoded(size: number, timeUs: number): Outcome {
    const frame = this.#frame;
    if (size <= CRC_BYTES) return 'torn';
    const end = size - CRC_BYTES;
    if (crc32Of(this.#view, end) !== this.#view.getInt32(end, true)) return 'crc';
    if (frame[0] >> 4 !== FRAME_VERSION) return 'unknownVersion';
    switch (frame[0] & 0x0f) {
      case FRAME_TYPE.data:
        return this.#takeData(size, timeUs);
      case FRAME_TYPE.label:
        return this.#takeLabel(size, timeUs);
      case FRAME_TYPE.session:
        return this.#takeSession(end, timeUs);
      default:
        return 'unknownType';
    }
  }

  #takeData(size: number, timeUs: number): Outcome {
    if (size < ROW_AT.body + CRC_BYTES) return 'malformed';
    if (!this.#isOurs()) return 'beforeSession';
    const lost = this.#follow(this.#view.getInt32(ROW_AT.sequence, true));
    this.#nextSequence = (this.#nextSequence + 1) | 0;
    const fits = size === this.#dataFrameBytes;
    if (fits && this.#hasTime) this.#clock.read(this.#view.getInt32(ROW_AT.body, true), timeUs);
    if (lost !== NO_GAP) this.#tellGap(lost, timeUs);
    return fits ? this.#takeRow() : 'columnCount';
  }

  #takeRow(): Outcome {
    let at = this.#hasTime ? ROW_AT.body + 4 : ROW_AT.body;
    const label = this.#labelInBand ? this.#classAt(this.#frame[at++]) : this.#label;
    if (label === LABEL_REFUSED) return 'unknownLabel';
    if (this.#isInt16) readInt16(this.#view, at, this.#scales, this.#row);
    else if (!readFloat32(this.#view, at, this.#row)) return 'infinite';
    this.#events.onRow(this.#row, label, this.#hasTime ? this.#clock.times : this.#readUs);
    return 'data';
  }

  #takeLabel(size: number, timeUs: number): Outcome {
    if (size !== LABEL_FRAME_BYTES) return 'malformed';
    if (!this.#isOurs()) return 'beforeSession';
    const lost = this.#follow(this.#view.getInt32(ROW_AT.sequence, true));
    this.#nextSequence = (this.#nextSequence + 1) | 0;
    if (lost !== NO_GAP) this.#tellGap(lost, timeUs);
    this.#label = this.#classAt(this.#frame[ROW_AT.body]);
    return this.#label === LABEL_REFUSED ? 'unknownLabel' : 'label';
  }

  /** @param end where the checksum begins */
  #takeSession(end: number, timeUs: number): Outcome {
    const start = SESSION_AT.description;
    if (end < start) return 'malformed';
    const sequence = this.#view.getInt32(SESSION_AT.sequence, true);
    if (!sameBytes(this.#description, this.#frame, start, end)) {
      if (!this.#describe(start, end, timeUs)) return 'malformed';
      this.#nextSequence = sequence;
    }
    if (!this.#accepted) return 'session';
    const lost = this.#follow(sequence);
    if (lost !== NO_GAP) this.#tellGap(lost, timeUs);
    this.#label = this.#classAt(this.#frame[SESSION_AT.label]);
    return 'session';
  }

  /** Takes a description that differs from the last. @returns whether it is well formed */
  #describe(start: number, end: number, timeUs: number): boolean {
    const description = this.#frame.slice(start, end);
    const session = decodeSession(description);
    if (session === undefined) return false;
    const isFirst = this.#session === undefined;
    this.#session = session;
    this.#description = description;
    this.#tag = crc32(description, 0, description.length) & 0xffff;
    this.#hasTime = session.hasTime;
    this.#labelInBand = session.labelInBand;
    this.#isInt16 = session.valueType === 'int16';
    this.#dataFrameBytes =
      ROW_AT.body +
      (session.hasTime ? 4 : 0) +
      (session.labelInBand ? 1 : 0) +
      valuesBytes(session) +
      CRC_BYTES;
    this.#row = new Float32Array(session.columns.length);
    this.#scales = Float32Array.from(session.columns, ({ scale }) => scale);
    this.#accepted = this.#events.onSession?.(session) ?? true;
    if (!this.#accepted) return true;
    // Only now: a description that is refused must not teach class names.
    this.#classOf = Int32Array.from(session.classes, (name) => {
      const bytes = encoder.encode(name);
      return this.#labels.classOf(bytes, 0, bytes.length);
    });
    if (!isFirst) this.#tellGap(this.#restart(), timeUs);
    return true;
  }

  /** Whether a row or label frame is under the description that was taken. */
  #isOurs(): boolean {
    return this.#accepted && this.#view.getUint16(ROW_AT.tag, true) === this.#tag;
  }

  /** Compares a sequence number with the one that is due. @returns frames lost, 0 for a restart, or NO_GAP */
  #follow(sequence: number): number {
    const ahead = (sequence - this.#nextSequence) | 0;
    if (ahead === 0) return NO_GAP;
    this.#nextSequence = sequence;
    if (ahead < 0) return this.#restart();
    this.#label = NO_LABEL;
    this.lost += ahead;
    return ahead;
  }

  /** The board began anew. @returns 0: nobody knows how many frames are missing */
  #restart(): number {
    this.restarts += 1;
    this.#label = NO_LABEL;
    this.#clock.restart();
    return 0;
  }

  #tellGap(lost: number, timeUs: number): void {
    // On the same clock as the rows.
    this.#events.onGap?.(lost, this.#hasTime ? this.#clock.latestUs(timeUs) : timeUs);
  }

  /** @returns a class, NO_LABEL or LABEL_REFUSED */
  #classAt(byte: number): number {
    if (byte === LABEL_NONE) return NO_LABEL;
    return byte < this.#classOf.length ? this.#classOf[byte] : LABEL_REFUSED;
  }
}

function readInt16(view: DataView, start: number, scales: Float32Array, row: Float32Array): void {
  for (let column = 0; column < row.length; column++) {
    const count = view.getInt16(start + 2 * column, true);
    row[column] = count === INT16_MISSING ? NaN : count * scales[column];
  }
}

/** @returns whether no value is infinite */
function readFloat32(view: DataView, start: number, row: Float32Array): boolean {
  for (let column = 0; column < row.length; column++) {
    const value = view.getFloat32(start + 4 * column, true);
    if (value === Infinity || value === -Infinity) return false;
    row[column] = value;
  }
  return true;
}

/** Whether bytes[start..end) are the known ones. */
function sameBytes(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[start + i]) return false;
  return true;
}
