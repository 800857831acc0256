import { describe, expect, it } from 'vitest';
import { runKills } from './kills.ts';
import { PROMISED_MS, runPowerCuts } from './power-cuts.ts';

/** A few of what `npm run torture` does by the hundred. */
describe('the store', () => {
  it(
    'gives the same weights after kills at random moments as without one',
    { timeout: 120_000 },
    async () => {
      const result = await runKills(4, 20_261_125, () => {});
      expect(result).toMatchObject({ kills: 4, identical: true, lostAcknowledged: 0, learnedTwice: 0 });
      expect(result.problems).toEqual([]);
    },
  );

  it('loses no more than it promises when the power fails', { timeout: 120_000 }, async () => {
    const result = await runPowerCuts(40, 20_261_125);
    expect(result).toMatchObject({ powerCuts: 40, different: 0, lostAcknowledged: 0 });
    expect(result.lostMsMax).toBeLessThanOrEqual(PROMISED_MS);
    expect(result.problems).toEqual([]);
  });
});
