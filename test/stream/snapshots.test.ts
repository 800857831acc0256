import { describe, expect, it } from 'vitest';
import { makeRing, RingReader } from '../../src/stream/ring.ts';
import { ASKER, askForSnapshot, serveSnapshot } from '../../src/stream/snapshots.ts';

describe('snapshots', () => {
  const { control } = new RingReader(makeRing(1, 2));
  const arena = Uint8Array.of(1, 2, 3);

  it('go to who asked, into a buffer of its own, and only when somebody asks', async () => {
    const [mine, yours] = [new Uint8Array(3), new Uint8Array(3)];
    serveSnapshot(control, ASKER.main, arena, mine);
    expect([...mine]).toEqual([0, 0, 0]);
    const asked = askForSnapshot(control, ASKER.main, 1000);
    serveSnapshot(control, ASKER.keeper, arena, yours);
    serveSnapshot(control, ASKER.main, arena, mine);
    expect(await asked).toBe(true);
    expect([[...mine], [...yours]]).toEqual([
      [1, 2, 3],
      [0, 0, 0],
    ]);
    arena[0] = 9;
    const keeperAsked = askForSnapshot(control, ASKER.keeper, 1000);
    for (const [asker, buffer] of [
      [ASKER.main, mine],
      [ASKER.keeper, yours],
    ] as const)
      serveSnapshot(control, asker, arena, buffer);
    expect(await keeperAsked).toBe(true);
    expect([mine[0], yours[0]]).toEqual([1, 9]);
  });

  it('that nobody makes are given up, and a late one does not pass for the next', async () => {
    expect(await askForSnapshot(control, ASKER.keeper, 20)).toBe(false);
    const snapshot = new Uint8Array(3);
    const next = askForSnapshot(control, ASKER.keeper, 1000);
    serveSnapshot(control, ASKER.keeper, arena, snapshot);
    expect(await next).toBe(true);
    expect(snapshot).toEqual(arena);
  });
});
