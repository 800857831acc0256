/**
 * Whole numbers up to 2^53 - 1 in segments: varints, in as few bytes as they need, 7 bits per byte, lowest first; and
 * u64, little-endian. FORMAT.md, "Segments".
 */

export const VARINT_BYTES_MAX = 8;

const LOW_BITS = 0x7f;
const MORE = 0x80;
const TWO_POW_32 = 4_294_967_296;

/** @param value whole, 0 to 2^53 - 1. @returns the place after it */
export function writeVarint(bytes: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest > LOW_BITS) {
    bytes[at++] = (rest % 128) | MORE;
    rest = Math.floor(rest / 128);
  }
  bytes[at++] = rest;
  return at;
}

/** A place in a payload. */
export interface Cursor {
  at: number;
}

/** Moves the cursor past the number. @returns it, or NaN if there is none up to 2^53 - 1 before `end` */
export function readVarint(bytes: Uint8Array, cursor: Cursor, end: number): number {
  let value = 0;
  let weight = 1;
  const last = Math.min(end, cursor.at + VARINT_BYTES_MAX);
  while (cursor.at < last) {
    const byte = bytes[cursor.at++];
    value += (byte & LOW_BITS) * weight;
    if (byte < MORE) return value <= Number.MAX_SAFE_INTEGER ? value : NaN;
    weight *= 128;
  }
  return NaN;
}

export function writeUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % TWO_POW_32, true);
  view.setUint32(at + 4, Math.floor(value / TWO_POW_32), true);
}

/** @returns the number, or NaN above 2^53 - 1 */
export function readUint64(view: DataView, at: number): number {
  const value = view.getUint32(at + 4, true) * TWO_POW_32 + view.getUint32(at, true);
  return value <= Number.MAX_SAFE_INTEGER ? value : NaN;
}
