import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ParallelRow } from './engine-parallel.ts';

test('npm run bench:parallel -- --tiny --json measures one worker and teams, which learn the same', () => {
  const bench = join(import.meta.dirname, 'engine-parallel.ts');
  const ended = spawnSync(process.execPath, [bench, '--tiny', '--json'], { encoding: 'utf8' });
  expect(ended.status, ended.stderr).toBe(0);
  const rows = JSON.parse(ended.stdout) as ParallelRow[];
  expect(rows.length).toBeGreaterThan(0);
  expect(new Set(rows.map(({ workers }) => workers)).size).toBeGreaterThan(1);
  for (const row of rows) {
    expect(Object.keys(row).join()).toBe('shape,batch,rule,workers,usMin,usMedian,ratio,workersFor');
    expect(row.usMin).toBeGreaterThan(0);
    expect(row.usMedian).toBeGreaterThanOrEqual(row.usMin);
    if (row.workers === 1) expect(row.ratio).toBe(1);
  }
  expect(ended.stderr).toContain('models 64-32-8');
});
