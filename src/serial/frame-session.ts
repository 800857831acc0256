/**
 * The session description of edgeloop frames: what the rows of a board mean. FORMAT.md, "Frames", has the layout;
 * this file reads and writes its part from `flags` on, over which the tag is made.
 */

export const COLUMNS_MAX = 255;
/** Label 255 is "none". */
export const CLASSES_MAX = 255;
/** In UTF-8. Short names keep zero-free runs short, which is what a small board has to buffer. */
export const NAME_BYTES_MAX = 31;
export const UNIT_BYTES_MAX = 15;

const FLAG = { time: 1, labelInBand: 2, int16: 4 } as const;
const FLAGS_KNOWN = FLAG.time | FLAG.labelInBand | FLAG.int16;

/** flags, columns, classes, rate */
const HEAD_BYTES = 7;

const INT16_MAX = 32_768;

export interface SessionColumn {
  readonly name: string;
  /** For example "g" or "degC"; empty for none. */
  readonly unit: string;
  /** Value of one count, a float32; 1 where the values are float32. */
  readonly scale: number;
}

export interface Session {
  /** Rows per second; 0 if they come at no fixed rate. */
  readonly rateHz: number;
  readonly valueType: 'float32' | 'int16';
  /** Each row carries the board's clock. */
  readonly hasTime: boolean;
  /** Each row carries its label; otherwise label frames say when it changes. */
  readonly labelInBand: boolean;
  readonly columns: readonly SessionColumn[];
  readonly classes: readonly string[];
}

/** Bytes of a data frame's values. */
export function valuesBytes(session: Session): number {
  return session.columns.length * (session.valueType === 'int16' ? 2 : 4);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Writes a session that keeps the limits above. */
export function encodeSession(session: Session): Uint8Array {
  const parts: number[] = [];
  parts.push(
    (session.hasTime ? FLAG.time : 0) |
      (session.labelInBand ? FLAG.labelInBand : 0) |
      (session.valueType === 'int16' ? FLAG.int16 : 0),
    session.columns.length,
    session.classes.length,
    ...float32Bytes(session.rateHz),
  );
  for (const { name, unit, scale } of session.columns) {
    parts.push(...float32Bytes(scale), ...encoder.encode(name), 0, ...encoder.encode(unit), 0);
  }
  for (const name of session.classes) parts.push(...encoder.encode(name), 0);
  return Uint8Array.from(parts);
}

/** @returns undefined if a rule of FORMAT.md is broken: such a description is not used in part */
export function decodeSession(bytes: Uint8Array): Session | undefined {
  if (bytes.length < HEAD_BYTES) return undefined;
  const [flags, columnCount, classCount] = bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rateHz = view.getFloat32(3, true);
  if ((flags & ~FLAGS_KNOWN) !== 0 || columnCount === 0) return undefined;
  if (!(rateHz >= 0 && rateHz < Infinity)) return undefined;
  const reader = new Reader(bytes, view, HEAD_BYTES);
  const isInt16 = (flags & FLAG.int16) !== 0;
  const columns: SessionColumn[] = [];
  for (let index = 0; index < columnCount; index++) {
    const scale = reader.float32();
    const name = reader.text(1, NAME_BYTES_MAX);
    const unit = reader.text(0, UNIT_BYTES_MAX);
    if (reader.broken || !isScale(scale, isInt16)) return undefined;
    columns.push({ name, unit, scale });
  }
  const classes = Array.from({ length: classCount }, () => reader.text(1, NAME_BYTES_MAX));
  if (reader.broken || reader.at !== bytes.length) return undefined;
  if (hasTwins(columns.map(({ name }) => name)) || hasTwins(classes)) return undefined;
  return {
    rateHz,
    valueType: isInt16 ? 'int16' : 'float32',
    hasTime: (flags & FLAG.time) !== 0,
    labelInBand: (flags & FLAG.labelInBand) !== 0,
    columns,
    classes,
  };
}

/** Reads on until something does not fit; from then on it gives nothing and is `broken`. */
class Reader {
  broken = false;
  at: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, view: DataView, at: number) {
    this.#bytes = bytes;
    this.#view = view;
    this.at = at;
  }

  float32(): number {
    this.broken ||= this.at + 4 > this.#bytes.length;
    if (this.broken) return NaN;
    this.at += 4;
    return this.#view.getFloat32(this.at - 4, true);
  }

  /** A text with a zero behind it. */
  text(bytesMin: number, bytesMax: number): string {
    const end = this.#bytes.indexOf(0, this.at);
    const text = this.#bytes.subarray(this.at, Math.max(end, this.at));
    this.broken ||= end < 0 || text.length < bytesMin || text.length > bytesMax || !text.every(isPrintable);
    if (this.broken) return '';
    this.at = end + 1;
    try {
      return decoder.decode(text);
    } catch {
      this.broken = true; // not UTF-8
      return '';
    }
  }
}

function isPrintable(byte: number): boolean {
  return byte >= 0x20 && byte !== 0x7f;
}

/** No count may become infinite, and none may vanish. */
function isScale(scale: number, isInt16: boolean): boolean {
  if (!isInt16) return scale === 1;
  return scale !== 0 && Math.abs(Math.fround(scale * INT16_MAX)) < Infinity;
}

function hasTwins(names: readonly string[]): boolean {
  return new Set(names).size < names.length;
}

function float32Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return bytes;
}
