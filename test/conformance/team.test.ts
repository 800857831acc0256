import type { Piscina } from 'piscina';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTrainingPool } from '../../src/learn/parallel.ts';
import { type Case, FACTORS, type Outcome, pairwiseGrid, runTeamCase } from './kernels.ts';

const WORKERS_MAX = 4;

/** Five panels, which neither 2 nor 3 nor 4 workers can share alike. */
const CASE: Case = {
  shape: [40, 65, 3],
  hiddenActivation: 'relu',
  outputActivation: 'sigmoid',
  loss: 'halfSquared',
  optimiser: 'sgd',
  limits: 'none',
  batch: 1,
  calls: 'queued',
  data: 'extreme',
};

let pool: Piscina;
beforeAll(() => {
  pool = openTrainingPool(WORKERS_MAX - 1);
});
afterAll(() => pool.close());

test('a team gives the bytes of the reference wherever two factors of the grid meet', async () => {
  const cases = pairwiseGrid(2).filter(({ calls }) => calls !== 'single');
  const sum = { bytes: 0, learned: 0, skipped: 0 };
  for (const [index, each] of cases.entries()) {
    const { bytes, learned, skipped } = await runTeamCase(each, 200, 2 + (index % (WORKERS_MAX - 1)), pool);
    sum.bytes += bytes;
    sum.learned += learned;
    sum.skipped += skipped;
  }
  expect(sum.bytes).toBeGreaterThan(3_000_000);
  expect(sum.learned).toBeGreaterThan(3_000);
  expect(sum.skipped).toBeGreaterThan(200);
});

test('1, 2, 3 and 4 workers give the bytes of the reference over hundreds of steps of every optimiser', async () => {
  for (const optimiser of FACTORS.optimiser) {
    for (const batch of [1, 5]) {
      const outcomes: Outcome[] = [];
      for (let workers = 1; workers <= WORKERS_MAX; workers++) {
        outcomes.push(await runTeamCase({ ...CASE, optimiser, batch }, 500, workers, pool));
      }
      expect(new Set(outcomes.map(({ learned }) => learned)).size).toBe(1);
      expect(outcomes[0].learned).toBeGreaterThan(50);
      expect(outcomes[0].skipped).toBeGreaterThan(5);
    }
  }
});

test('a team and the reference take turns on one arena', async () => {
  for (const data of ['random', 'huge'] as const) {
    for (const optimiser of FACTORS.optimiser) {
      const { learned } = await runTeamCase({ ...CASE, optimiser, data, calls: 'turns' }, 200, 2, pool);
      expect(learned).toBeGreaterThan(150);
    }
  }
});
