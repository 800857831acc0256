import { describe, expect, it } from 'vitest';
import { ArenaPlan } from '../../src/engine/arena.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import {
  DRIFT,
  DRIFT_DEFAULTS,
  DRIFT_EVENT,
  type Drift,
  type DriftConfig,
  driftInWords,
  openDrift,
  planDrift,
  takeLoss,
} from '../../src/learn/drift.ts';
import { HeapMeter } from '../../src/learn/heap-meter.ts';

function newDrift(changes: Partial<DriftConfig> = {}): Drift & { bytes: Uint8Array } {
  const plan = new ArenaPlan();
  const parts = planDrift(plan);
  const memory = plan.allocate();
  const drift = openDrift(memory.buffer, parts, { ...DRIFT_DEFAULTS, ...changes });
  return { ...drift, bytes: new Uint8Array(memory.buffer) };
}

/** Losses of a classifier that is wrong for a share of the rows. */
function lossesOf(seed: number, wrongShare: number, rows: number): number[] {
  const random = mulberry32(seed);
  return Array.from({ length: rows }, () => (random() < wrongShare ? 1.5 + random() : 0.2 * random()));
}

/** @returns the rows that gave alarm */
function feed(drift: Drift, losses: readonly number[]): number[] {
  return losses.flatMap((loss, row) => (takeLoss(drift, loss) === 1 ? [row] : []));
}

describe('drift', () => {
  it('is hardly seen where nothing changes, however seldom the model is wrong', () => {
    for (const wrongShare of [0.5, 0.1, 0.03, 0.01, 0.001]) {
      expect(feed(newDrift(), lossesOf(1, wrongShare, 100_000)).length, `${wrongShare}`).toBeLessThanOrEqual(
        3,
      );
    }
  });

  it('is seen within tens of rows of a sudden change, with the loss before and after', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const drift = newDrift();
      expect(feed(drift, lossesOf(seed, 0.1, 5000))).toEqual([]);
      const alarms = feed(drift, lossesOf(seed + 100, 0.8, 60));
      expect(alarms.length).toBe(1);
      const { event } = drift;
      expect(event[DRIFT_EVENT.count]).toBe(1);
      expect(event[DRIFT_EVENT.row]).toBe(5001 + alarms[0]);
      expect(event[DRIFT_EVENT.lossBefore]).toBeGreaterThan(0.2);
      expect(event[DRIFT_EVENT.lossBefore]).toBeLessThan(0.45);
      expect(event[DRIFT_EVENT.lossAfter]).toBeGreaterThan(event[DRIFT_EVENT.lossBefore] + 0.2);
    }
  });

  it('is seen when it comes slowly', () => {
    const drift = newDrift();
    feed(drift, lossesOf(1, 0.1, 5000));
    const slow = Array.from({ length: 10 }, (_, step) =>
      lossesOf(step + 2, 0.1 + 0.05 * (step + 1), 100),
    ).flat();
    expect(feed(drift, slow).length).toBeGreaterThan(0);
  });

  it('is not that the loss falls', () => {
    const drift = newDrift();
    expect(feed(drift, lossesOf(1, 0.8, 3000))).toEqual([]);
    expect(feed(drift, lossesOf(2, 0.05, 3000))).toEqual([]);
  });

  it('begins anew after an alarm, is silent for 200 rows, and then sees the next change', () => {
    const drift = newDrift();
    feed(drift, lossesOf(1, 0.05, 3000));
    const alarms = feed(drift, lossesOf(2, 0.9, 40));
    expect(alarms.length).toBe(1);
    expect(drift.state[DRIFT.rows]).toBe(39 - alarms[0]);
    const worse = [...lossesOf(3, 0.05, 120), ...lossesOf(4, 1, 40)];
    expect(feed(drift, worse)).toEqual([]);
    feed(drift, lossesOf(5, 0.05, 3000));
    const before = drift.event[DRIFT_EVENT.count];
    expect(feed(drift, lossesOf(6, 0.9, 40)).length).toBe(1);
    expect(drift.event[DRIFT_EVENT.count]).toBe(before + 1);
  });

  it('gives no alarm before 100 rows, nor for a loss that never varies, nor for one bad row', () => {
    expect(feed(newDrift(), [...lossesOf(1, 0, 40), ...lossesOf(2, 1, 60)])).toEqual([]);
    expect(
      feed(
        newDrift(),
        Array.from({ length: 5000 }, () => 0.7),
      ),
    ).toEqual([]);
    const drift = newDrift();
    feed(drift, lossesOf(1, 0.1, 2000));
    expect(feed(drift, [1e30, Infinity, ...lossesOf(3, 0.1, 500)])).toEqual([]);
  });

  it('leaves out a loss that is not a number', () => {
    const drift = newDrift();
    feed(drift, lossesOf(1, 0.1, 500));
    const before = drift.state.slice();
    expect(takeLoss(drift, NaN)).toBe(0);
    expect(drift.state).toEqual(before);
  });

  it('uses the constants that it is given', () => {
    const sensitive = newDrift({ limit: 1, leastRows: 10, silentRows: 5 });
    const deaf = newDrift({ limit: 1000 });
    const losses = [...lossesOf(1, 0.1, 1000), ...lossesOf(2, 0.9, 100)];
    expect(feed(sensitive, losses).length).toBeGreaterThan(1);
    expect(feed(newDrift(), losses).length).toBe(1);
    expect(feed(deaf, losses)).toEqual([]);
  });

  it('goes on from a copy of the arena with the same bytes', () => {
    const [original, copy] = [newDrift(), newDrift()];
    feed(original, lossesOf(1, 0.1, 777));
    copy.bytes.set(original.bytes);
    const losses = [...lossesOf(2, 0.1, 500), ...lossesOf(3, 0.9, 500)];
    const alarms = feed(original, losses);
    expect(feed(copy, losses)).toEqual(alarms);
    expect(alarms.length).toBeGreaterThan(0);
    expect(copy.bytes).toEqual(original.bytes);
  });

  it('says what happened in words', () => {
    const drift = newDrift();
    feed(drift, [...lossesOf(1, 0.1, 3000), ...lossesOf(2, 0.9, 50)]);
    expect(driftInWords(drift)).toMatch(
      /^what was learned no longer holds: the loss rose from 0\.\d{3} to \d\.\d{3}$/,
    );
  });

  it('allocates nothing', () => {
    const drift = newDrift();
    const losses = Float64Array.from(lossesOf(1, 0.1, 4096));
    const take = () => {
      for (let row = 0; row < 200_000; row++) takeLoss(drift, losses[row % 4096]);
    };
    take();
    const meter = new HeapMeter();
    const slices = Array.from({ length: 3 }, () => {
      meter.start();
      take();
      return meter.stop().allocatedBytes / 200_000;
    });
    expect(Math.min(...slices)).toBeLessThan(1);
  });
});
