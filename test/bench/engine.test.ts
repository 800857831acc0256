import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { makeLocal } from './engine/contenders.ts';
import type { Times } from './engine/measure.ts';
import { makePeak } from './engine/peak.ts';
import { type Case, type Row, aimsOf, peakOf, rowsOf } from './engine/report.ts';
import { PASSES, SHAPES, fingerprintOf, flopPerSample, makeTask, sameFingerprint } from './engine/task.ts';

const root = resolve(import.meta.dirname, '..', '..');

describe('npm run bench:engine -- --tiny --json', () => {
  let status: number | null = null;
  let progress = '';
  let rows: Row[] = [];

  beforeAll(() => {
    const bench = join(root, 'test', 'bench', 'engine', 'bench.ts');
    const ended = spawnSync(process.execPath, [bench, '--tiny', '--json'], { encoding: 'utf8' });
    status = ended.status;
    progress = ended.stderr;
    if (ended.status === 0) rows = JSON.parse(ended.stdout) as Row[];
  }, 120_000);

  test('measures every shape, batch and pass in both modes, the meter seeing its control', () => {
    expect(status, progress).toBe(0);
    const keys = rows.map(({ shape, batch, mode, pass }) => `${shape} ${batch} ${mode} ${pass}`);
    expect(new Set(keys).size).toBe(SHAPES.length * 2 * 2 * 2);
    expect(rows).toHaveLength(keys.length);
    expect(progress).toContain('aim at least 0.77 of the peak, got');
  });

  test('gives a row the keys that readers of the array count on, times and ratios being positive', () => {
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) {
      expect(Object.keys(row).join()).toBe(
        'shape,batch,mode,pass,workers,usMin,usMedian,peakFraction,heapBytesPerMillion,gcEvents,ratio',
      );
      expect(Object.keys(row.ratio).join()).toBe('reference,plainJs,c,c128,fann');
      expect(row.usMin).toBeGreaterThan(0);
      expect(row.usMedian).toBeGreaterThanOrEqual(row.usMin);
      expect(row.peakFraction).toBeGreaterThan(0);
      expect(row.ratio.reference).toBeGreaterThan(0);
      expect(row.ratio.plainJs).toBeGreaterThan(0);
      if (row.batch > 1) expect([row.ratio.c128, row.ratio.fann]).toEqual([null, null]);
    }
  });
});

describe('the contenders in JavaScript', () => {
  const cases = [...SHAPES.slice(0, 3), [5, 7, 3] as const].flatMap((shape) =>
    PASSES.flatMap((pass) => [1, 32].map((batch) => ({ shape, pass, batch }))),
  );

  test.each(cases)('predict the same: $shape $pass batch $batch', ({ shape, pass, batch }) => {
    const after = (name: 'strict' | 'reference' | 'plainJs', passes: number): number => {
      const contender = makeLocal(name, makeTask(shape), pass, batch);
      contender.run(passes);
      return fingerprintOf(contender.predict());
    };
    const expected = after('reference', 8);
    expect(after('strict', 8)).toBe(expected);
    expect(sameFingerprint(after('plainJs', 8), expected)).toBe(true);
    // Half the learning is told apart, or the comparison would mean nothing.
    if (pass === 'train') expect(sameFingerprint(after('plainJs', 4), expected)).toBe(false);
  });
});

test('the chains of the peak are counted as they run: 12 of 4 lanes, multiplied and added', () => {
  expect(makePeak().run(10)).toBe(10 * 12 * 4 * 2);
});

test('work is counted in multiplications and additions of the matrices', () => {
  expect(flopPerSample([64, 32, 8], 'train')).toBe(4 * 64 * 32 + 6 * 32 * 8);
  expect(flopPerSample([64, 32, 8], 'infer')).toBe(2 * 64 * 32 + 2 * 32 * 8);
});

function times(usMin: number): Times {
  return { usMin, usMedian: 2 * usMin };
}

describe('the report', () => {
  const measured: Case = {
    shape: [64, 32, 8],
    batch: 1,
    pass: 'train',
    result: {
      times: {
        strict: times(0.25),
        reference: times(5),
        plainJs: times(2),
        c: times(0.5),
        c128: null,
        fann: null,
      },
      heap: {
        strict: { heapBytesPerMillion: 0, gcEvents: 0 },
        reference: { heapBytesPerMillion: 7, gcEvents: 0 },
      },
      peaks: { wasm: [40, 45], c: [30, 40, 50] },
      fingerprint: 1,
    },
  };

  test('takes the higher peak of the two loops and says what it sustains', () => {
    expect(peakOf([measured])).toEqual({ gflops: 50, sustainedGflops: 40, by: 'C' });
    const withoutC = { ...measured, result: { ...measured.result, peaks: { wasm: [40, 45], c: [] } } };
    expect(peakOf([withoutC])).toMatchObject({ gflops: 45, by: 'WebAssembly' });
  });

  test('divides own time by theirs and leaves out what was not measured', () => {
    const [strict, reference] = rowsOf([measured]);
    expect(strict.ratio).toEqual({ reference: 0.05, plainJs: 0.125, c: 0.5, c128: null, fann: null });
    expect(strict.peakFraction).toBeCloseTo(9728 / 250 / 50, 10);
    expect(reference).toMatchObject({ mode: 'reference', usMin: 5, heapBytesPerMillion: 7 });
  });

  test('says of every aim what was got, short or not', () => {
    const lines = aimsOf(rowsOf([measured]), 50 / 40).split('\n');
    expect(lines).toContain('64-32-8     aim at least 0.77 of the peak, got 0.78 (0.97 of the median slice)');
    expect(lines).toContain('64-32-8     aim at most 0.70 x plain C, got 0.50');
    expect(lines).toContain('64-32-8     aim at most 0.10 x plain JS, got 0.13   short of it');
    expect(lines).toContain('2-2-2       aim at most 0.75 x plain C, not measured');
  });
});

describe('the peers', () => {
  const peers = join(root, 'test', 'bench', 'peers');

  test('are pinned by a lock file that names no registry and runs no install script', () => {
    const lock = readFileSync(join(peers, 'package-lock.json'), 'utf8');
    const { packages } = JSON.parse(lock) as { packages: Record<string, Record<string, unknown>> };
    expect(Object.keys(packages).length).toBeGreaterThan(4);
    for (const entry of Object.values(packages)) {
      expect(entry).not.toHaveProperty('resolved');
      expect(entry).not.toHaveProperty('hasInstallScript');
    }
    expect(existsSync(join(peers, '.npmrc'))).toBe(true);
  });
});
