import { describe, expect, it } from 'vitest';
import { CONTROL, NO_LABEL, RECORD, RingReader, RingWriter, makeRing } from '../../src/stream/ring.ts';

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
