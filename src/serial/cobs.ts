/**
 * Consistent overhead byte stuffing: bytes without a zero among them, so that a zero can mark the end of a frame.
 * The data is cut at its zeros; each piece goes out behind a code byte, which is its length plus one. Code 255
 * stands before 254 bytes that no zero follows.
 *
 *     11 22 00 33  ->  03 11 22 02 33            00  ->  01 01
 *
 * Method: Cheshire and Baker, "Consistent Overhead Byte Stuffing", 1999.
 */

const PIECE_BYTES_MAX = 254;

/**
 * Decodes bytes[0..count) in place; none of them may be zero. Decoded data is shorter than encoded data, so the
 * writer never overtakes the reader.
 * @returns the number of decoded bytes, or -1 if a code byte points beyond the end
 */
export function cobsDecode(bytes: Uint8Array, count: number): number {
  let out = 0;
  let at = 0;
  while (at < count) {
    const code = bytes[at];
    const end = at + code;
    if (end > count) return -1;
    for (at += 1; at < end; at++) bytes[out++] = bytes[at];
    if (code <= PIECE_BYTES_MAX && at < count) bytes[out++] = 0;
  }
  return out;
}

/** @returns the data encoded, without an end mark */
export function cobsEncode(data: Uint8Array): Uint8Array {
  const encoded = new Uint8Array(data.length + Math.floor(data.length / PIECE_BYTES_MAX) + 1);
  let codeAt = 0;
  let out = 1;
  for (const byte of data) {
    if (out - codeAt > PIECE_BYTES_MAX) {
      encoded[codeAt] = PIECE_BYTES_MAX + 1;
      codeAt = out++;
    }
    if (byte === 0) {
      encoded[codeAt] = out - codeAt;
      codeAt = out++;
    } else {
      encoded[out++] = byte;
    }
  }
  encoded[codeAt] = out - codeAt;
  return encoded.subarray(0, out);
}
