import { expect, test } from 'vitest';
import { EdgeloopError } from '../../src/errors.ts';
import {
  addInto,
  formatValue,
  generateInto,
  hadamardInto,
  Matrix,
  matmulInto,
  randomInto,
  scaleInto,
  subtractInto,
  transposeInto,
} from '../../src/engine/matrix.ts';
import { heapBytesPerCall } from '../support/heap.ts';

const a = Matrix.from(2, 3, [1, 2, 3, 4, 5, 6]);
const b = Matrix.from(2, 3, [-1, 0.5, 2, 3, -4, 0]);
const tall = Matrix.from(3, 2, [7, 8, 9, 10, 11, 12]);

/** NaN everywhere, so that an element left unwritten is seen. */
const unwritten = (rows: number, cols: number) => new Matrix(rows, cols).fill(NaN);

function expectMatrix(got: Matrix, shape: string, values: number[]): void {
  expect(`${got.rows}x${got.cols}`).toBe(shape);
  expect(Array.from(got.data)).toEqual(values.map(Math.fround));
}

function errorOf(action: () => unknown): EdgeloopError {
  try {
    action();
  } catch (error) {
    if (error instanceof EdgeloopError) return error;
    throw error;
  }
  throw new Error('expected an EdgeloopError, got none');
}

/** Seeded, in [0, 1). */
function generator(seed: number): () => number {
  let x = seed;
  return () => {
    x = (x * 48271) % 2147483647;
    return x / 2147483647;
  };
}

test('zeros, ones, from, generate and fill make the matrix they name, row by row', () => {
  let count = 0;
  const counted = Matrix.generate(2, 2, () => count++ / 10);
  expectMatrix(counted, '2x2', [0, 0.1, 0.2, 0.3]);
  expectMatrix(Matrix.zeros(2, 3), '2x3', [0, 0, 0, 0, 0, 0]);
  expectMatrix(Matrix.ones(3, 1), '3x1', [1, 1, 1]);
  expectMatrix(new Matrix(1, 2).fill(0.1), '1x2', [0.1, 0.1]);
  expect(a.get(1, 0)).toBe(4);
  expect(a.get(0, 2)).toBe(3);
});

test('random spreads the generator from -1 to 1 and repeats with the seed', () => {
  const lowest = Matrix.random(1, 3, () => 0);
  expectMatrix(lowest, '1x3', [-1, -1, -1]);
  const values = Matrix.random(20, 50, generator(7)).data;
  expect(values.every((value) => value >= -1 && value <= 1)).toBe(true);
  expect(Math.min(...values)).toBeLessThan(-0.99);
  expect(Math.max(...values)).toBeGreaterThan(0.99);
  expect(Matrix.random(20, 50, generator(7)).data).toEqual(values);
  expect(Matrix.random(20, 50, generator(8)).data).not.toEqual(values);
});

test('set writes one element, and the matrix keeps the array it was given', () => {
  const data = new Float32Array(6);
  new Matrix(2, 3, data).set(1, 2, 0.1);
  expect(Array.from(data)).toEqual([0, 0, 0, 0, 0, Math.fround(0.1)]);
});

test('the operations give their textbook results in a new matrix', () => {
  expectMatrix(a.matmul(tall), '2x2', [58, 64, 139, 154]);
  expectMatrix(a.hadamard(b), '2x3', [-1, 1, 6, 12, -20, 0]);
  expectMatrix(a.add(b), '2x3', [0, 2.5, 5, 7, 1, 6]);
  expectMatrix(a.subtract(b), '2x3', [2, 1.5, 1, 1, 9, 6]);
  expectMatrix(a.scale(-0.5), '2x3', [-0.5, -1, -1.5, -2, -2.5, -3]);
  expectMatrix(a.transpose(), '3x2', [1, 4, 2, 5, 3, 6]);
  expectMatrix(a, '2x3', [1, 2, 3, 4, 5, 6]);
});

test('each form with a given matrix overwrites all of it, returns it and gives the same values', () => {
  const cases: [Matrix, (out: Matrix) => Matrix, Matrix][] = [
    [unwritten(2, 2), (out) => matmulInto(a, tall, out), a.matmul(tall)],
    [unwritten(2, 3), (out) => hadamardInto(a, b, out), a.hadamard(b)],
    [unwritten(2, 3), (out) => addInto(a, b, out), a.add(b)],
    [unwritten(2, 3), (out) => subtractInto(a, b, out), a.subtract(b)],
    [unwritten(2, 3), (out) => scaleInto(a, 3, out), a.scale(3)],
    [unwritten(3, 2), (out) => transposeInto(a, out), a.transpose()],
    [unwritten(2, 3), (out) => generateInto(generator(3), out), Matrix.generate(2, 3, generator(3))],
    [unwritten(2, 3), (out) => randomInto(generator(3), out), Matrix.random(2, 3, generator(3))],
  ];
  for (const [out, operation, expected] of cases) {
    expect(operation(out)).toBe(out);
    expect(out).toEqual(expected);
  }
});

test('the forms with a given matrix allocate nothing', () => {
  const [square, sum, wide] = [unwritten(2, 2), unwritten(2, 3), unwritten(3, 2)];
  const operations = [
    () => matmulInto(a, tall, square),
    () => hadamardInto(a, b, sum),
    () => addInto(a, b, sum),
    () => subtractInto(a, b, sum),
    () => scaleInto(a, 0.5, sum),
    () => transposeInto(a, wide),
  ];
  for (const operation of operations) expect(heapBytesPerCall(operation)).toBeLessThan(1);
  expect(heapBytesPerCall(() => a.add(b))).toBeGreaterThan(50); // the measure does see allocations
});

test('matmul agrees with a double-precision sum at many sizes', () => {
  const next = generator(11);
  const sizes = [1, 2, 3, 4, 5, 7];
  for (const rows of sizes) {
    for (const inner of sizes) {
      for (const cols of sizes) {
        const left = Matrix.random(rows, inner, next);
        const right = Matrix.random(inner, cols, next);
        const product = left.matmul(right);
        for (let row = 0; row < rows; row++) {
          for (let col = 0; col < cols; col++) {
            let sum = 0;
            for (let index = 0; index < inner; index++) sum += left.get(row, index) * right.get(index, col);
            expect(product.get(row, col)).toBeCloseTo(sum, 5);
          }
        }
      }
    }
  }
});

test('matmul rounds every partial sum to float32, in order of the inner index', () => {
  // 2^24 + 1 is no float32: added one at a time the ones are lost, added to each other first they are not.
  const rows = Matrix.from(2, 3, [2 ** 24, 1, 1, 1, 1, 2 ** 24]);
  expectMatrix(rows.matmul(Matrix.ones(3, 1)), '2x1', [2 ** 24, 2 ** 24 + 2]);
});

test('matmul rounds every product to float32 before it is added', () => {
  // (1 + 2^-12)² = 1 + 2^-11 + 2^-24. Rounded, the last term is gone; in a fused sum it would remain.
  const value = 1 + 2 ** -12;
  const sum = Matrix.from(1, 2, [-(1 + 2 ** -11), value]).matmul(Matrix.from(2, 1, [1, value]));
  expect(sum.get(0, 0)).toBe(0);
});

test('scale multiplies by the double factor and rounds once', () => {
  const value = Math.fround(0.7);
  expect(Math.fround(value * 0.001)).not.toBe(Math.fround(value * Math.fround(0.001)));
  expect(Matrix.from(1, 1, [value]).scale(0.001).get(0, 0)).toBe(Math.fround(value * 0.001));
});

test('elementwise operations may write over an operand', () => {
  const cases: [(left: Matrix, right: Matrix) => Matrix, number[]][] = [
    [(left, right) => subtractInto(left, right, left), [3, 4]],
    [(left, right) => subtractInto(left, right, right), [3, 4]],
    [(left) => addInto(left, left, left), [10, 14]],
    [(left, right) => hadamardInto(left, right, right), [10, 21]],
    [(left) => scaleInto(left, 2, left), [10, 14]],
  ];
  for (const [operation, expected] of cases) {
    expectMatrix(operation(Matrix.from(1, 2, [5, 7]), Matrix.from(1, 2, [2, 3])), '1x2', expected);
  }
});

test('an output that would spoil an operand still to be read is refused', () => {
  const square = Matrix.from(2, 2, [1, 2, 3, 4]);
  const arena = new Float32Array(8);
  const at = (offset: number) => new Matrix(2, 2, arena.subarray(offset, offset + 4));
  expect(() => matmulInto(square, at(0), square)).toThrow(/must not share memory/);
  expect(() => matmulInto(at(0), square, square)).toThrow(/must not share memory/);
  expect(() => matmulInto(at(0), square, at(3))).toThrow(/must not share memory/);
  expect(() => transposeInto(square, square)).toThrow(/must not share memory/);
  expect(() => transposeInto(at(3), at(0))).toThrow(/must not share memory/);
  expect(() => addInto(at(0), square, at(1))).toThrow(/must be an operand or be apart/);
  expect(() => subtractInto(square, at(1), at(0))).toThrow(/must be an operand or be apart/);
  expect(() => hadamardInto(square, at(1), at(0))).toThrow(/must be an operand or be apart/);
  expect(() => scaleInto(at(0), 2, at(1))).toThrow(/must be an operand or be apart/);
  expectMatrix(square, '2x2', [1, 2, 3, 4]);
});

test('neighbours in one arena are apart', () => {
  const arena = Float32Array.of(1, 2, 3, 4, 0, 0, 0, 0);
  const square = new Matrix(2, 2, arena.subarray(0, 4));
  const out = new Matrix(2, 2, arena.subarray(4, 8));
  expectMatrix(matmulInto(square, square, out), '2x2', [7, 10, 15, 22]);
  expectMatrix(addInto(square, square, out), '2x2', [2, 4, 6, 8]);
  expectMatrix(transposeInto(out, square), '2x2', [2, 6, 4, 8]);
  expectMatrix(addInto(out, out, new Matrix(2, 2, arena.subarray(4, 8))), '2x2', [4, 8, 12, 16]);
});

test('shape errors say the operation, the expected and the got shape', () => {
  const out = new Matrix(3, 3);
  const cases: [() => unknown, RegExp][] = [
    [() => a.matmul(b), /^matmul: right operand: expected 3 rows to follow 2x3, got 2x3\./],
    [() => matmulInto(a, tall, out), /^matmul: output: expected 2x2, got 3x3\./],
    [() => a.hadamard(tall), /^hadamard: right operand: expected 2x3, got 3x2\./],
    [() => hadamardInto(a, b, out), /^hadamard: output: expected 2x3, got 3x3\./],
    [() => a.add(tall), /^add: right operand: expected 2x3, got 3x2\./],
    [() => addInto(a, b, out), /^add: output: expected 2x3, got 3x3\./],
    [() => a.subtract(tall), /^subtract: right operand: expected 2x3, got 3x2\./],
    [() => subtractInto(a, b, out), /^subtract: output: expected 2x3, got 3x3\./],
    [() => scaleInto(a, 2, out), /^scale: output: expected 2x3, got 3x3\./],
    [() => transposeInto(a, new Matrix(2, 3)), /^transpose: output: expected 3x2, got 2x3\./],
    [() => Matrix.from(2, 2, [1, 2, 3]), /^matrix: expected 4 values for 2x2, got 3\./],
    [() => Matrix.zeros(0, 2), /^matrix: expected .*positive integers, got 0x2\./],
    [() => Matrix.zeros(2, 1.5), /^matrix: expected .*positive integers, got 2x1\.5\./],
    [() => a.get(2, 0), /^get: expected .* inside 2x3.*, got row 2, column 0\./],
    [() => a.get(0, 3), /^get: expected .* inside 2x3.*, got row 0, column 3\./],
    [() => a.get(-1, 0), /^get: expected .* inside 2x3.*, got row -1, column 0\./],
    [() => a.set(0.5, 0, 1), /^set: expected .* inside 2x3.*, got row 0\.5, column 0\./],
  ];
  for (const [action, message] of cases) {
    const error = errorOf(action);
    expect(error.code).toBe('ELOOP_SHAPE');
    expect(error.message).toMatch(message);
  }
});

test('printed columns are aligned to the right with six significant digits', () => {
  const matrix = Matrix.from(2, 3, [1, -0.0142086, 1234567, 10.25, 0.5, NaN]);
  const text = ['    1  -0.0142086  1234570', '10.25         0.5      NaN'].join('\n');
  expect(String(matrix)).toBe(text);
  let printed = '';
  matrix.print((part) => (printed += part));
  expect(printed).toBe(`${text}\n`);
});

test('a value is formatted without trailing zeros', () => {
  expect([0.1, 0.0056013996, -2, 0, 1 / 3].map(formatValue)).toEqual([
    '0.1',
    '0.0056014',
    '-2',
    '0',
    '0.333333',
  ]);
});
