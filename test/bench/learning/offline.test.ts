import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { OfflineDocument } from './offline.ts';
import { DATA, readReferences } from './offline-sets.ts';

const missing = readReferences() === undefined;
if (missing)
  console.warn(`SKIPPED: the offline table, the public sets are not in ${DATA}. Set EDGELOOP_DATA.`);

test.skipIf(missing)(
  'npm run bench:offline -- --tiny --json: each task once is within a point or 2 % of the reference',
  async () => {
    const bench = join(import.meta.dirname, 'offline.ts');
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [bench, '--tiny', '--json']);
    const { golden, offline } = JSON.parse(stdout) as OfflineDocument;
    expect(golden.length).toBe(9);
    expect(new Set(offline.map(({ task }) => task)).size).toBe(10);
    for (const row of [...golden, ...offline]) expect(row.isWithin, JSON.stringify(row)).toBe(true);
    expect(stderr).toContain('0 outside the tolerance');
  },
  120_000,
);
