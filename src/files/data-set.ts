/**
 * All rows of a file or a recording in memory, in typed arrays that threads share: for learning offline, which goes
 * over them many times.
 */
import { EdgeloopError } from '../errors.ts';
import { NO_LABEL } from '../stream/ring.ts';

/** A board of 4 GiB has room for this beside everything else. */
const BYTES_MAX = 2 * 1024 ** 3;
const ROWS_AT_FIRST = 1024;

export interface DataSet {
  readonly inputNames: readonly string[];
  /** Names of the classes, in order; empty for numbers. */
  readonly classes: readonly string[];
  /** Names of the numbers to be predicted; empty for classes. */
  readonly targetNames: readonly string[];
  readonly rows: number;
  /** [rows x inputs], NaN where a value is missing. */
  readonly inputs: Float32Array;
  /** [rows], or empty for numbers. */
  readonly labels: Int32Array;
  /** [rows x targets], or empty for classes. */
  readonly targets: Float32Array;
  /** Rows left out since their label, or one of their targets, is missing. */
  readonly unanswered: number;
}

/** Takes rows one by one, in memory that doubles when it is full. */
export class RowStore {
  readonly #name: string;
  readonly #inputNames: readonly string[];
  readonly #targetNames: readonly string[];
  #capacity = ROWS_AT_FIRST;
  #rows = 0;
  #unanswered = 0;
  #inputs: Float32Array;
  #labels: Int32Array;
  #targets: Float32Array;

  /**
   * @param name        of the file, for messages
   * @param targetNames empty: rows have classes
   */
  constructor(name: string, inputNames: readonly string[], targetNames: readonly string[]) {
    this.#name = name;
    this.#inputNames = inputNames;
    this.#targetNames = targetNames;
    this.#inputs = sharedFloats(this.#capacity * inputNames.length);
    this.#targets = sharedFloats(this.#capacity * targetNames.length);
    this.#labels = sharedIntegers(targetNames.length > 0 ? 0 : this.#capacity);
  }

  get rows(): number {
    return this.#rows;
  }

  /**
   * Copies a row; one without what is to be predicted is left out.
   * @param values  [inputs]
   * @param label   class index or NO_LABEL; of no matter for numbers
   * @param targets [targets]
   * @throws EdgeloopError ELOOP_FORMAT if there is no room for more
   */
  add(values: Float32Array, label: number, targets: Float32Array): void {
    if (!this.#isAnswered(label, targets)) {
      this.#unanswered += 1;
      return;
    }
    if (this.#rows === this.#capacity) this.#grow();
    const row = this.#rows;
    for (let i = 0; i < values.length; i++) this.#inputs[row * values.length + i] = values[i];
    for (let k = 0; k < targets.length; k++) this.#targets[row * targets.length + k] = targets[k];
    if (targets.length === 0) this.#labels[row] = label;
    this.#rows += 1;
  }

  /** The rows so far, without a copy. */
  dataSet(classes: readonly string[]): DataSet {
    const rows = this.#rows;
    const K = this.#targetNames.length;
    return {
      inputNames: this.#inputNames,
      classes: K > 0 ? [] : classes,
      targetNames: this.#targetNames,
      rows,
      inputs: this.#inputs.subarray(0, rows * this.#inputNames.length),
      labels: this.#labels.subarray(0, K > 0 ? 0 : rows),
      targets: this.#targets.subarray(0, rows * K),
      unanswered: this.#unanswered,
    };
  }

  #isAnswered(label: number, targets: Float32Array): boolean {
    if (targets.length === 0) return label !== NO_LABEL;
    for (let k = 0; k < targets.length; k++) if (targets[k] !== targets[k]) return false;
    return true;
  }

  #grow(): void {
    const capacity = 2 * this.#capacity;
    const bytes = 4 * capacity * (this.#inputNames.length + Math.max(1, this.#targetNames.length));
    if (bytes > BYTES_MAX) {
      throw new EdgeloopError(
        'ELOOP_FORMAT',
        `${this.#name}: expected rows that fit ${BYTES_MAX / 1024 ** 3} GiB of memory, got more than ` +
          `${this.#capacity.toLocaleString('en-US')} of ${this.#inputNames.length} inputs. ` +
          'Take fewer columns with --columns, or a part of the file.',
      );
    }
    this.#capacity = capacity;
    this.#inputs = grown(this.#inputs, sharedFloats(2 * this.#inputs.length));
    this.#targets = grown(this.#targets, sharedFloats(2 * this.#targets.length));
    this.#labels = grown(this.#labels, sharedIntegers(2 * this.#labels.length));
  }
}

function sharedFloats(length: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(4 * length));
}

function sharedIntegers(length: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * length));
}

function grown<T extends Float32Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
