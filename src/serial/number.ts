/**
 * A decimal number straight from bytes, without a string.
 *
 * Rounding: the first 15 significant digits are kept exactly, further ones are dropped; the result is one float64
 * multiplication or division by a power of ten away, then rounded to float32. Up to 15 digits and |exponent| <= 22
 * the float64 is the nearest one, as `Number()` gives it; a number with more digits can differ from the nearest
 * float32 by one unit in the last place.
 */

const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const DIGIT_0 = 0x30;
const LETTER_E = 0x65;
const LOWER_CASE = 0x20;

const DIGITS_MAX = 15;

/** Exact in float64. */
const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));
const POWER_MAX = 22;
/** Beyond this every float32 is 0 or infinite whatever the digits. */
const EXPONENT_MAX = 400;

/** Written by `parseNumber`: a returned double would be boxed. */
export const parsed = new Float64Array(1);

/**
 * Parses bytes[start..end), which must be exactly one number: [+-]digits[.digits][e[+-]digits], or `nan` in any
 * case for a missing value. The value goes to parsed[0].
 * @returns whether it was a number that float32 can hold
 */
export function parseNumber(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  const negative = bytes[at] === MINUS;
  if (negative || bytes[at] === PLUS) at += 1;
  let mantissa = 0;
  let digits = 0;
  let exponent = 0;
  let sawDigit = false;
  let sawPoint = false;
  for (; at < end; at++) {
    const byte = bytes[at];
    if (byte === POINT && !sawPoint) {
      sawPoint = true;
      continue;
    }
    const digit = byte - DIGIT_0;
    if (digit < 0 || digit > 9) break;
    sawDigit = true;
    if (digits < DIGITS_MAX) {
      mantissa = mantissa * 10 + digit;
      if (mantissa > 0) digits += 1;
      if (sawPoint) exponent -= 1;
    } else if (!sawPoint) {
      exponent += 1;
    }
  }
  if (!sawDigit) return isNan(bytes, start, end);
  if (at < end) {
    if ((bytes[at] | LOWER_CASE) !== LETTER_E) return false;
    const written = parseExponent(bytes, at + 1, end);
    if (written === NO_EXPONENT) return false;
    exponent += written;
  }
  const magnitude = scaleByPowerOfTen(mantissa, exponent);
  parsed[0] = negative ? -magnitude : magnitude;
  return Math.fround(magnitude) !== Infinity;
}

const NO_EXPONENT = EXPONENT_MAX + 1;

function parseExponent(bytes: Uint8Array, start: number, end: number): number {
  const negative = bytes[start] === MINUS;
  const first = negative || bytes[start] === PLUS ? start + 1 : start;
  if (first >= end) return NO_EXPONENT;
  let exponent = 0;
  for (let at = first; at < end; at++) {
    const digit = bytes[at] - DIGIT_0;
    if (digit < 0 || digit > 9) return NO_EXPONENT;
    exponent = Math.min(exponent * 10 + digit, EXPONENT_MAX);
  }
  return negative ? -exponent : exponent;
}

function scaleByPowerOfTen(mantissa: number, exponent: number): number {
  let value = mantissa;
  let remaining = Math.abs(exponent);
  while (remaining > 0 && value !== 0 && value !== Infinity) {
    const power = POWERS_OF_TEN[Math.min(remaining, POWER_MAX)];
    value = exponent < 0 ? value / power : value * power;
    remaining -= POWER_MAX;
  }
  return value;
}

function isNan(bytes: Uint8Array, start: number, end: number): boolean {
  const isNanWord =
    end - start === 3 &&
    (bytes[start] | LOWER_CASE) === 0x6e &&
    (bytes[start + 1] | LOWER_CASE) === 0x61 &&
    (bytes[start + 2] | LOWER_CASE) === 0x6e;
  if (isNanWord) parsed[0] = NaN;
  return isNanWord;
}
