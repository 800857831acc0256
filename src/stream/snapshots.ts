/**
 * Copies of the arena between two records. Another thread asks, the learner copies and says so:
 *
 *     asker     ASKED += 1, signal ──────────────> learner     between two records: buffer = arena, DONE = ASKED
 *     asker     reads its buffer <───────────────  notify
 *
 * Each asker has words and a buffer of its own, so that one never reads what is being copied for another. An asker asks
 * again only when it has read the last one.
 */
import { CONTROL, signalReader } from './ring.ts';

/** Who asks: the first of its two words, the second is the next one. */
export const ASKER = { main: CONTROL.snapshotAsked, keeper: CONTROL.checkpointAsked } as const;

/** In the learner, between two records: copies the arena if the asker waits for it. Allocates nothing. */
export function serveSnapshot(
  control: Int32Array,
  asker: number,
  arena: Uint8Array,
  snapshot: Uint8Array,
): void {
  const asked = Atomics.load(control, asker);
  if (asked === Atomics.load(control, asker + 1)) return;
  snapshot.set(arena);
  Atomics.store(control, asker + 1, asked);
  Atomics.notify(control, asker + 1);
}

/**
 * Asks the learner, and waits without blocking the thread.
 * @returns whether it answered in time; then the asker's buffer holds the copy until it asks again
 */
export async function askForSnapshot(
  control: Int32Array,
  asker: number,
  timeoutMs: number,
): Promise<boolean> {
  const number = (Atomics.add(control, asker, 1) + 1) | 0;
  signalReader(control);
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const done = Atomics.load(control, asker + 1);
    if (done === number) return true;
    const leftMs = endMs - performance.now();
    if (leftMs <= 0) return false;
    const wait = Atomics.waitAsync(control, asker + 1, done, leftMs);
    if (wait.async) await wait.value;
  }
}
