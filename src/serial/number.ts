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
/** The decimal mark unless a locale has another. */
export const POINT = 0x2e;
const DIGIT_0 = 0x30;
const LETTER_E = 0x65;
const LOWER_CASE = 0x20;

/** What a sensor prints; as many fit an int32 whatever they are. */
const DIGITS_SHORT = 9;
const DIGITS_MAX = 15;

/** Exact in float64. */
const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));
const POWER_MAX = 22;
/** 10^0 .. 10^9, then the same with a minus. */
const SIGNED_OFFSET = DIGITS_SHORT + 1;
const SIGNED_POWERS = Float64Array.from({ length: 2 * SIGNED_OFFSET }, (_, index) =>
  index < SIGNED_OFFSET ? POWERS_OF_TEN[index] : -POWERS_OF_TEN[index - SIGNED_OFFSET],
);
/** Beyond this every float32 is 0 or infinite whatever the digits. */
const EXPONENT_MAX = 400;

/** What `scanNumber` returns when there is no number, or one that float32 cannot hold. */
export const NO_NUMBER = -1;

/** Written by `scanNumber`: a returned double would be boxed. */
export const parsed = new Float64Array(1);

/**
 * Parses bytes[start..end), which must be exactly one number: [+-]digits[.digits][e[+-]digits], or `nan` in any
 * case for a missing value. The value goes to parsed[0].
 * @returns whether it was a number that float32 can hold
 */
export function parseNumber(bytes: Uint8Array, start: number, end: number): boolean {
  return scanNumber(bytes, start, end, POINT) === end;
}

/**
 * Parses the number that bytes[start..end) begins with; the value goes to parsed[0].
 * @param mark a second decimal mark beside the point: a comma, or the point again
 * @returns where the number ends, or NO_NUMBER
 */
export function scanNumber(bytes: Uint8Array, start: number, end: number, mark: number): number {
  if (start >= end) return NO_NUMBER;
  // Signs come at random: without a branch a number costs a fifth less.
  const negative = ((bytes[start] ^ MINUS) - 1) >>> 31;
  let at = start + negative;
  let mantissa = 0;
  let digits = -at;
  let digit = 0;
  while (at < end && (digit = (bytes[at] - DIGIT_0) >>> 0) <= 9) {
    mantissa = (Math.imul(mantissa, 10) + digit) | 0;
    at += 1;
  }
  let firstDecimal = at;
  if (at < end && (bytes[at] === POINT || bytes[at] === mark)) {
    at += 1;
    digits -= 1;
    firstDecimal = at;
    while (at < end && (digit = (bytes[at] - DIGIT_0) >>> 0) <= 9) {
      mantissa = (Math.imul(mantissa, 10) + digit) | 0;
      at += 1;
    }
  }
  digits += at;
  if (digits === 0 || digits > DIGITS_SHORT || (at < end && (bytes[at] | LOWER_CASE) === LETTER_E)) {
    return scanLong(bytes, start, end, mark);
  }
  parsed[0] = mantissa / SIGNED_POWERS[at - firstDecimal + negative * SIGNED_OFFSET];
  return at;
}

/** The same for any number of digits, a plus, an exponent, `nan`. */
function scanLong(bytes: Uint8Array, start: number, end: number, mark: number): number {
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
    if ((byte === POINT || byte === mark) && !sawPoint) {
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
  if (!sawDigit) return scanNan(bytes, start, end);
  const exponentStart = at + 1;
  const exponentEnd = scanExponent(bytes, at, end);
  if (exponentEnd > at) {
    exponent += exponentOf(bytes, exponentStart, exponentEnd);
    at = exponentEnd;
  }
  parsed[0] = mantissa;
  scaleParsed(exponent);
  if (Math.fround(parsed[0]) === Infinity) return NO_NUMBER;
  if (negative) parsed[0] = -parsed[0];
  return at;
}

/** @returns where e[+-]digits at `start` ends, or `start`: an e without digits belongs to what follows */
function scanExponent(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end || (bytes[start] | LOWER_CASE) !== LETTER_E) return start;
  let at = start + 1;
  if (at < end && (bytes[at] === MINUS || bytes[at] === PLUS)) at += 1;
  const first = at;
  while (at < end && bytes[at] >= DIGIT_0 && bytes[at] <= DIGIT_0 + 9) at += 1;
  return at === first ? start : at;
}

function exponentOf(bytes: Uint8Array, start: number, end: number): number {
  const negative = bytes[start] === MINUS;
  let exponent = 0;
  for (let at = negative || bytes[start] === PLUS ? start + 1 : start; at < end; at++) {
    exponent = Math.min(exponent * 10 + bytes[at] - DIGIT_0, EXPONENT_MAX);
  }
  return negative ? -exponent : exponent;
}

/** Multiplies parsed[0] by 10^exponent, in place: where it is not inlined, a double in or out would be boxed. */
function scaleParsed(exponent: number): void {
  let remaining = Math.abs(exponent);
  while (remaining > 0 && parsed[0] !== 0 && parsed[0] !== Infinity) {
    const power = POWERS_OF_TEN[Math.min(remaining, POWER_MAX)];
    if (exponent < 0) parsed[0] /= power;
    else parsed[0] *= power;
    remaining -= POWER_MAX;
  }
}

function scanNan(bytes: Uint8Array, start: number, end: number): number {
  const isNanWord =
    end - start >= 3 &&
    (bytes[start] | LOWER_CASE) === 0x6e &&
    (bytes[start + 1] | LOWER_CASE) === 0x61 &&
    (bytes[start + 2] | LOWER_CASE) === 0x6e;
  if (!isNanWord) return NO_NUMBER;
  parsed[0] = NaN;
  return start + 3;
}
