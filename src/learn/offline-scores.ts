/**
 * Scores of predictions for rows that were kept aside, beside references that need no network, with an honest answer to
 * "is it better?".
 *
 * Rows of a sensor resemble their neighbours, so they are no independent tests. The difference of two errors is
 * therefore averaged over 20 stretches of the rows, and the interval is that of Student's t for their mean (19 degrees
 * of freedom, 95 %).
 */

export interface ClassScores {
  readonly accuracy: number;
  /** Mean over the classes that occur of the share of their rows that was right. */
  readonly balancedAccuracy: number;
  /** Cohen's: 0 as good as chance, 1 perfect. NaN if there is but one class. */
  readonly kappa: number;
  /** F1, mean over the classes that occur. */
  readonly f1: number;
  /** [label][answer] rows. */
  readonly confusion: readonly (readonly number[])[];
}

/** Of one target, in its own unit. */
export interface ValueScores {
  readonly rmse: number;
  readonly mae: number;
  /** 1 − squared error over that of the rows' own mean. NaN if the target is constant. */
  readonly r2: number;
}

/**
 * @param answers class predicted for each row
 * @param labels  the class of each row
 */
export function scoreClasses(answers: Int32Array, labels: Int32Array, classes: number): ClassScores {
  const confusion = Array.from({ length: classes }, () => Array<number>(classes).fill(0));
  for (let row = 0; row < labels.length; row++) confusion[labels[row]][answers[row]] += 1;
  const rows = labels.length;
  let right = 0;
  let byChance = 0;
  let occurring = 0;
  let recalls = 0;
  let f1s = 0;
  for (let k = 0; k < classes; k++) {
    const actual = confusion[k].reduce((sum, count) => sum + count, 0);
    const answered = confusion.reduce((sum, counts) => sum + counts[k], 0);
    right += confusion[k][k];
    byChance += (actual / rows) * (answered / rows);
    if (actual === 0) continue;
    occurring += 1;
    recalls += confusion[k][k] / actual;
    f1s += (2 * confusion[k][k]) / (actual + answered);
  }
  const accuracy = right / rows;
  return {
    accuracy,
    balancedAccuracy: recalls / occurring,
    kappa: (accuracy - byChance) / (1 - byChance),
    f1: f1s / occurring,
    confusion,
  };
}

/** @param answers, values [rows x K]; target k of them is scored */
export function scoreValues(answers: Float64Array, values: Float64Array, K: number, k: number): ValueScores {
  const rows = values.length / K;
  let mean = 0;
  for (let row = 0; row < rows; row++) mean += values[row * K + k] / rows;
  let squares = 0;
  let absolutes = 0;
  let ownSquares = 0;
  for (let row = 0; row < rows; row++) {
    const error = answers[row * K + k] - values[row * K + k];
    squares += error * error;
    absolutes += Math.abs(error);
    ownSquares += (values[row * K + k] - mean) ** 2;
  }
  return {
    rmse: Math.sqrt(squares / rows),
    mae: absolutes / rows,
    r2: ownSquares > 0 ? 1 - squares / ownSquares : NaN,
  };
}

/** `notYet`: these rows do not decide it. */
export type Verdict = 'better' | 'notYet' | 'noBetter';

export interface Comparison {
  readonly verdict: Verdict;
  /** What the reference's mean error is above ours; 95 % interval. NaN with fewer rows than STRETCHES. */
  readonly gain: number;
  readonly low: number;
  readonly high: number;
  /** The reference's mean error. */
  readonly error: number;
}

const STRETCHES = 20;
/** Student's t, 19 degrees of freedom, 97.5 %. */
const T_19 = 2.093;

/**
 * @param errors    of ours, row by row in order
 * @param reference of the other, for the same rows
 */
export function compareErrors(errors: Float64Array, reference: Float64Array): Comparison {
  const rows = errors.length;
  const error = reference.reduce((sum, one) => sum + one, 0) / rows;
  if (rows < STRETCHES) return { verdict: 'notYet', gain: NaN, low: NaN, high: NaN, error };
  const means = Array.from({ length: STRETCHES }, (_, stretch) => {
    const first = Math.floor((stretch * rows) / STRETCHES);
    const end = Math.floor(((stretch + 1) * rows) / STRETCHES);
    let sum = 0;
    for (let row = first; row < end; row++) sum += reference[row] - errors[row];
    return sum / (end - first);
  });
  const gain = means.reduce((sum, mean) => sum + mean, 0) / STRETCHES;
  const squares = means.reduce((sum, mean) => sum + (mean - gain) ** 2, 0);
  const half = T_19 * Math.sqrt(squares / (STRETCHES - 1) / STRETCHES);
  const [low, high] = [gain - half, gain + half];
  const notBetter = high <= 0 ? 'noBetter' : 'notYet';
  return { verdict: low > 0 ? 'better' : notBetter, gain, low, high, error };
}

/** Index of the largest of the K values from `first` on; the first of equals. */
export function indexOfLargest(values: Float32Array | Float64Array, first: number, K: number): number {
  let best = 0;
  for (let k = 1; k < K; k++) if (values[first + k] > values[first + best]) best = k;
  return best;
}
