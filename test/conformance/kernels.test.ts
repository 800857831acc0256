import { describe, expect, test } from 'vitest';
import { type Case, FACTORS, longRunHash, pairwiseGrid, runCase, runCases, runPacedCase } from './kernels.ts';

/** Of the arithmetic as it is defined; changes only with the arithmetic version. */
const LONG_RUN_HASH = '1048c451c91c3b4e64c34e270cb238f5288e456a58a3bcb19258d2d7ac1145d2';

const CASE: Case = {
  shape: [5, 7, 3],
  hiddenActivation: 'tanh',
  outputActivation: 'sigmoid',
  loss: 'halfSquared',
  optimiser: 'sgd',
  limits: 'none',
  batch: 1,
  calls: 'queued',
  data: 'random',
};

describe('kernels and reference', () => {
  test('give the same bytes wherever two factors of the grid meet', { timeout: 60_000 }, () => {
    const outcome = runCases(pairwiseGrid(), 400);
    expect(outcome.bytes).toBeGreaterThan(15_000_000);
    expect(outcome.learned).toBeGreaterThan(20_000);
    expect(outcome.skipped).toBeGreaterThan(500);
  });

  test('give the same bytes over thousands of steps of every optimiser, extreme samples among them', () => {
    for (const optimiser of FACTORS.optimiser) {
      for (const batch of [1, 5]) runCase({ ...CASE, optimiser, batch, data: 'extreme' }, 5_000);
    }
  });

  test('give the same bytes at rates chosen step by step, of networks and of linear models', () => {
    const sum = { learned: 0, skipped: 0 };
    for (const shape of FACTORS.shape) {
      for (const hiddenActivation of FACTORS.hiddenActivation) {
        for (const loss of FACTORS.loss) {
          for (const data of FACTORS.data) {
            const of = {
              ...CASE,
              shape,
              hiddenActivation,
              loss,
              data,
              outputActivation: 'identity',
            } as const;
            for (const linear of [false, true]) {
              const outcome = runPacedCase(of, 40, linear);
              sum.learned += outcome.learned;
              sum.skipped += outcome.skipped;
            }
          }
        }
      }
    }
    expect(sum.learned).toBeGreaterThan(60_000);
    expect(sum.skipped).toBeGreaterThan(2_000);
  });

  test('give the same bytes after a long run as on every other machine', () => {
    expect(longRunHash('kernels')).toBe(LONG_RUN_HASH);
    expect(longRunHash('reference')).toBe(LONG_RUN_HASH);
  });

  test('learn on where the cheap bound trips but every new value is finite', () => {
    for (const optimiser of FACTORS.optimiser) {
      const { learned, skipped } = runCase({ ...CASE, optimiser, data: 'huge' }, 300);
      expect(learned).toBeGreaterThan(200);
      expect(skipped).toBe(0);
    }
  });

  test('agree on the sign of zero', () => {
    for (const shape of FACTORS.shape) {
      for (const hiddenActivation of FACTORS.hiddenActivation) {
        const { learned } = runCase(
          { ...CASE, shape, hiddenActivation, outputActivation: 'identity', data: 'zeros' },
          100,
        );
        expect(learned).toBeGreaterThanOrEqual(100);
      }
    }
  });

  test('skip the step of a sample that is not finite and go on with the next', () => {
    for (const shape of FACTORS.shape) {
      const { learned, skipped } = runCase({ ...CASE, shape, data: 'extreme' }, 1_000);
      expect(skipped).toBeGreaterThan(20);
      expect(learned).toBeGreaterThan(700);
    }
  });
});

describe('the grid', () => {
  test('has every value of every factor in its pairwise part', () => {
    const cases = pairwiseGrid();
    for (const [name, values] of Object.entries(FACTORS)) {
      const met = new Set(cases.map((each) => each[name as keyof Case]));
      expect(met.size, name).toBe(values.length);
    }
  });
});
