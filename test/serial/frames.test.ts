import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 as zlibCrc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { HeapMeter } from '../../src/learn/heap-meter.ts';
import { FrameEncoder, frame } from '../../src/serial/frame-encoder.ts';
import { decodeSession, encodeSession, type Session } from '../../src/serial/frame-session.ts';
import { FRAME_BYTES_MAX, FrameDecoder } from '../../src/serial/frames.ts';
import { Labels } from '../../src/serial/labels.ts';
import { NO_LABEL } from '../../src/stream/ring.ts';
import { bytesCounted, concat, drops, listen, push } from '../support/frames.ts';

const SESSION: Session = {
  rateHz: 200,
  valueType: 'float32',
  hasTime: false,
  labelInBand: true,
  columns: [
    { name: 'ax', unit: 'g', scale: 1 },
    { name: 'ay', unit: 'g', scale: 1 },
  ],
  classes: ['off', 'on', 'other'],
};
const ZERO = Uint8Array.of(0);

/** The sessions and frames that FORMAT.md shows. */
function vectors(): { session: Session; frames: Map<string, Uint8Array> }[] {
  const text = readFileSync(join(import.meta.dirname, '../../FORMAT.md'), 'utf8');
  const section = text.slice(text.indexOf('\n## Frames'));
  const sessions = [...section.matchAll(/```json\n([^]*?)```/g)].map((match) => JSON.parse(match[1]));
  return [...section.matchAll(/```vectors\n([^]*?)```/g)].map((match, index) => ({
    session: sessions[index],
    frames: new Map(
      match[1]
        .trim()
        .split('\n')
        .map((line) => line.split(/ {2,}/))
        .map(([name, hex]) => [name, Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))]),
    ),
  }));
}

describe('the test vectors of FORMAT.md', () => {
  const [inBand, byFrame] = vectors();

  it('are what the encoder sends', () => {
    const first = new FrameEncoder(inBand.session);
    const sent = [first.describe(), first.row([1, -2])];
    first.label = 1;
    sent.push(first.row([0, NaN]));
    first.label = 0;
    sent.push(first.row([-32_767, 32_767]));
    expect(sent).toEqual([...inBand.frames.values()]);
    const second = new FrameEncoder(byFrame.session, 0xffff_ffff);
    expect([
      second.describe(),
      second.setLabel(0),
      second.row([21.5], 305_419_896),
      second.row([NaN], 0),
      second.setLabel(255),
    ]).toEqual([...byFrame.frames.values()]);
  });

  it('are taken by the decoder', () => {
    const first = push(listen(), concat(...inBand.frames.values()));
    expect(first.sessions).toEqual([inBand.session]);
    expect(first.rows).toEqual([
      { values: [0.5, -0.5], label: NO_LABEL, timeUs: 0 },
      { values: [0, NaN], label: 1, timeUs: 0 },
      { values: [-16_383.5, 8191.75], label: 0, timeUs: 0 },
    ]);
    const second = push(listen(), concat(...byFrame.frames.values()), Infinity, 1000);
    expect(second.sessions).toEqual([byFrame.session]);
    expect(second.rows.map(({ values, label }) => [...values, label])).toEqual([
      [21.5, 0],
      [NaN, 0],
    ]);
    expect([first.gaps, second.gaps, drops(first), drops(second)]).toEqual([[], [], {}, {}]);
  });

  it('keep the layout, seen with other eyes: plain unstuffing, zlib, and offsets by hand', () => {
    for (const bytes of [...inBand.frames.values(), ...byFrame.frames.values()]) {
      const data: number[] = [];
      for (let at = 0; bytes[at] > 0; at += bytes[at]) data.push(...bytes.slice(at + 1, at + bytes[at]), 0);
      const payload = Buffer.from(data.slice(0, -1));
      expect(payload.readUInt32LE(payload.length - 4)).toBe(zlibCrc32(payload.subarray(0, -4)));
      expect([0x11, 0x12, 0x13]).toContain(payload[0]);
    }
    const row = byFrame.frames.get('row 21.5 at 305419896')!;
    expect(Buffer.from(row).toString('hex')).toContain('78563412');
  });
});

describe('frames', () => {
  it('come out the same however the bytes are cut, every byte counted', () => {
    const board = new FrameEncoder(SESSION);
    const parts = [ZERO, board.describe()];
    for (let row = 0; row < 20; row++) {
      board.label = row % 3;
      parts.push(board.row([row, -row / 7]));
    }
    const bytes = concat(...parts, Uint8Array.of(5, 6));
    const whole = push(listen(), bytes);
    expect(whole.rows.map(({ values: [x, y], label }) => [x, y, label])).toEqual(
      Array.from({ length: 20 }, (_, row) => [row, Math.fround(-row / 7), row % 3]),
    );
    expect(whole.names).toEqual(SESSION.classes);
    expect([drops(whole), bytesCounted(whole), whole.decoder.pendingBytes]).toEqual([{}, bytes.length, 2]);
    for (const chunk of [1, 2, 3, 7]) expect(push(listen(), bytes, chunk).rows).toEqual(whole.rows);
  });

  it('are dropped by reason, and the next good one gets through', () => {
    const board = new FrameEncoder(SESSION);
    const other = new FrameEncoder({ ...SESSION, columns: SESSION.columns.slice(1) });
    const early = board.row([1, 2]);
    const describing = board.describe();
    const broken = board.row([3, 4]);
    broken[broken.length - 2] ^= 0x10;
    const wrongLabel = new FrameEncoder(SESSION, board.sequence);
    wrongLabel.label = 3;
    const refused = wrongLabel.row([5, 6]);
    board.sequence += 1;
    const infinite = board.row([1, -Infinity]);
    const short = board.row([1]);
    const bytes = concat(
      Uint8Array.of(9, 9, 9, 0), // torn at the start
      early, // before the description
      describing,
      broken,
      Uint8Array.of(200, 1, 2, 0), // torn in the middle
      new Uint8Array(FRAME_BYTES_MAX + 1).fill(7),
      ZERO,
      refused,
      infinite,
      short,
      other.row([1]), // of another sketch
      frame([0x22, 1, 2]),
      frame([0x1f, 1, 2]),
      frame([0x12, 1]),
      frame([0x11, 1, 2, 3, 4, 255, 0, 0, 0]),
      ZERO,
      board.row([7, 8]),
    );
    const heard = push(listen(), bytes);
    expect(heard.rows.map(({ values }) => values)).toEqual([[7, 8]]);
    expect(heard.decoder.dropped).toEqual({
      torn: 2,
      tooLong: 1,
      crc: 1,
      unknownVersion: 1,
      unknownType: 1,
      malformed: 2,
      beforeSession: 2,
      columnCount: 1,
      infinite: 1,
      unknownLabel: 1,
    });
    expect(heard.decoder.bytes.tooLong).toBe(FRAME_BYTES_MAX + 2);
    expect(heard.decoder.bytes.idle).toBe(1);
    expect(heard.gaps).toEqual([1]); // the broken one
    expect(bytesCounted(heard)).toBe(bytes.length);
  });

  it('are taken from the very first byte if the port was open in time', () => {
    const board = new FrameEncoder(SESSION);
    expect(push(listen(), concat(board.describe(), board.row([1, 2]))).rows.length).toBe(1);
  });

  it('of exactly the greatest length are taken, one byte more is too long', () => {
    const seen = new Set<number>();
    for (let text = 0; text < 60; text++) {
      // 36 bytes for each name and scale, and up to 4 x 15 of units
      const wide = Array.from({ length: 112 }, (_, index) => ({
        name: `${index}`.padStart(30, 'n'),
        unit: 'u'.repeat(Math.min(15, Math.max(0, text - 15 * index))),
        scale: 1,
      }));
      const bytes = new FrameEncoder({ ...SESSION, columns: wide }).describe();
      const { decoder } = push(listen(), bytes);
      const isTaken = bytes.length - 1 <= FRAME_BYTES_MAX;
      expect([decoder.taken.session, decoder.dropped.tooLong]).toEqual(isTaken ? [1, 0] : [0, 1]);
      seen.add(bytes.length - 1 - FRAME_BYTES_MAX);
    }
    expect([...seen]).toEqual(expect.arrayContaining([0, 1]));
  });

  it('lost are known by the sequence number, across its wrap too', () => {
    const board = new FrameEncoder(SESSION, 0xffff_fffd);
    const heard = push(listen(), concat(board.describe(), board.row([0, 0])));
    board.row([1, 1]);
    push(heard, board.row([2, 2]));
    expect(board.sequence).toBe(0);
    push(heard, board.row([3, 3]));
    for (let row = 0; row < 5; row++) board.row([9, 9]);
    push(heard, board.describe());
    push(heard, board.row([4, 4]));
    expect([heard.decoder.lost, heard.gaps, heard.decoder.restarts]).toEqual([6, [1, 5], 0]);
    expect(heard.sessions.length).toBe(1);
  });

  it('say when the board began anew, with or without its description', () => {
    const heard = listen();
    const board = new FrameEncoder(SESSION);
    push(heard, board.describe());
    for (let row = 0; row < 10; row++) push(heard, board.row([row, 0]));
    push(heard, new FrameEncoder(SESSION).row([1, 1]));
    push(heard, new FrameEncoder(SESSION).describe());
    expect([heard.gaps, heard.decoder.lost, heard.decoder.restarts]).toEqual([[0, 0], 0, 2]);
  });

  it('under another description are no rows until it came; under a refused one they never are', () => {
    const other = new FrameEncoder({ ...SESSION, rateHz: 50 });
    for (const accepted of [true, false]) {
      const heard = listen(8, (session) => session.rateHz !== 50 || accepted);
      const board = new FrameEncoder(SESSION);
      push(heard, concat(board.describe(), board.row([1, 1]), other.row([2, 2]), other.describe()));
      push(heard, other.row([3, 3]));
      expect(heard.rows.map(({ values }) => values[0])).toEqual(accepted ? [1, 3] : [1]);
      expect(heard.decoder.dropped.beforeSession).toBe(accepted ? 1 : 2);
      expect(heard.gaps).toEqual(accepted ? [0] : []);
      expect(heard.decoder.session?.rateHz).toBe(accepted ? 50 : undefined);
    }
  });

  it('of labels hold until the next; after a loss the label is unknown until the board says it again', () => {
    const board = new FrameEncoder({ ...SESSION, labelInBand: false });
    const heard = push(listen(2), concat(board.describe(), board.row([0, 0]), board.setLabel(1)));
    push(heard, concat(board.row([1, 0]), board.row([2, 0]), board.setLabel(0)));
    board.setLabel(1); // lost
    push(heard, concat(board.row([3, 0]), board.describe(), board.row([4, 0])));
    push(heard, concat(board.setLabel(2), board.row([5, 0]))); // beyond the outputs
    push(heard, concat(board.setLabel(255), board.row([6, 0])));
    expect(heard.rows.map(({ values, label }) => [values[0], label])).toEqual([
      [0, NO_LABEL],
      [1, 1],
      [2, 1],
      [3, NO_LABEL],
      [4, 1],
      [6, NO_LABEL],
    ]);
    expect(drops(heard)).toEqual({ unknownLabel: 2 });
  });

  it("keep the board's time: wraps, silence of hours, a restart, never back", () => {
    const timed = { ...SESSION, hasTime: true };
    const board = new FrameEncoder(timed);
    const heard = push(listen(), board.describe());
    const hour = 3_600_000_000;
    const send = (boardUs: number, readUs: number) =>
      push(heard, board.row([0, 0], boardUs), Infinity, readUs);
    send(2 ** 32 - 1000, 50_000_000);
    send(2 ** 32 + 1000, 50_009_000); // wrapped, and read late
    send(2 ** 32 + 1000 + 5 * hour, 50_000_000 + 5 * hour); // wrapped four times unheard
    send(2 ** 32 + 500 + 5 * hour, 50_000_000 + 5 * hour); // a clock that went back
    board.sequence = 0;
    send(77, 60_000_000 + 5 * hour);
    const start = 50_000_000;
    expect(heard.rows.map(({ timeUs }) => timeUs - start)).toEqual([
      0,
      2000,
      2000 + 5 * hour,
      2000 + 5 * hour,
      10_000_000 + 5 * hour,
    ]);
  });

  it('allocate nothing per row, good, torn or garbled', () => {
    const sums = new Float64Array(2);
    for (const [session, noise] of [
      [SESSION, false],
      [SESSION, true],
      [{ ...SESSION, hasTime: true, valueType: 'int16', labelInBand: false }, false],
    ] as [Session, boolean][]) {
      const board = new FrameEncoder(session);
      const parts: Uint8Array[] = [];
      for (let row = 0; row < 1000; row++) {
        const bytes = board.row([row, 1], row * 1000);
        if (noise && row % 3 === 0) bytes[row % bytes.length] ^= 1 + (row % 255);
        parts.push(bytes);
      }
      const bytes = concat(...parts);
      const times = Float64Array.of(1e9);
      const decoder = new FrameDecoder(new Labels([], 3), {
        onRow: (values, label, times) => {
          sums[0] += values[0] + label;
          sums[1] = times[0];
        },
      });
      const start = new FrameEncoder(session).describe();
      decoder.push(start, start.length, 1);
      for (let round = 0; round < 200; round++) decoder.push(bytes, bytes.length, times[0]);
      const perRow: number[] = [];
      for (let round = 0; round < 7; round++) {
        const meter = new HeapMeter();
        meter.start();
        for (let again = 0; again < 200; again++) decoder.push(bytes, bytes.length, times[0]);
        perRow.push(meter.stop().allocatedBytes / 200_000);
      }
      // The median: what the test runner itself does in between falls on one or two.
      expect(perRow.toSorted((left, right) => left - right)[3]).toBeLessThan(0.1);
      expect(decoder.taken.data).toBeGreaterThan(noise ? 1_000_000 : 1_599_999);
    }
    expect(sums[0]).toBeGreaterThan(0);
  });
});

describe('a session description', () => {
  const bytes = encodeSession({ ...SESSION, valueType: 'int16' });

  it('comes out as it went in, and no part of it passes for a whole one', () => {
    expect(decodeSession(bytes)).toEqual({ ...SESSION, valueType: 'int16' });
    for (let end = 0; end < bytes.length; end++) expect(decodeSession(bytes.slice(0, end))).toBeUndefined();
    expect(decodeSession(concat(bytes, Uint8Array.of(0)))).toBeUndefined();
  });

  it('that breaks a rule is refused', () => {
    const columns = (patch: object) => [{ ...SESSION.columns[0], ...patch }];
    const cases: Partial<Session>[] = [
      { columns: [] },
      { columns: columns({ name: '' }) },
      { columns: columns({ name: 'n'.repeat(32) }) },
      { columns: columns({ unit: 'u'.repeat(16) }) },
      { columns: columns({ name: 'a\nb' }) },
      { columns: columns({ scale: 2 }) },
      { columns: columns({ scale: 0 }), valueType: 'int16' },
      { columns: columns({ scale: 1e36 }), valueType: 'int16' },
      { columns: columns({ scale: NaN }), valueType: 'int16' },
      { columns: [...columns({}), ...columns({})] },
      { classes: ['a', 'a'] },
      { classes: [''] },
      { rateHz: -1 },
      { rateHz: Infinity },
      { rateHz: NaN },
    ];
    for (const patch of cases) {
      expect(decodeSession(encodeSession({ ...SESSION, ...patch })), JSON.stringify(patch)).toBeUndefined();
    }
    const notText = encodeSession(SESSION);
    notText[notText.length - 2] = 0xff;
    expect(decodeSession(notText)).toBeUndefined();
    const newFlag = encodeSession(SESSION);
    newFlag[0] |= 0x80;
    expect(decodeSession(newFlag)).toBeUndefined();
  });
});
