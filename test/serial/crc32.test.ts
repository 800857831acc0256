import { crc32 as zlibCrc32 } from 'node:zlib';
import { expect, it } from 'vitest';
import { crc32, crc32Of } from '../../src/serial/crc32.ts';

const CHECK = new TextEncoder().encode('123456789');

it('gives the check value of CRC-32', () => {
  expect(crc32(CHECK, 0, CHECK.length) >>> 0).toBe(0xcbf43926);
});

it('agrees with zlib for every length and place, in one piece and in two', () => {
  const bytes = Uint8Array.from({ length: 41 }, (_, index) => (index * 89 + 7) & 0xff);
  for (let start = 0; start <= bytes.length; start++) {
    for (let end = start; end <= bytes.length; end++) {
      const expected = zlibCrc32(bytes.subarray(start, end));
      expect(crc32(bytes, start, end) >>> 0).toBe(expected);
      if (start === 0) expect(crc32Of(new DataView(bytes.buffer), end) >>> 0).toBe(expected);
      const middle = (start + end) >> 1;
      expect(crc32(bytes, middle, end, crc32(bytes, start, middle)) >>> 0).toBe(expected);
    }
  }
});
