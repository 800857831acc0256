import { describe, expect, it } from 'vitest';
import { Progress } from '../../src/cli/progress.ts';

interface Scene {
  progress: Progress;
  at(ms: number, done: number, note?: string): void;
  written: string[];
}

function scene(isTTY: boolean, total: number | null = 1000): Scene {
  let nowMs = 0;
  const written: string[] = [];
  const stream = { isTTY, columns: 100, write: (text: string) => written.push(text) };
  const progress = new Progress(stream as unknown as NodeJS.WriteStream, {
    what: 'training',
    unit: 'rows',
    total: total ?? undefined,
    now: () => nowMs,
  });
  return {
    progress,
    written,
    at(ms, done, note) {
      nowMs = ms;
      progress.update(done, note);
    },
  };
}

describe('progress', () => {
  it('is silent for two seconds', () => {
    const { at, written, progress } = scene(true);
    for (let ms = 0; ms < 2000; ms += 100) at(ms, ms / 10);
    progress.end();
    expect(written).toEqual([]);
  });

  it('renews one line on a terminal, with a bar, the rate and the time left', () => {
    const { at, written, progress } = scene(true);
    at(2000, 200);
    at(2100, 210); // too soon after the last one
    at(3000, 300, 'epoch 3');
    progress.end();
    expect(written).toEqual([
      '\r\x1b[Ktraining [####................] 20 %  100 rows/s  8 s left',
      '\r\x1b[Ktraining [######..............] 30 %  100 rows/s  7 s left  epoch 3',
      '\n',
    ]);
  });

  it('is a plain line every five seconds elsewhere', () => {
    const { at, written, progress } = scene(false);
    for (let ms = 0; ms <= 8000; ms += 500) at(ms, ms / 10);
    progress.end();
    expect(written).toEqual([
      'training [####................] 20 %  100 rows/s  8 s left\n',
      'training [##############......] 70 %  100 rows/s  3 s left\n',
    ]);
  });

  it('follows work that becomes slower', () => {
    const { at, written } = scene(true, 1e6);
    at(2000, 200_000);
    for (let ms = 3000; ms <= 60_000; ms += 1000) at(ms, 200_000 + ms / 10);
    expect(written[0]).toContain('100 k rows/s  8 s left');
    expect(written.at(-1)).toContain('100 rows/s  2 h 12 min left');
  });

  it('says what is done where the end is not known', () => {
    const { at, written } = scene(false, null);
    at(4000, 5_000_000);
    expect(written).toEqual(['training  5.00 M rows  1.25 M rows/s\n']);
  });

  it('does not promise an end to work that stands still', () => {
    const { at, written } = scene(true);
    at(2000, 0);
    expect(written).toEqual(['\r\x1b[Ktraining [....................] 0 %  0 rows/s']);
  });
});
