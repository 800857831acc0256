import { describe, expect, it } from 'vitest';
import { mulberry32 } from '../../src/engine/random.ts';
import { Labels } from '../../src/serial/labels.ts';
import { LINE_BYTES_MAX, type LineStream } from '../../src/serial/lines.ts';
import { NO_LABEL } from '../../src/stream/ring.ts';
import { numbersDecoder } from '../support/lines.ts';

interface Decoded {
  rows: number[][];
  labels: number[];
  decoder: LineStream;
  names: string[];
}

/** Two numbers and a label; `chunk` bytes at a time. */
function decode(text: string | Uint8Array, chunk = Infinity, classesMax = 3): Decoded {
  const labels = new Labels([], classesMax);
  const decoded: Decoded = { rows: [], labels: [], names: labels.names } as unknown as Decoded;
  decoded.decoder = numbersDecoder(['x', 'y', 'label'], labels, (row, label) => {
    decoded.rows.push([...row]);
    decoded.labels.push(label);
  });
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  for (let at = 0; at < bytes.length; at += chunk) {
    const piece = bytes.subarray(at, at + chunk);
    decoded.decoder.push(piece, piece.length, 0);
  }
  return decoded;
}

const NOTHING_DROPPED = { torn: 0, tooLong: 0, columnCount: 0, notANumber: 0, unknownLabel: 0 };

describe('lines of numbers and a label', () => {
  it('come out the same however the bytes are cut', () => {
    const text = '\n1,2.5,off\r\n-3,4e-1,on\n5;6;off\r\n7\t8\ton\n 9 , 10 , two words \n';
    const whole = decode(text);
    expect(whole.rows).toEqual([
      [1, 2.5],
      [-3, Math.fround(0.4)],
      [5, 6],
      [7, 8],
      [9, 10],
    ]);
    expect(whole.names).toEqual(['off', 'on', 'two words']);
    expect(whole.labels).toEqual([0, 1, 0, 1, 2]);
    expect(whole.decoder.dropped).toEqual(NOTHING_DROPPED);
    for (const chunk of [1, 2, 3, 7]) {
      const cut = decode(text, chunk);
      expect([cut.rows, cut.labels, cut.names]).toEqual([whole.rows, whole.labels, whole.names]);
    }
  });

  it('take an empty or nan cell as missing and an empty label as none', () => {
    const { rows, labels, decoder } = decode('\n,2,off\nnan,2,\n');
    expect(rows).toEqual([
      [NaN, 2],
      [NaN, 2],
    ]);
    expect(labels).toEqual([0, NO_LABEL]);
    expect(decoder.dropped).toEqual(NOTHING_DROPPED);
  });

  it('drop what was torn when the port was opened, even if it looks like a row', () => {
    const { rows, decoder } = decode('1,2,off\n3,4,off\n');
    expect(rows).toEqual([[3, 4]]);
    expect(decoder.dropped).toEqual({ ...NOTHING_DROPPED, torn: 1 });
  });

  it('are dropped and counted by reason, and the next good line gets through', () => {
    const tooLong = '1'.repeat(LINE_BYTES_MAX + 1);
    const { rows, decoder } = decode(`\n1,2\n1,2,off,4\n1,x,off\n1,1e99,off\n${tooLong}\n5,6,off\n`);
    expect(rows).toEqual([[5, 6]]);
    expect(decoder.dropped).toEqual({ torn: 0, tooLong: 1, columnCount: 2, notANumber: 2, unknownLabel: 0 });
  });

  it('keep a line of exactly the longest length', () => {
    const line = `1,${'0'.repeat(LINE_BYTES_MAX - 7)}2,off`;
    expect(line.length).toBe(LINE_BYTES_MAX);
    expect(decode(`\n${line}\n`).rows).toEqual([[1, 2]]);
  });

  it('refuse a class beyond the outputs, one that is no text, and learn none from a bad line', () => {
    const { names, decoder } = decode('\nx,2,bad\n1,2,a\n1,2,b\n1,2,c\n1,2,d\n', Infinity, 3);
    expect(names).toEqual(['a', 'b', 'c']);
    expect(decoder.dropped).toEqual({ ...NOTHING_DROPPED, notANumber: 1, unknownLabel: 1 });
    const garbled = decode(
      Buffer.concat([Buffer.from('\n1,2,'), Buffer.from([0xff, 0xfe]), Buffer.from('\n')]),
    );
    expect(garbled.names).toEqual([]);
    expect(garbled.decoder.dropped.unknownLabel).toBe(1);
  });

  it('survive noise of any kind: every line is either a row or counted', () => {
    const seed = 42;
    const random = mulberry32(seed);
    const alphabet = Buffer.from('0123456789.,,,-+eE \t;nax\r\n\n\0\xff', 'latin1');
    const noise = Uint8Array.from(
      { length: 200_000 },
      () => alphabet[Math.floor(random() * alphabet.length)],
    );
    const { rows, decoder } = decode(noise, 977);
    const lines = Buffer.from(noise).toString('latin1').split('\n').slice(0, -1);
    const blank = lines.filter((line) => /^\r*$/.test(line)).length;
    const dropped = Object.values(decoder.dropped).reduce((sum, count) => sum + count, 0);
    expect(rows.length + dropped + blank, `seed ${seed}`).toBe(lines.length);
    expect(rows.length).toBeGreaterThan(0);
  });
});
