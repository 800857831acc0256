import { expect, it } from 'vitest';
import { mulberry32 } from '../../src/engine/random.ts';
import { cobsDecode, cobsEncode } from '../../src/serial/cobs.ts';

const run = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

function decoded(encoded: Uint8Array): number[] | undefined {
  const bytes = Uint8Array.from(encoded);
  const count = cobsDecode(bytes, bytes.length);
  return count < 0 ? undefined : [...bytes.subarray(0, count)];
}

it('encodes the published examples', () => {
  const cases: [number[], number[]][] = [
    [[], [1]],
    [[0], [1, 1]],
    [
      [0, 0],
      [1, 1, 1],
    ],
    [
      [0x11, 0x22, 0, 0x33],
      [3, 0x11, 0x22, 2, 0x33],
    ],
    [run(1, 254), [255, ...run(1, 254)]],
    [
      [0, ...run(1, 254)],
      [1, 255, ...run(1, 254)],
    ],
    [run(1, 255), [255, ...run(1, 254), 2, 255]],
    [
      [...run(1, 254), 0],
      [255, ...run(1, 254), 1, 1],
    ],
  ];
  for (const [data, encoded] of cases) {
    expect([...cobsEncode(Uint8Array.from(data))]).toEqual(encoded);
    expect(decoded(Uint8Array.from(encoded))).toEqual(data);
  }
});

it('decodes what it encodes, of any length and with any share of zeros', () => {
  const random = mulberry32(3);
  for (let length = 0; length < 1100; length++) {
    const zeros = random() ** 4;
    const data = Uint8Array.from({ length }, () => (random() < zeros ? 0 : 1 + Math.floor(random() * 255)));
    const encoded = cobsEncode(data);
    expect(encoded.includes(0)).toBe(false);
    expect(decoded(encoded)).toEqual([...data]);
  }
});

it('refuses a code byte that points beyond the end', () => {
  expect(decoded(Uint8Array.of(3, 1))).toBeUndefined();
  expect(decoded(Uint8Array.of(2, 1, 2))).toBeUndefined();
  expect(decoded(Uint8Array.of(255, 1, 2, 3))).toBeUndefined();
});
