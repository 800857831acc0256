/**
 * How far the journal is, in shared memory: the keeper writes, everybody reads. Sequence numbers have 64 bits and rise,
 * words have 32; so a number is three words, written from left to right and read from right to left:
 *
 *     | high | low | high again |      equal: the number was whole at one moment; else look again
 */

/** What a record is safe from, once its number is not above the one that stands here. */
export const SAFE_FROM = {
  /** A crash of the program: its batch's write has returned. */
  crash: 0,
  /** A power cut: the fdatasync after it has. */
  powerCut: 1,
} as const;

const WORDS = 3;
const TWO_POW_32 = 4_294_967_296;

export function makeAcknowledged(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * WORDS * Object.keys(SAFE_FROM).length);
}

/** @param safeFrom one of SAFE_FROM. @param sequence never less than before */
export function acknowledge(words: Int32Array, safeFrom: number, sequence: number): void {
  const high = Math.floor(sequence / TWO_POW_32);
  Atomics.store(words, WORDS * safeFrom, high);
  Atomics.store(words, WORDS * safeFrom + 1, sequence | 0);
  Atomics.store(words, WORDS * safeFrom + 2, high);
}

/** @returns the sequence number up to which all records are safe */
export function acknowledged(words: Int32Array, safeFrom: number): number {
  for (;;) {
    const high = Atomics.load(words, WORDS * safeFrom + 2);
    const low = Atomics.load(words, WORDS * safeFrom + 1);
    if (high === Atomics.load(words, WORDS * safeFrom)) return high * TWO_POW_32 + (low >>> 0);
  }
}
