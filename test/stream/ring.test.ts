import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import {
  CONTROL,
  NO_LABEL,
  READER,
  RECORD,
  RingReader,
  RingWriter,
  makeRing,
} from '../../src/stream/ring.ts';

const TWO_POW_32 = 2 ** 32;

function pair(capacity: number, firstSequence = 0): { writer: RingWriter; reader: RingReader } {
  const layout = makeRing(2, capacity, firstSequence);
  return { writer: new RingWriter(layout), reader: new RingReader(layout) };
}

/** Takes every record there is, as [kind, sequence, time, datum, first value]. */
function takeAll(reader: RingReader): number[][] {
  const records: number[][] = [];
  for (let left = reader.available(); left > 0; left--) {
    const slot = reader.slot();
    records.push([
      reader.kind(slot),
      reader.sequence(slot),
      reader.timeUs(slot),
      reader.datum(slot),
      reader.values[slot * reader.columns],
    ]);
    reader.release();
  }
  return records;
}

describe('the sample ring', () => {
  it('hands over rows in order, with label, time and values, once they are published', () => {
    const { writer, reader } = pair(4);
    writer.pushRow(Float32Array.of(1.5, 2), 3, 7_000_000_000);
    writer.pushRow(Float32Array.of(-1, 2), NO_LABEL, 7_000_000_001);
    expect(reader.available()).toBe(0);
    writer.publish();
    expect(takeAll(reader)).toEqual([
      [RECORD.row, 0, 7_000_000_000, 3, 1.5],
      [RECORD.row, 1, 7_000_000_001, NO_LABEL, -1],
    ]);
  });

  it('goes on across the wrap of the low word of the sequence number', () => {
    const first = TWO_POW_32 - 5;
    const { writer, reader } = pair(4, first);
    const sequences: number[] = [];
    for (let row = 0; row < 12; row++) {
      expect(writer.pushRow(Float32Array.of(row, 0), NO_LABEL, row)).toBe(true);
      writer.publish();
      for (const record of takeAll(reader)) sequences.push(record[1]);
    }
    expect(sequences).toEqual(Array.from({ length: 12 }, (_, index) => first + index));
  });

  it('refuses the new row when full, also across the wrap, and records the gap before the next row', () => {
    const { writer, reader } = pair(4, TWO_POW_32 - 2);
    const accepted = [0, 1, 2, 3, 4, 5].map((row) => writer.pushRow(Float32Array.of(row, 0), row, row));
    writer.publish();
    expect(accepted).toEqual([true, true, true, true, false, false]);
    expect(writer.refused).toBe(2);
    expect(takeAll(reader).map((record) => record[4])).toEqual([0, 1, 2, 3]);

    expect(writer.pushRow(Float32Array.of(6, 0), 6, 6)).toBe(true);
    writer.publish();
    const after = takeAll(reader);
    expect(after.map(([kind, sequence, , datum]) => [kind, sequence, datum])).toEqual([
      [RECORD.gap, TWO_POW_32 + 2, 2],
      [RECORD.row, TWO_POW_32 + 3, 6],
    ]);
  });

  it('needs room for the gap record and the row before it accepts again', () => {
    const { writer, reader } = pair(2);
    for (let row = 0; row < 3; row++) writer.pushRow(Float32Array.of(row, 0), row, row);
    writer.publish();
    reader.release();
    expect(writer.pushRow(Float32Array.of(3, 0), 3, 3)).toBe(false);
    reader.release();
    expect(writer.pushRow(Float32Array.of(4, 0), 4, 4)).toBe(true);
    writer.publish();
    expect(takeAll(reader).map(([kind, , , datum]) => [kind, datum])).toEqual([
      [RECORD.gap, 2],
      [RECORD.row, 4],
    ]);
  });

  it('records an interruption once, before the next row', () => {
    const { writer, reader } = pair(4);
    writer.pushRow(Float32Array.of(0, 0), 0, 0);
    writer.markGap();
    writer.markGap();
    writer.publish();
    writer.pushRow(Float32Array.of(1, 0), 1, 9);
    writer.pushRow(Float32Array.of(2, 0), 2, 9);
    writer.publish();
    expect(takeAll(reader).map(([kind, , , datum]) => [kind, datum])).toEqual([
      [RECORD.row, 0],
      [RECORD.gap, 0],
      [RECORD.row, 1],
      [RECORD.row, 2],
    ]);
  });

  it('never changes a row that is published and not yet released', () => {
    const { writer, reader } = pair(4);
    for (let row = 0; row < 100; row++) writer.pushRow(Float32Array.of(row, row), row, row);
    writer.publish();
    expect(takeAll(reader).map((record) => record[4])).toEqual([0, 1, 2, 3]);
  });

  it('wakes the reader once for a batch, and not at all for nothing', () => {
    const { writer } = pair(4);
    const signals = (): number => writer.control[CONTROL.signal];
    writer.publish();
    expect(signals()).toBe(0);
    writer.pushRow(Float32Array.of(1, 1), 1, 1);
    writer.pushRow(Float32Array.of(2, 2), 1, 1);
    writer.publish();
    expect(signals()).toBe(1);
  });

  it('refuses a capacity that is no power of two', () => {
    expect(() => makeRing(2, 12)).toThrow(/power of two.*got 12/);
  });
});

const BOTH = [READER.learner, READER.keeper];

function ringOfTwo(capacity: number, firstSequence = 0) {
  const layout = makeRing(2, capacity, firstSequence, BOTH);
  const writer = new RingWriter(layout);
  const learner = new RingReader(layout, READER.learner);
  const keeper = new RingReader(layout, READER.keeper);
  const push = (row: number): boolean => {
    const pushed = writer.pushRow(Float32Array.of(row, row), row, row);
    writer.publish();
    return pushed;
  };
  return { layout, writer, learner, keeper, push };
}

const rowsOf = (records: number[][]): number[] => records.map((record) => record[4]);

describe('a ring with several readers', () => {
  it('gives every record to each of them, and has room only where all have read', () => {
    const { learner, keeper, push } = ringOfTwo(4, TWO_POW_32 - 3);
    for (let row = 0; row < 4; row++) expect(push(row)).toBe(true);
    expect(rowsOf(takeAll(learner))).toEqual([0, 1, 2, 3]);
    expect(push(4)).toBe(false);
    keeper.release();
    keeper.release();
    expect(push(5)).toBe(true);
    expect(rowsOf(takeAll(keeper))).toEqual([2, 3, 0, 5]); // a gap has no values of its own
    expect(takeAll(learner).map(([kind, , , datum]) => [kind, datum])).toEqual([
      [RECORD.gap, 1],
      [RECORD.row, 5],
    ]);
  });

  it('does not wait for one that detached, and lets it in again at the head', () => {
    const { writer, learner, keeper, push } = ringOfTwo(4, TWO_POW_32 - 3);
    push(0);
    keeper.detach();
    for (let row = 1; row < 9; row++) {
      expect(push(row)).toBe(true);
      takeAll(learner);
    }
    expect(keeper.attach()).toBe(writer.nextSequence | 0);
    expect(keeper.available()).toBe(0);
    push(9);
    expect(takeAll(keeper).map((record) => record[1])).toEqual([TWO_POW_32 + 6]);
    takeAll(learner);
    for (let row = 10; row < 14; row++) expect(push(row)).toBe(true);
    expect(rowsOf(takeAll(learner))).toEqual([10, 11, 12, 13]);
    expect(push(14)).toBe(false);
  });

  it('says so to one that lets half the ring wait, and only to that one', () => {
    const { writer, learner, keeper, push } = ringOfTwo(8);
    for (let row = 0; row < 3; row++) push(row);
    takeAll(learner);
    expect([writer.control[learner.late], writer.control[keeper.late]]).toEqual([0, 0]);
    push(3);
    expect([writer.control[learner.late], writer.control[keeper.late]]).toEqual([0, 1]);
  });

  it('puts what has no values among the rows and says where it took effect', () => {
    const { writer, learner, push } = ringOfTwo(4);
    push(0);
    writer.markGap(3);
    expect(writer.pushDatum(9, -7, 5)).toBe(2);
    writer.publish();
    expect(takeAll(learner).map(([kind, sequence, , datum]) => [kind, sequence, datum])).toEqual([
      [RECORD.row, 0, 0],
      [RECORD.gap, 1, 3],
      [9, 2, -7],
    ]);
    push(3);
    expect(writer.pushDatum(9, 0, 6)).toBe(-1); // the keeper has read nothing
    expect(writer.refused).toBe(0);
  });

  it('never shows a reader on another thread a record that changes, while it comes and goes', async () => {
    const { layout, writer, learner, push } = ringOfTwo(16);
    const comesAndGoes = `
      const { parentPort, workerData } = require('node:worker_threads');
      import(workerData.module).then(({ RingReader }) => {
        const reader = new RingReader(workerData.layout, 1);
        let [taken, wrong, visits] = [0, 0, 0];
        parentPort.postMessage('there');
        for (const end = Date.now() + 700; Date.now() < end; visits++) {
          let expected;
          for (let turn = 0; turn < 50; turn++) {
            for (let left = reader.available(); left > 0; left--) {
              const slot = reader.slot();
              const sequence = reader.sequence(slot);
              const row = reader.values[slot * 2];
              for (let look = 0; look < 20; look++) if (reader.values[slot * 2 + 1] !== row) wrong += 1;
              if (expected !== undefined && sequence !== expected) wrong += 1;
              if (reader.kind(slot) === 1 && reader.timeUs(slot) !== row) wrong += 1;
              expected = sequence + 1;
              taken += 1;
              reader.release();
            }
          }
          reader.detach();
          reader.attach();
        }
        reader.detach();
        parentPort.postMessage({ taken, wrong, visits });
      });`;
    const module = new URL('../../src/stream/ring.ts', import.meta.url).href;
    const worker = new Worker(comesAndGoes, { eval: true, workerData: { layout, module } });
    const found = await new Promise<{ taken: number; wrong: number; visits: number }>((resolve, reject) => {
      let row = 0;
      let running = true;
      worker.on('error', reject);
      worker.on('message', (message: 'there' | { taken: number; wrong: number; visits: number }) => {
        if (message !== 'there') {
          running = false;
          resolve(message);
          return;
        }
        const feed = (): void => {
          for (let turn = 0; turn < 2000; turn++, row++) {
            push(row % 1e6);
            for (let left = learner.available(); left > 0; left--) learner.release();
          }
          if (running) setImmediate(feed);
        };
        feed();
      });
    });
    await worker.terminate();
    expect(found.wrong).toBe(0);
    expect(found.taken).toBeGreaterThan(1000);
    expect(found.visits).toBeGreaterThan(10);
    expect(writer.refused).toBeGreaterThan(0);
  });
});
