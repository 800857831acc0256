/**
 * Every score is kept twice: over all time, where each row weighs 1, and over a fading window, where a row weighs
 * less by the factor 1 − 1/N with each row that follows it. With N = 1000 a row counts half after 693 rows, a tenth
 * after 2,302; all weights together are those of about a thousand rows.
 *
 * Nothing is faded row by row. The *newest* row weighs more and more instead, by N/(N − 1) each time, which gives the
 * same quotients; once its weight has passed 2^32, it and all sums of the window are divided by 2^32, exactly.
 *
 *     sums   | all time ......... | fading window ......... |
 *     weights [2]  1, weight of the newest row
 */

/** Windows of each score, in this order. */
export const WINDOW = { all: 0, fading: 1 } as const;
export const WINDOWS = 2;

/** N of the window for tasks that have a label with most rows. */
export const FADING_ROWS = 1000;

const WEIGHT_MAX = 4_294_967_296;

/**
 * Makes the row to come the newest. A new arena is zero, and so is the weight before the first row.
 * @param weights weights[first .. first + 1]: of the two windows
 * @returns whether the sums of the fading window must now be given to `fadeSums`
 */
export function ageWindow(weights: Float64Array, first: number, fadingRows: number): boolean {
  const newest = first + WINDOW.fading;
  weights[first + WINDOW.all] = 1;
  if (weights[newest] === 0) {
    weights[newest] = 1;
    return false;
  }
  weights[newest] *= fadingRows / (fadingRows - 1);
  if (weights[newest] < WEIGHT_MAX) return false;
  weights[newest] /= WEIGHT_MAX;
  return true;
}

/** Divides the sums sums[first .. last − 1] of a fading window as its weight was. */
export function fadeSums(sums: Float64Array, first: number, last: number): void {
  for (let index = first; index < last; index++) sums[index] /= WEIGHT_MAX;
}

/** Rows after which a row counts half: ln 2 / −ln(1 − 1/N), which is (N − ½)·ln 2 but for less than 0.1/N. */
export function halfLifeRows(fadingRows: number): number {
  return Math.floor((fadingRows - 0.5) * 0.6931471805599453 + 0.5);
}
