/**
 * A matrix over a Float32Array, for work where clarity counts; the network has loops of its own.
 *
 * Rounding, the same on every machine:
 * - A stored value is a float32. Whatever is computed for one element is rounded once, when it is stored.
 * - add, subtract, hadamard: one operation per element, rounded to float32.
 * - scale: the factor is a double; factor x element is computed in double and rounded once.
 * - matmul: each sum starts at zero and takes its products in order of the inner index. Each product and each
 *   partial sum is rounded to float32 (Math.fround).
 *
 * The functions named ...Into write into a given matrix and allocate nothing. Where they may write over an
 * operand is said at each: elementwise ones may, matmulInto and transposeInto may not.
 */
import assert from 'node:assert/strict';
import { EdgeloopError } from '../errors.ts';

export class Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly data: Float32Array; // [rows x cols], row-major

  /**
   * @param data [rows x cols], row-major; kept, not copied, so it may be a view into an arena. Zeros if absent
   * @throws EdgeloopError ELOOP_SHAPE on a size that is no positive integer, or data of another length
   */
  constructor(rows: number, cols: number, data?: Float32Array) {
    if (!isSize(rows) || !isSize(cols)) {
      throw shapeError('matrix', 'rows and columns that are positive integers', `${rows}x${cols}`);
    }
    if (data !== undefined && data.length !== rows * cols) {
      throw shapeError('matrix', `${rows * cols} values for ${rows}x${cols}`, `${data.length}`);
    }
    this.rows = rows;
    this.cols = cols;
    this.data = data ?? new Float32Array(rows * cols);
  }

  static zeros(rows: number, cols: number): Matrix {
    return new Matrix(rows, cols);
  }

  static ones(rows: number, cols: number): Matrix {
    return new Matrix(rows, cols).fill(1);
  }

  /** Values in row-major order, each rounded to float32. */
  static from(rows: number, cols: number, values: readonly number[]): Matrix {
    return new Matrix(rows, cols, Float32Array.from(values));
  }

  /** One call of `next` per element, in row-major order, each result rounded to float32. */
  static generate(rows: number, cols: number, next: () => number): Matrix {
    return generateInto(next, new Matrix(rows, cols));
  }

  /** As randomInto, into a new matrix. */
  static random(rows: number, cols: number, next: () => number): Matrix {
    return randomInto(next, new Matrix(rows, cols));
  }

  /** @throws EdgeloopError ELOOP_SHAPE outside the matrix */
  get(row: number, col: number): number {
    requireInside('get', this, row, col);
    return this.data[row * this.cols + col];
  }

  /** @throws EdgeloopError ELOOP_SHAPE outside the matrix */
  set(row: number, col: number, value: number): this {
    requireInside('set', this, row, col);
    this.data[row * this.cols + col] = value;
    return this;
  }

  fill(value: number): this {
    this.data.fill(value);
    return this;
  }

  // Each of these makes a new matrix; shapes, rounding and errors are those of its ...Into form below.

  /** [rows x cols] · [cols x n] -> [rows x n] */
  matmul(right: Matrix): Matrix {
    return matmulInto(this, right, new Matrix(this.rows, right.cols));
  }

  hadamard(right: Matrix): Matrix {
    return hadamardInto(this, right, new Matrix(this.rows, this.cols));
  }

  add(right: Matrix): Matrix {
    return addInto(this, right, new Matrix(this.rows, this.cols));
  }

  subtract(right: Matrix): Matrix {
    return subtractInto(this, right, new Matrix(this.rows, this.cols));
  }

  scale(factor: number): Matrix {
    return scaleInto(this, factor, new Matrix(this.rows, this.cols));
  }

  transpose(): Matrix {
    return transposeInto(this, new Matrix(this.cols, this.rows));
  }

  /** One line per row, columns aligned to the right, six significant digits. */
  toString(): string {
    const cells = Array.from(this.data, formatValue);
    const lines: string[] = [];
    for (let row = 0; row < this.rows; row++) {
      const line = [];
      for (let col = 0; col < this.cols; col++) {
        line.push(cells[row * this.cols + col].padStart(columnWidth(cells, col, this.cols)));
      }
      lines.push(line.join('  '));
    }
    return lines.join('\n');
  }

  /** Writes toString() and a newline. The writer is given, for the engine itself does no I/O. */
  print(write: (text: string) => void): void {
    write(`${this.toString()}\n`);
  }
}

/**
 * out = a · b
 * @param a   [rows x inner]
 * @param b   [inner x cols]
 * @param out [rows x cols], overwritten; shares no memory with a or b, whose values are read to the end
 * @throws EdgeloopError ELOOP_SHAPE
 */
export function matmulInto(a: Matrix, b: Matrix, out: Matrix): Matrix {
  if (b.rows !== a.cols) {
    throw shapeError('matmul: right operand', `${a.cols} rows to follow ${shape(a)}`, shape(b));
  }
  requireShape('matmul: output', out, a.rows, b.cols);
  requireApart(a, out);
  requireApart(b, out);
  const left = a.data;
  const right = b.data;
  const result = out.data;
  const inner = a.cols;
  const cols = b.cols;
  for (let row = 0; row < a.rows; row++) {
    for (let col = 0; col < cols; col++) {
      let sum = 0;
      for (let index = 0; index < inner; index++) {
        sum = Math.fround(sum + Math.fround(left[row * inner + index] * right[index * cols + col]));
      }
      result[row * cols + col] = sum;
    }
  }
  return out;
}

/**
 * out = a ⊙ b, element by element
 * @param out the shape of a and b, overwritten; may be a or b itself
 * @throws EdgeloopError ELOOP_SHAPE
 */
export function hadamardInto(a: Matrix, b: Matrix, out: Matrix): Matrix {
  requireElementwise('hadamard: right operand', 'hadamard: output', a, b, out);
  const left = a.data;
  const right = b.data;
  const result = out.data;
  for (let index = 0; index < result.length; index++) result[index] = left[index] * right[index];
  return out;
}

/**
 * out = a + b
 * @param out the shape of a and b, overwritten; may be a or b itself
 * @throws EdgeloopError ELOOP_SHAPE
 */
export function addInto(a: Matrix, b: Matrix, out: Matrix): Matrix {
  requireElementwise('add: right operand', 'add: output', a, b, out);
  const left = a.data;
  const right = b.data;
  const result = out.data;
  for (let index = 0; index < result.length; index++) result[index] = left[index] + right[index];
  return out;
}

/**
 * out = a - b
 * @param out the shape of a and b, overwritten; may be a or b itself
 * @throws EdgeloopError ELOOP_SHAPE
 */
export function subtractInto(a: Matrix, b: Matrix, out: Matrix): Matrix {
  requireElementwise('subtract: right operand', 'subtract: output', a, b, out);
  const left = a.data;
  const right = b.data;
  const result = out.data;
  for (let index = 0; index < result.length; index++) result[index] = left[index] - right[index];
  return out;
}

/**
 * out = factor · a
 * @param factor a double, not rounded to float32 beforehand
 * @param out    the shape of a, overwritten; may be a itself
 * @throws EdgeloopError ELOOP_SHAPE
 */
export function scaleInto(a: Matrix, factor: number, out: Matrix): Matrix {
  requireShape('scale: output', out, a.rows, a.cols);
  requireSameOrApart(a, out);
  const values = a.data;
  const result = out.data;
  for (let index = 0; index < result.length; index++) result[index] = values[index] * factor;
  return out;
}

/**
 * out = aᵀ
 * @param a   [rows x cols]
 * @param out [cols x rows], overwritten; shares no memory with a, not even when a is square
 * @throws EdgeloopError ELOOP_SHAPE
 */
export function transposeInto(a: Matrix, out: Matrix): Matrix {
  requireShape('transpose: output', out, a.cols, a.rows);
  requireApart(a, out);
  const values = a.data;
  const result = out.data;
  const { rows, cols } = a;
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) result[col * rows + row] = values[row * cols + col];
  }
  return out;
}

/** Fills `out` in row-major order, one call of `next` per element, each result rounded to float32. */
export function generateInto(next: () => number, out: Matrix): Matrix {
  const result = out.data;
  for (let index = 0; index < result.length; index++) result[index] = next();
  return out;
}

/**
 * Fills `out` in row-major order with 2·next() - 1.
 * @param next a generator of values in [0, 1), such as Math.random or a seeded one
 * The result lies in [-1, 1]: 1 itself appears only when a value just below it is rounded to float32.
 */
export function randomInto(next: () => number, out: Matrix): Matrix {
  const result = out.data;
  for (let index = 0; index < result.length; index++) result[index] = 2 * next() - 1;
  return out;
}

/** A value in six significant digits, without trailing zeros: 0.0056014. */
export function formatValue(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function columnWidth(cells: readonly string[], col: number, cols: number): number {
  let width = 0;
  for (let index = col; index < cells.length; index += cols) width = Math.max(width, cells[index].length);
  return width;
}

function isSize(size: number): boolean {
  return Number.isInteger(size) && size > 0;
}

function isIndex(index: number, size: number): boolean {
  return Number.isInteger(index) && index >= 0 && index < size;
}

function shape(matrix: Matrix): string {
  return `${matrix.rows}x${matrix.cols}`;
}

function shapeError(what: string, expected: string, got: string): EdgeloopError {
  const remedy = 'Give a matrix of the expected shape (rows x columns).';
  return new EdgeloopError('ELOOP_SHAPE', `${what}: expected ${expected}, got ${got}. ${remedy}`);
}

function requireInside(operation: string, matrix: Matrix, row: number, col: number): void {
  if (isIndex(row, matrix.rows) && isIndex(col, matrix.cols)) return;
  const message = `${operation}: expected a row and a column inside ${shape(matrix)}, counted from 0, got row ${row}, column ${col}. Stay below the size.`;
  throw new EdgeloopError('ELOOP_SHAPE', message);
}

function requireShape(what: string, matrix: Matrix, rows: number, cols: number): void {
  if (matrix.rows !== rows || matrix.cols !== cols) throw shapeError(what, `${rows}x${cols}`, shape(matrix));
}

function requireElementwise(right: string, output: string, a: Matrix, b: Matrix, out: Matrix): void {
  requireShape(right, b, a.rows, a.cols);
  requireShape(output, out, a.rows, a.cols);
  requireSameOrApart(a, out);
  requireSameOrApart(b, out);
}

// Writing over an operand that is still to be read is a mistake of the caller's code, not of the world. The
// branch comes before assert.fail because assert.ok makes an array of its arguments on every call.

function requireApart(operand: Matrix, out: Matrix): void {
  if (overlap(operand.data, out.data)) assert.fail('the output must not share memory with an operand');
}

function requireSameOrApart(operand: Matrix, out: Matrix): void {
  if (operand.data === out.data || operand.data.byteOffset === out.data.byteOffset) return;
  if (overlap(operand.data, out.data)) assert.fail('the output must be an operand or be apart from it');
}

function overlap(a: Float32Array, b: Float32Array): boolean {
  if (a === b) return true;
  if (a.buffer !== b.buffer) return false;
  return a.byteOffset < b.byteOffset + b.byteLength && b.byteOffset < a.byteOffset + a.byteLength;
}
