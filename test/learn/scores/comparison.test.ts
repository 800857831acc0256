import { describe, expect, it } from 'vitest';
import { ArenaPlan } from '../../../src/engine/arena.ts';
import { mulberry32 } from '../../../src/engine/random.ts';
import {
  type Comparison,
  type Gain,
  type Scale,
  QUANTILES_31,
  QUANTILES_47,
  compareLosses,
  gainOf,
  openComparison,
  planComparison,
  verdictOf,
} from '../../../src/learn/scores/comparison.ts';

const SHARE: Scale = { relative: false, largest: 1 };
const QUOTIENT: Scale = { relative: true, largest: 0 };

function open(pairs = 1): Comparison {
  const plan = new ArenaPlan();
  const parts = planComparison(plan, 'test', pairs);
  return openComparison(plan.allocate().buffer, parts);
}

function compare(comparison: Comparison, answer: number, baseline: number, pair = 0): void {
  comparison.losses[0] = answer;
  comparison.losses[1] = baseline;
  compareLosses(comparison, pair);
}

/** P(|t| > quantile), by the density's integral with t = √df·tan u. */
function exceeds(quantile: number, degrees: number): number {
  const steps = 200_000;
  const integral = (from: number): number => {
    const width = (Math.PI / 2 - from) / steps;
    let sum = 0;
    for (let step = 0; step < steps; step++) sum += Math.cos(from + (step + 0.5) * width) ** (degrees - 1);
    return sum * width;
  };
  return integral(Math.atan(quantile / Math.sqrt(degrees))) / integral(0);
}

/** Draws the next pair of losses. */
type Losses = (comparison: Comparison) => void;

/** Losses whose difference is 1, 0 or −1 for runs of a mean length; the mean gain is 0. */
function runs(random: () => number, length: number): Losses {
  let answer = 0;
  let baseline = 0;
  return (comparison) => {
    if (random() < 1 / length) {
      answer = random() < 0.3 ? 1 : 0;
      baseline = random() < 0.3 ? 1 : 0;
    }
    compare(comparison, answer, baseline);
  };
}

/** Squared errors of two, whose sizes follow an AR(1) each; the mean gain is 0. */
function alike(random: () => number, memory: number): Losses {
  const normal = (): number => random() + random() + random() + random() - 2;
  let first = 0;
  let second = 0;
  for (let row = 0; row < 5000; row++) {
    first = memory * first + normal();
    second = memory * second + normal();
  }
  return (comparison) => {
    first = memory * first + normal();
    second = memory * second + normal();
    compare(comparison, first * first, second * second);
  };
}

/**
 * The share of streams in which every interval that anybody could see at any row holds the true gain of 0.
 * Looks are where the interval changes: multiples of 128 rows are all of them beyond 256 rows.
 */
function coverage(
  make: (random: () => number) => Losses,
  scale: Scale,
  streams: number,
  rows: number,
): number {
  let held = 0;
  for (let seed = 1; seed <= streams; seed++) {
    const next = make(mulberry32(7919 * seed));
    const comparison = open();
    let misses = false;
    for (let row = 1; row <= rows; row++) {
      next(comparison);
      if (row % 128 !== 0) continue;
      const { low, high } = gainOf(comparison, 0, scale);
      if (low > 0 || high < 0) misses = true;
    }
    if (!misses) held += 1;
  }
  return held / streams;
}

function gainBetween(low: number, high: number): Gain {
  return { rows: 1, answerLoss: 0, baselineLoss: 0, gain: 0, low, high };
}

/** Verdicts over 60 streams, on an answer beside a baseline that errs in 0.2 of the rows. */
function outcomes(answerErrors: number, rows: number, useful: number): Record<string, number> {
  const verdicts: Record<string, number> = { better: 0, notYet: 0, noBetter: 0 };
  for (let seed = 1; seed <= 60; seed++) {
    const random = mulberry32(104_729 * seed);
    const comparison = open();
    // What both do depends on a state that lasts, so that their losses are alike over 20 rows.
    let hard = 0;
    for (let row = 0; row < rows; row++) {
      if (random() < 0.05) hard = random() < 0.5 ? 0.1 : 0;
      compare(comparison, random() < answerErrors + hard ? 1 : 0, random() < 0.2 + hard ? 1 : 0);
    }
    verdicts[verdictOf(gainOf(comparison, 0, SHARE), useful)] += 1;
  }
  return verdicts;
}

/** Rows after which there is an interval. */
function firstInterval(gain: (row: number) => number): number {
  const comparison = open();
  for (let row = 1; row <= 20_000; row++) {
    compare(comparison, 0, gain(row));
    if (row % 128 === 0 && !Number.isNaN(gainOf(comparison, 0, SHARE).low)) return row;
  }
  return Infinity;
}

describe('the comparison of an answer with a baseline', () => {
  it('has the quantiles of t for the errors it spends, and spends less than 5 % in all', () => {
    let spent = 0;
    QUANTILES_31.forEach((quantile, index) => {
      const error = 0.05 / ((index + 1) * (index + 2)) / 2;
      expect(exceeds(quantile, 31) / error).toBeCloseTo(1, 3);
      expect(exceeds(QUANTILES_47[index], 47) / error).toBeCloseTo(1, 3);
      spent += 2 * error;
    });
    expect(spent).toBeLessThan(0.05);
    expect(QUANTILES_47).toHaveLength(QUANTILES_31.length);
  });

  it('sums every row into exactly one block, in constant memory', () => {
    const comparison = open(2);
    const random = mulberry32(5);
    let answers = 0;
    let baselines = 0;
    for (let row = 1; row <= 10_000; row++) {
      const answer = Math.floor(8 * random());
      const baseline = Math.floor(8 * random());
      answers += answer;
      baselines += baseline;
      compare(comparison, answer, baseline, 1);
      if (row % 997 !== 0) continue;
      const blocks = comparison.blocks.subarray(130);
      const filled = comparison.progress[8 + 3];
      const total = (first: number): number =>
        blocks.slice(first, first + filled).reduce((sum, loss) => sum + loss, blocks[first + 64]);
      expect(total(0)).toBe(answers);
      expect(total(65)).toBe(baselines);
    }
    expect(comparison.blocks.subarray(0, 130).every((loss) => loss === 0)).toBe(true);
    expect(gainOf(comparison, 1, SHARE).gain).toBeCloseTo((baselines - answers) / 10_000, 12);
  });

  // Streams that are looked at all the time. What coverage is promised stands in comparison.ts.
  it.each<[string, (random: () => number) => Losses, Scale, number]>([
    ['rows independent', (random) => runs(random, 1), SHARE, 0.95],
    ['runs of 10 rows', (random) => runs(random, 10), SHARE, 0.95],
    ['runs of 50 rows', (random) => runs(random, 50), SHARE, 0.95],
    ['runs of 200 rows', (random) => runs(random, 200), SHARE, 0.95],
    ['squared errors, independent', (random) => alike(random, 0), QUOTIENT, 0.95],
    ['squared errors, alike over 10 rows', (random) => alike(random, 0.9), QUOTIENT, 0.95],
    ['squared errors, alike over 100 rows', (random) => alike(random, 0.99), QUOTIENT, 0.95],
  ])('keeps its 95 %% at all looks together: %s', (name, make, scale, promised) => {
    const held = coverage(make, scale, 300, 16_384);
    process.stdout.write(
      `  all intervals of a stream hold in ${(100 * held).toFixed(1)} % of 300: ${name}\n`,
    );
    // Three deviations of a share of 300.
    expect(held).toBeGreaterThan(promised - 3 * Math.sqrt((promised * (1 - promised)) / 300));
  });

  it('says nothing before 256 rows, and stays the same between two looks', () => {
    const comparison = open();
    const next = runs(mulberry32(3), 1);
    for (let row = 0; row < 255; row++) next(comparison);
    expect(gainOf(comparison, 0, SHARE)).toMatchObject({ rows: 255, low: NaN, high: NaN });
    next(comparison);
    const first = gainOf(comparison, 0, SHARE);
    expect(first.high - first.low).toBeGreaterThan(0);
    for (let row = 0; row < 127; row++) next(comparison);
    expect(gainOf(comparison, 0, SHARE)).toMatchObject({ low: first.low, high: first.high });
    next(comparison);
    expect(gainOf(comparison, 0, SHARE).low).not.toBe(first.low);
  });

  it('waits until blocks are longer than the memory of the stream, and not for a slow drift under noise', () => {
    const random = mulberry32(8);
    // Runs of exactly 50, then of 200 rows, one as likely good as bad.
    const good = Array.from({ length: 400 }, () => (random() < 0.5 ? 1 : 0));
    expect(firstInterval((row) => good[Math.floor(row / 50)])).toBeGreaterThan(1000);
    expect(firstInterval((row) => good[Math.floor(row / 200)])).toBeGreaterThan(4000);
    expect(firstInterval((row) => row / 1000 + 4 * random())).toBe(256);
    expect(firstInterval(() => 1)).toBe(256);
  });

  it('allows for events that did not come yet: two that are always right are not known to be equal', () => {
    const comparison = open();
    for (let row = 0; row < 1024; row++) compare(comparison, 0, 0);
    const { low, high } = gainOf(comparison, 0, SHARE);
    expect(high).toBeGreaterThan(3 / 1024);
    expect(low).toBe(-high);
  });

  it('finds the better one better, the equal one no better in the end, the worse one no better', () => {
    const better = outcomes(0.1, 8192, 0.005);
    const young = outcomes(0.2, 512, 0.005);
    const equal = outcomes(0.2, 262_144, 0.02);
    const worse = outcomes(0.3, 8192, 0.005);
    process.stdout.write(`  verdicts of 60: ${JSON.stringify({ better, young, equal, worse })}\n`);
    expect(better.better).toBeGreaterThanOrEqual(57);
    expect(young.notYet).toBeGreaterThanOrEqual(57);
    expect(equal.better).toBeLessThanOrEqual(3);
    expect(equal.noBetter).toBeGreaterThanOrEqual(54);
    expect(worse.noBetter).toBeGreaterThanOrEqual(57);
  });

  it('has a verdict for each side of the interval', () => {
    expect(verdictOf(gainBetween(0.001, 0.002), 0.005)).toBe('better');
    expect(verdictOf(gainBetween(-0.01, 0.01), 0.005)).toBe('notYet');
    expect(verdictOf(gainBetween(-0.01, 0.004), 0.005)).toBe('noBetter');
    expect(verdictOf(gainBetween(-0.02, -0.01), 0.005)).toBe('noBetter');
    expect(verdictOf(gainBetween(NaN, NaN), 0.005)).toBe('notYet');
  });
});
