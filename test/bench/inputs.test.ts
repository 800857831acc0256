import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FEATURE_KINDS } from '../../src/stream/inputs.ts';
import type { InputsRow } from './inputs.ts';

test('npm run bench:inputs -- --tiny --json measures every feature', () => {
  const bench = join(import.meta.dirname, 'inputs.ts');
  const ended = spawnSync(process.execPath, [bench, '--tiny', '--json'], { encoding: 'utf8' });
  expect(ended.status, ended.stderr).toBe(0);
  const rows = JSON.parse(ended.stdout) as InputsRow[];
  expect(new Set(rows.map(({ feature }) => feature))).toEqual(new Set(['scaler', ...FEATURE_KINDS]));
  for (const row of rows) {
    expect(Object.keys(row).join()).toBe(
      'feature,columns,windowRows,hopRows,nsMin,nsMedian,nsPerColumn,heapBytesPerRow',
    );
    expect(row.nsMin).toBeGreaterThan(0);
    expect(row.nsMedian).toBeGreaterThanOrEqual(row.nsMin);
  }
  expect(ended.stderr).toMatch(/result [0-9a-f]{16}/);
});
