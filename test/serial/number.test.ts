import { describe, expect, it } from 'vitest';
import { mulberry32 } from '../../src/engine/random.ts';
import { NO_NUMBER, POINT, parseNumber, parsed, scanNumber } from '../../src/serial/number.ts';

/** The value, or undefined where the text is refused. Surrounded by bytes that must not matter. */
function parse(text: string): number | undefined {
  const bytes = Buffer.from(`9${text}9`);
  return parseNumber(bytes, 1, bytes.length - 1) ? parsed[0] : undefined;
}

describe('a number from bytes', () => {
  it.each([
    '0',
    '-0',
    '+1',
    '12.5',
    '-0.031',
    '.5',
    '5.',
    '1e3',
    '1E-3',
    '-2.5e+2',
    '000123',
    '0.000000000000000123',
  ])('reads %s as JavaScript does', (text) => expect(parse(text)).toBe(Number(text)));

  it.each([
    '',
    '-',
    '.',
    'e5',
    '1e',
    '1e+',
    '1.2.3',
    '1,2',
    '0x10',
    '1 2',
    'inf',
    'Infinity',
    '--1',
    '1-',
    '٣',
  ])('refuses %j', (text) => expect(parse(text)).toBeUndefined());

  it.each(['nan', 'NaN', 'NAN'])('takes %s for a missing value', (text) => expect(parse(text)).toBeNaN());

  it('refuses what float32 cannot hold and underflows to zero', () => {
    expect(parse('1e39')).toBeUndefined();
    expect(parse('-1e999999999999')).toBeUndefined();
    expect(parse('1e-999999999999')).toBe(0);
    expect(Math.fround(parse('3.4028234e38')!)).toBe(Math.fround(3.4028234e38));
  });

  it('gives the nearest float64 for up to 15 digits', () => {
    const seed = 20_261_124;
    const random = mulberry32(seed);
    for (let i = 0; i < 20_000; i++) {
      const text = ((random() - 0.5) * 10 ** Math.floor(random() * 12)).toPrecision(
        1 + Math.floor(random() * 15),
      );
      expect(parse(text), `seed ${seed}, ${text}`).toBe(Number(text));
    }
  });

  it('is within one float32 step of the nearest for any number of digits', () => {
    const random = mulberry32(7);
    for (let i = 0; i < 5000; i++) {
      const text = (random() * 1000).toFixed(20);
      const nearest = Math.fround(Number(text));
      expect(Math.abs(Math.fround(parse(text)!) - nearest)).toBeLessThanOrEqual(nearest * 2 ** -23);
    }
  });
});

/** The value and what is left, or undefined. */
function scan(text: string, mark = POINT): [number, string] | undefined {
  const bytes = Buffer.from(text);
  const end = scanNumber(bytes, 0, bytes.length, mark);
  return end === NO_NUMBER ? undefined : [parsed[0], bytes.toString('utf8', end)];
}

describe('the number that bytes begin with', () => {
  const COMMA = 0x2c;

  it.each([
    ['1.5;2', [1.5, ';2']],
    ['-0012.34, 5', [-12.34, ', 5']],
    ['25.3C', [25.3, 'C']],
    ['3e', [3, 'e']],
    ['3e-x', [3, 'e-x']],
    ['1234567890123e2x', [123_456_789_012_300, 'x']],
    ['1.2.3', [1.2, '.3']],
    ['NaN,1', [NaN, ',1']],
  ])('ends where it ends: %s', (text, expected) => expect(scan(text)).toEqual(expected));

  it('may have a comma for its mark, once, in short and in long', () => {
    expect(scan('-1,5;2', COMMA)).toEqual([-1.5, ';2']);
    expect(scan('1,2345678901,5', COMMA)).toEqual([1.234_567_890_1, ',5']);
    expect(scan('1,5')).toEqual([1, ',5']);
  });

  it.each(['', 'x', '-', '.', 'inf', '1e39', '--1'])('is none in %j', (text) =>
    expect(scan(text)).toBeUndefined(),
  );
});
