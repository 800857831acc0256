/**
 * The one generator of random numbers: small, seeded, the same on every machine. Its whole state is one 32-bit
 * integer, and it uses integer operations and one exact division only, so a seed gives the same bits everywhere.
 * Method: mulberry32 by Tommy Ettinger (public domain), period 2^32. Not for secrets.
 */

/**
 * @param seed any integer; its low 32 bits count
 * @returns a function that gives the next number, uniform in [0, 1), a multiple of 2^-32
 */
export function mulberry32(seed: number): () => number {
  const state = Int32Array.of(seed);
  return () => (drawBits(state) >>> 0) / 4294967296;
}

/** The next 32 random bits of a generator whose state lies in memory of the caller's. @param state [1] */
export function drawBits(state: Int32Array): number {
  const next = (state[0] + 0x6d2b79f5) | 0;
  state[0] = next;
  let mixed = Math.imul(next ^ (next >>> 15), 1 | next);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return mixed ^ (mixed >>> 14);
}

/** Uniform in 0 .. count − 1. @param state [1] */
export function drawIndex(state: Int32Array, count: number): number {
  return Math.floor(((drawBits(state) >>> 0) / 4294967296) * count) | 0;
}
