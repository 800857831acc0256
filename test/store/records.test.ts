import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HeapMeter } from '../../src/learn/heap-meter.ts';
import { RecordBatch, readRecords } from '../../src/store/records.ts';
import { SegmentWriter } from '../../src/store/segment-writer.ts';
import { FRAME, STREAM, SegmentReader } from '../../src/store/segments.ts';
import { HEAD, NO_LABEL, RECORD, RingReader, RingWriter, makeRing } from '../../src/stream/ring.ts';

interface Entry {
  kind: number;
  sequence: number;
  timeUs: number;
  flags: number;
  datum: number;
  /** Bits of float32, empty for none. */
  values: number[];
}

const high = (value: number): number => Math.floor(value / 2 ** 32);

function headOf({ kind, sequence, timeUs, flags, datum }: Entry): Int32Array {
  return Int32Array.of(kind, flags, sequence, high(sequence), timeUs, high(timeUs), datum, 0);
}

function entryOf(head: Int32Array, values: Uint32Array): Entry {
  const whole = (low: number): number => head[low + 1] * 2 ** 32 + (head[low] >>> 0);
  return {
    kind: head[HEAD.kind],
    sequence: whole(HEAD.sequenceLow),
    timeUs: whole(HEAD.timeLow),
    flags: head[HEAD.flags],
    datum: head[HEAD.datum],
    values: [...values],
  };
}

function decode(payloads: readonly Uint8Array[]): Entry[] {
  const entries: Entry[] = [];
  for (const payload of payloads) {
    readRecords('here', payload, (head, values) => entries.push(entryOf(head, values)));
  }
  return entries;
}

function encode(entries: readonly Entry[], columns: number, bytesMax = 10_000): Uint8Array[] {
  const payloads: Uint8Array[] = [];
  const batch = new RecordBatch(columns, bytesMax, (payload) => payloads.push(payload.slice()));
  for (const entry of entries) {
    const { values } = entry;
    const heads = Int32Array.of(0, 0, 0, ...headOf(entry));
    batch.add(heads, 3, values.length === 0 ? null : Uint32Array.of(0, 0, ...values), 2);
  }
  batch.flush();
  batch.flush();
  return payloads;
}

const row = (sequence: number, timeUs: number, datum: number, ...values: number[]): Entry => ({
  kind: RECORD.row,
  sequence,
  timeUs,
  flags: 0,
  datum,
  values,
});

const ENTRIES: readonly Entry[] = [
  row(7, 1_000_000, NO_LABEL, 0x3f800000, 0x80000000),
  row(8, 1_000_000, 3, 0x7fc00000, 0xffa00001),
  { kind: RECORD.gap, sequence: 9, timeUs: 1_000_500, flags: 0, datum: 12, values: [] },
  row(10, 1_001_000, 3, 1, 0xffffffff),
  { ...row(11, 9_000_000_000_000, -(2 ** 31), 0, 0), flags: -1, kind: 255 },
];

describe('a batch of records', () => {
  it('gives back kind, sequence, time, flags, datum and the bits of the values, a NaN of any kind included', () => {
    const payloads = encode(ENTRIES, 2);
    expect(payloads).toHaveLength(1);
    expect(decode(payloads)).toEqual(ENTRIES);
  });

  it('begins anew where a sequence number or a time does not follow, and when it is full', () => {
    const entries = [row(5, 10, 1, 1), row(7, 10, 1, 2), row(8, 9, 1, 3), row(9, 2 ** 53 - 1, 1, 4)];
    expect(encode(entries, 1)).toHaveLength(3);
    expect(decode(encode(entries, 1))).toEqual(entries);
    const many = Array.from({ length: 1000 }, (_, i) => row(2 ** 40 + i, i, i % 5, i));
    const payloads = encode(many, 1, 100);
    expect(payloads.length).toBeGreaterThan(50);
    for (const payload of payloads) expect(payload.length).toBeLessThanOrEqual(100);
    expect(decode(payloads)).toEqual(many);
  });

  it('costs at most 28 bytes for a row of six values with the label of the row before', () => {
    const rows = Array.from({ length: 51 }, (_, i) => row(i, 1e6 + 1000 * i, 4, 1, 2, 3, 4, 5, 6));
    const [few, many] = [rows.slice(0, 1), rows].map((entries) => encode(entries, 6)[0].length);
    expect((many - few) / 50).toBeLessThanOrEqual(28);
  });

  it('cut short or with any byte changed gives records or a refusal, never another error', () => {
    const [payload] = encode(ENTRIES, 2);
    let refusals = 0;
    const attempt = (damaged: Uint8Array): void => {
      try {
        decode([damaged]);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ELOOP_FORMAT' });
        refusals += 1;
      }
    };
    for (let size = 0; size < payload.length; size++) attempt(payload.slice(0, size));
    expect(refusals).toBeGreaterThan(payload.length / 2);
    for (let at = 0; at < payload.length; at++) {
      for (let value = 0; value < 256; value++) attempt(payload.with(at, value));
    }
    expect(() => decode([payload.with(7, 0xff)])).toThrow(/got a batch of records that breaks its rules/);
  });

  it('refuses a size that could not hold one record', () => {
    expect(() => new RecordBatch(6, 40, () => {})).toThrow(RangeError);
    expect(() => new RecordBatch(70_000, 1_000_000, () => {})).toThrow(RangeError);
  });
});

describe('a journal of batches in segments', () => {
  let directory: string;
  beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), 'edgeloop-records-'))));
  afterEach(() => rmSync(directory, { recursive: true }));

  it('takes records straight from the ring and gives them back, at most 1.2 bytes per byte of value', async () => {
    const [columns, capacity, rounds] = [6, 64, 200];
    const layout = makeRing(columns, capacity, 2 ** 32 - 100);
    const ring = { writer: new RingWriter(layout), reader: new RingReader(layout) };
    const bits = new Uint32Array(layout.buffer, ring.reader.values.byteOffset, columns * capacity);
    const writer = await SegmentWriter.create({ directory, stream: STREAM.journal, description: {} });
    const batch = new RecordBatch(columns, 10_000, (payload) => {
      expect(writer.append(FRAME.records, payload)).toBe(true);
    });
    const expected: Entry[] = [];
    const values = new Float32Array(columns);
    for (let round = 0; round < rounds; round++) {
      // One row more than there is room for, so that there are gaps.
      for (let index = 0; index <= capacity; index++) {
        values.fill(Math.fround((round * 100 + index) / 3));
        ring.writer.pushRow(values, (round / 10) | 0, 1e12 + 64_000 * round + 1003 * index);
      }
      ring.writer.publish();
      for (; ring.reader.available() > 0; ring.reader.release()) {
        const slot = ring.reader.slot();
        const isRow = ring.reader.kind(slot) === RECORD.row;
        batch.add(ring.reader.heads, 8 * slot, isRow ? bits : null, columns * slot);
        expected.push({
          kind: ring.reader.kind(slot),
          sequence: ring.reader.sequence(slot),
          timeUs: ring.reader.timeUs(slot),
          flags: 0,
          datum: ring.reader.datum(slot),
          values: isRow ? [...bits.subarray(columns * slot, columns * (slot + 1))] : [],
        });
      }
      batch.flush();
    }
    await writer.close();
    const entries: Entry[] = [];
    for (const item of new SegmentReader(directory, STREAM.journal).read()) {
      if (item.kind === 'cut') throw new Error(item.cut.reason);
      if (item.kind !== 'frame' || item.type !== FRAME.records) continue;
      readRecords(directory, item.payload, (head, found) => entries.push(entryOf(head, found)));
    }
    expect(entries).toEqual(expected);
    expect(expected.filter(({ kind }) => kind === RECORD.gap)).toHaveLength(rounds - 1);
    const { size } = statSync(join(directory, '0000000001.seg'));
    expect(size / (rounds * capacity * columns * 4)).toBeLessThan(1.2);
  });

  it('allocates nothing per record, neither writing nor reading', () => {
    let payload: Uint8Array = new Uint8Array(0);
    const batch = new RecordBatch(6, 100_000, (sealed) => (payload = sealed));
    const values = new Uint32Array(6).fill(0x3f800000);
    const head = headOf(row(2 ** 40, 2 ** 41, 1));
    const records = 2000;
    const writeAll = (): void => {
      for (let count = 0; count < records; count++) {
        head[HEAD.sequenceLow] = count;
        head[HEAD.timeLow] = 1000 * count;
        batch.add(head, 0, values, 0);
      }
      batch.flush();
    };
    let sum = 0;
    const sink = (found: Int32Array): void => void (sum = (sum + found[HEAD.sequenceLow]) | 0);
    const readOne = (): void => readRecords('here', payload, sink);
    const bytesPerRecord = (work: () => void): number => {
      for (let round = 0; round < 200; round++) work(); // until it is compiled
      const meter = new HeapMeter();
      meter.start();
      for (let round = 0; round < 200; round++) work();
      return meter.stop().allocatedBytes / (200 * records);
    };
    expect(bytesPerRecord(writeAll)).toBeLessThan(1);
    expect(bytesPerRecord(readOne)).toBeLessThan(1);
    const kept: number[][] = [];
    expect(bytesPerRecord(() => kept.push(Array.from({ length: records }, () => 0.5)))).toBeGreaterThan(4);
    expect(sum).not.toBe(0);
  });
});
