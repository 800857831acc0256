/** `npm run torture`, short. */
import { describe, expect, it } from 'vitest';
import { runKills } from './kills.ts';
import { measureCosts } from './measures.ts';
import { PROMISED_MS, runPowerCuts } from './power-cuts.ts';

/** Records come every 10 ms, and the disk is now and then still busy when it should sync again. */
const STEPS_MS = 50;

describe('what was acknowledged', () => {
  it('is there after power cuts, and nothing else is', { timeout: 120_000 }, async () => {
    const seed = Date.now() % 1_000_000;
    const { powerCuts, different, lostAcknowledged, lostMsMax, problems } = await runPowerCuts(60, seed);
    const found = { seed, powerCuts, different, lostAcknowledged, problems };
    expect(found).toEqual({ seed, powerCuts: 60, different: 0, lostAcknowledged: 0, problems: [] });
    expect(lostMsMax).toBeLessThanOrEqual(PROMISED_MS + STEPS_MS);
  });

  it('is there after kills of the program, learned once', { timeout: 120_000 }, async () => {
    const seed = Date.now() % 1_000_000;
    const { kills, identical, lostAcknowledged, learnedTwice, problems } = await runKills(5, seed);
    expect({ seed, kills, identical, lostAcknowledged, learnedTwice, problems }).toEqual({
      seed,
      kills: 5,
      identical: true,
      lostAcknowledged: 0,
      learnedTwice: 0,
      problems: [],
    });
  });

  it('costs what can be measured', { timeout: 120_000 }, async () => {
    const costs = await measureCosts(7, 1, 20_000);
    expect(Object.keys(costs)).toEqual([
      'writeAmplification',
      'worstPauseMs',
      'worstPauseUnslowedMs',
      'resumeTimesRealTime',
    ]);
    expect(costs.resumeTimesRealTime).toBeGreaterThan(0);
  });
});
