/**
 * The sending side of edgeloop frames, for virtual boards and tests; real boards use device/firmware/edgeloop. The
 * same calls give the same bytes as there.
 */
import { cobsEncode } from './cobs.ts';
import { crc32 } from './crc32.ts';
import { encodeSession, type Session } from './frame-session.ts';
import { FRAME_TYPE, FRAME_VERSION, INT16_MISSING, LABEL_NONE } from './frames.ts';

export class FrameEncoder {
  /** Sequence number of the next row or label frame, unsigned 32 bits. */
  sequence: number;
  /** Class set last, as an index into the session's, or LABEL_NONE. */
  label = LABEL_NONE;
  readonly #session: Session;
  readonly #description: Uint8Array;
  readonly #tag: number;

  constructor(session: Session, sequence = 0) {
    this.#session = session;
    this.#description = encodeSession(session);
    this.#tag = crc32(this.#description, 0, this.#description.length) & 0xffff;
    this.sequence = sequence;
  }

  /** The frame that says what the rows mean: first of all, and every few seconds. */
  describe(): Uint8Array {
    return frame([head(FRAME_TYPE.session), ...u32(this.sequence), this.#label(), ...this.#description]);
  }

  /**
   * One row, with the label set last if labels are in band.
   * @param values [columns], of an int16 session the counts; NaN is a missing value
   * @param timeUs of the board's clock; only its low 32 bits are sent, and only if the session has time
   */
  row(values: ArrayLike<number>, timeUs = 0): Uint8Array {
    const { hasTime, labelInBand, valueType } = this.#session;
    return frame([
      ...this.#start(FRAME_TYPE.data),
      ...(hasTime ? u32(timeUs) : []),
      ...(labelInBand ? [this.label] : []),
      ...Array.from(values).flatMap(valueType === 'int16' ? int16 : float32),
    ]);
  }

  /** The frame that says which class holds from the next row on; for sessions without labels in band. */
  setLabel(label: number): Uint8Array {
    this.label = label;
    return frame([...this.#start(FRAME_TYPE.label), label]);
  }

  #label(): number {
    return this.#session.labelInBand ? LABEL_NONE : this.label;
  }

  #start(type: number): number[] {
    const sequence = this.sequence;
    this.sequence = (sequence + 1) >>> 0;
    return [head(type), this.#tag & 0xff, this.#tag >> 8, ...u32(sequence)];
  }
}

/** The payload with its checksum, stuffed, and the zero that ends it. */
export function frame(payload: readonly number[]): Uint8Array {
  const data = Uint8Array.from(payload);
  const encoded = cobsEncode(Uint8Array.from([...payload, ...u32(crc32(data, 0, data.length))]));
  return Uint8Array.from([...encoded, 0]);
}

function head(type: number): number {
  return (FRAME_VERSION << 4) | type;
}

function u32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

function int16(count: number): number[] {
  const whole = Number.isNaN(count) ? INT16_MISSING : count;
  return [whole & 0xff, (whole >> 8) & 0xff];
}

function float32(value: number): number[] {
  return [...new Uint8Array(Float32Array.of(value).buffer)];
}
