import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { AnomalyRow } from './anomaly.ts';
import { GROUPS, setsAreThere } from './anomaly-sets.ts';
import type { DriftRow } from './drift.ts';
import { ELEC2_FILE, WISDM_FILE } from './drift-streams.ts';
import { FAULT_KINDS, withFaults } from './anomaly-faults.ts';
import { rocAuc } from './anomaly-scoring.ts';

async function run<Row>(bench: string): Promise<Row[]> {
  const file = join(import.meta.dirname, bench);
  const { stdout } = await promisify(execFile)(process.execPath, [file, '--tiny', '--json']);
  return JSON.parse(stdout) as Row[];
}

const NAB_FILES = ['nab/machine_temperature.csv', 'nab/ambient_temperature.csv', 'reference/nab.json'];
const anomalySets = setsAreThere([...GROUPS.map(({ file }) => file), ...NAB_FILES]);
const driftSets = setsAreThere([WISDM_FILE, ELEC2_FILE]);

describe('npm run bench:anomaly', () => {
  it.skipIf(!anomalySets)(
    'runs; the detector finds more than its parts, and the plain autoencoder is that of the protocol',
    async () => {
      const rows = await run<AnomalyRow>('anomaly.ts');
      const auc = (what: string) =>
        rows.find((row) => row.section === 'faults' && row.set === 'all' && row.what === what)!.auc as number;
      for (const other of ['T of the row', 'squared error', 'largest |z|']) {
        expect(auc('score and stuck rule')).toBeGreaterThan(auc(other));
      }
      // One seed against the mean of five.
      const protocol = rows.filter(({ section }) => section === 'protocol');
      expect(protocol.length).toBeGreaterThan(10);
      for (const { what, ours, reference, referenceSd } of protocol) {
        const distance = Math.abs((ours as number) - (reference as number));
        expect(distance, what).toBeLessThan(0.01 + 3 * (referenceSd as number));
      }
      for (const { alarms, budget } of rows.filter(({ section }) => section === 'budget')) {
        expect(alarms).toBeLessThanOrEqual((budget as number) + 3);
      }
    },
    60_000,
  );
});

describe('npm run bench:drift', () => {
  it.skipIf(!driftSets)(
    'runs, and sees labels swapped',
    async () => {
      const rows = await run<DriftRow>('drift.ts');
      const swapped = rows.find(
        ({ stream, detector }) => stream === 'swapped labels' && detector === 'two means',
      )!;
      expect(swapped.found).toBe(100);
      expect(swapped.falseAlarms).toBe(0);
      expect(swapped.delayRows).toBeLessThan(60);
    },
    60_000,
  );
});

describe('what the benches are made of', () => {
  it('puts every kind of fault where it says, and nothing elsewhere', () => {
    const rows = 6000;
    const values = Float32Array.from({ length: 2 * rows }, (_, at) => Math.sin(at / 7) + (at % 2));
    const series = withFaults({ columns: 2, rows, values }, 1000, 1);
    expect(new Set(series.faults.map(({ kind }) => kind))).toEqual(new Set(FAULT_KINDS));
    const touched = new Uint8Array(2 * rows);
    for (const { begin, end, column } of series.faults) {
      expect(begin).toBeGreaterThanOrEqual(1000);
      for (let row = begin; row < end; row++) touched[2 * row + column] = 1;
      expect(series.values.subarray(2 * begin, 2 * end)).not.toEqual(values.subarray(2 * begin, 2 * end));
    }
    const changedElsewhere = series.values.findIndex(
      (value, at) => touched[at] === 0 && value !== values[at],
    );
    expect(changedElsewhere).toBe(-1);
  });

  it('counts ties as half in the area under the curve', () => {
    expect(rocAuc([1, 2], [3, 4])).toBe(1);
    expect(rocAuc([3, 4], [1, 2])).toBe(0);
    expect(rocAuc([1, 2], [2, 3])).toBe(0.875);
    expect(rocAuc([1, 1], [1])).toBe(0.5);
  });
});
