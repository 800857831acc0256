const WARM_UP_CALLS = 30_000;
const CALLS = 2000;
const ROUNDS = 11;

/** Heap bytes that one call leaves behind, the median of several rounds: a collection spoils one at most. */
export function heapBytesPerCall(action: () => void): number {
  for (let call = 0; call < WARM_UP_CALLS; call++) action();
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.memoryUsage().heapUsed;
    for (let call = 0; call < CALLS; call++) action();
    rounds.push((process.memoryUsage().heapUsed - before) / CALLS);
  }
  return rounds.toSorted((left, right) => left - right)[ROUNDS >> 1];
}
