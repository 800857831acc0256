import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

interface Document {
  engine: { shape: string; mode: string; heapBytesPerStep: number; gcEvents: number; checksum: number }[];
  serial: { reader: string; mode: string; rowsPerSecond: number; lost: number }[];
}

describe('npm run bench:serial', () => {
  it('reads every row in flood and paced, beside what the tty costs, and with a learner', async () => {
    const bench = join(import.meta.dirname, 'serial/bench.ts');
    const args = [bench, '--tiny', '--dialects', 'frames', '--json'];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const rows = JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, number | string>[];
    expect(rows.map(({ dialect, mode }) => `${dialect} ${mode}`)).toEqual([
      'frames flood',
      'frames paced',
      'numbers sustained',
    ]);
    expect(rows[2].learned).toBeGreaterThan(0); // what a busy machine loses of a source that does not wait is its own
    for (const row of rows.slice(0, 2)) {
      expect(row.lost).toBe(0);
      for (const key of ['rowsPerSecond', 'mbPerSecond', 'cpuUsPerRow', 'cpuRatio', 'cpuRatioCeiling']) {
        expect(row[key], key).toBeGreaterThan(0);
      }
      expect(row.decodeHeapBytesPerRow).toBeLessThan(2); // of a few thousand rows, not compiled yet
    }
  }, 60_000);
});

describe('npm run bench', () => {
  it('runs, loses no row, and sees an allocation where there is one', async () => {
    const bench = join(import.meta.dirname, 'bench.ts');
    const { stdout } = await promisify(execFile)(process.execPath, [bench, '--tiny', '--json']);
    const { engine, serial } = JSON.parse(stdout.trim().split('\n').at(-1)!) as Document;
    expect(new Set(engine.map(({ shape }) => shape))).toEqual(
      new Set(['2-2-2', '6-16-3', '64-32-8', '128-64-10', '784-128-10']),
    );
    const control = engine.find(({ mode }) => mode === 'allocating')!;
    const honest = engine.find(({ shape, mode }) => shape === control.shape && mode !== 'allocating')!;
    expect(control.heapBytesPerStep - honest.heapBytesPerStep).toBeGreaterThan(100);
    expect(control.checksum).toBe(honest.checksum);
    expect(serial.map(({ reader, mode, lost }) => `${reader} ${mode} ${lost}`)).toEqual([
      'stream flood 0',
      'edgeloop flood 0',
      'stream paced 0',
      'edgeloop paced 0',
    ]);
  }, 60_000);
});
