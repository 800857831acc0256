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
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
