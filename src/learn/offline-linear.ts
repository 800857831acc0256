/**
 * The linear model that a network has to beat: outputs = weights·x + bias, no hidden layer, on the same standardised
 * inputs, in float64. For numbers the least squares themselves; for classes softmax regression by SGD from zero, with
 * the network's own choice of the best epoch.
 *
 * It must not take longer than the network did: of very many rows it sees every n-th.
 */
import { exp } from '../engine/arithmetic.ts';
import { mulberry32 } from '../engine/random.ts';
import { type OfflineData, logLossOf, shuffleRows } from './offline.ts';

/** Multiply-adds of one fit, about: a second or two. */
const WORK_MAX = 1e9;

const EPOCHS = 50;
const PATIENCE = 10;
const LEARNING_RATE = 0.03;
const BATCH = 32;

/** Of the mean square of an input: keeps columns that follow from others from making the sums singular. */
const RIDGE = 1e-6;

export interface LinearModel {
  readonly inputs: number;
  readonly outputs: number;
  /** [K x (D + 1)], row-major, the bias last. */
  readonly weights: Float64Array;
}

/** @param outputs [rows x K], overwritten with what the model says to the rows at rows[first ..] */
export function predictLinear(
  model: LinearModel,
  data: OfflineData,
  first: number,
  outputs: Float64Array,
): void {
  const { outputs: K } = model;
  for (let i = 0; i < outputs.length / K; i++) putOutputs(model, data, data.rows[first + i], outputs, i * K);
}

function putOutputs(
  { inputs: D, outputs: K, weights }: LinearModel,
  { inputs }: OfflineData,
  row: number,
  outputs: Float64Array,
  at: number,
): void {
  for (let k = 0; k < K; k++) {
    const base = k * (D + 1);
    let sum = weights[base + D];
    for (let d = 0; d < D; d++) sum += weights[base + d] * inputs[row * D + d];
    outputs[at + k] = sum;
  }
}

// --- Numbers -----------------------------------------------------------------------------------------------------

/**
 * Least squares over the rows to learn from: (XᵀX)·w = Xᵀy by Cholesky's method.
 * @param data standardised
 */
export function fitNumbers(data: OfflineData, D: number, K: number): LinearModel {
  const size = D + 1;
  const stride = Math.max(1, Math.ceil((data.trainRows * size * size) / 2 / WORK_MAX));
  const products = new Float64Array(size * size);
  const rightSides = new Float64Array(K * size);
  const x = new Float64Array(size);
  x[D] = 1;
  for (let i = 0; i < data.trainRows; i += stride) {
    const row = data.rows[i];
    for (let d = 0; d < D; d++) x[d] = data.inputs[row * D + d];
    for (let a = 0; a < size; a++) for (let b = 0; b <= a; b++) products[a * size + b] += x[a] * x[b];
    for (let k = 0; k < K; k++) {
      const y = data.targets[row * K + k];
      for (let a = 0; a < size; a++) rightSides[k * size + a] += x[a] * y;
    }
  }
  const ridge = RIDGE * products[size * size - 1];
  for (let a = 0; a < D; a++) products[a * size + a] += ridge;
  factorise(products, size);
  for (let k = 0; k < K; k++) solve(products, size, rightSides, k * size);
  return { inputs: D, outputs: K, weights: rightSides };
}

/** The lower half of a positive definite matrix becomes L with L·Lᵀ = matrix. */
function factorise(matrix: Float64Array, size: number): void {
  for (let a = 0; a < size; a++) {
    for (let b = 0; b <= a; b++) {
      let sum = matrix[a * size + b];
      for (let c = 0; c < b; c++) sum -= matrix[a * size + c] * matrix[b * size + c];
      matrix[a * size + b] = a === b ? Math.sqrt(sum) : sum / matrix[b * size + b];
    }
  }
}

/** L·Lᵀ·w = values[first ..), which w takes the place of. */
function solve(lower: Float64Array, size: number, values: Float64Array, first: number): void {
  for (let a = 0; a < size; a++) {
    for (let b = 0; b < a; b++) values[first + a] -= lower[a * size + b] * values[first + b];
    values[first + a] /= lower[a * size + a];
  }
  for (let a = size - 1; a >= 0; a--) {
    for (let b = a + 1; b < size; b++) values[first + a] -= lower[b * size + a] * values[first + b];
    values[first + a] /= lower[a * size + a];
  }
}

// --- Classes -----------------------------------------------------------------------------------------------------

/**
 * Softmax regression.
 * @param data standardised
 * @param seed of the shuffles
 */
export function fitClasses(data: OfflineData, D: number, K: number, seed: number): LinearModel {
  const model: LinearModel = { inputs: D, outputs: K, weights: new Float64Array(K * (D + 1)) };
  const best = new Float64Array(model.weights.length);
  const order = new Int32Array(data.trainRows);
  const workPerEpoch = 2 * data.trainRows * K * (D + 1);
  const epochs = Math.max(1, Math.min(EPOCHS, Math.floor(WORK_MAX / workPerEpoch)));
  let bestLoss = Infinity;
  let bestEpoch = 0;
  for (let epoch = 0; epoch < epochs && epoch - bestEpoch < PATIENCE; epoch++) {
    shuffleRows(order, data.rows, mulberry32(seed + epoch));
    learnEpoch(model, data, order);
    const loss = data.trainRows < data.rows.length ? meanLoss(model, data) : -epoch;
    if (loss >= bestLoss) continue;
    bestLoss = loss;
    bestEpoch = epoch;
    best.set(model.weights);
  }
  model.weights.set(best);
  return model;
}

function learnEpoch(model: LinearModel, data: OfflineData, order: Int32Array): void {
  const { inputs: D, outputs: K, weights } = model;
  const outputs = new Float64Array(K);
  const gradient = new Float64Array(weights.length);
  for (let first = 0; first < order.length; first += BATCH) {
    const count = Math.min(BATCH, order.length - first);
    gradient.fill(0);
    for (let i = first; i < first + count; i++) {
      const row = order[i];
      putOutputs(model, data, row, outputs, 0);
      toProbabilities(outputs);
      outputs[data.labels[row]] -= 1;
      for (let k = 0; k < K; k++) {
        for (let d = 0; d < D; d++) gradient[k * (D + 1) + d] += outputs[k] * data.inputs[row * D + d];
        gradient[k * (D + 1) + D] += outputs[k];
      }
    }
    for (let i = 0; i < weights.length; i++) weights[i] -= (LEARNING_RATE / count) * gradient[i];
  }
}

function toProbabilities(outputs: Float64Array): void {
  let largest = outputs[0];
  for (let k = 1; k < outputs.length; k++) largest = Math.max(largest, outputs[k]);
  let sum = 0;
  for (let k = 0; k < outputs.length; k++) sum += outputs[k] = exp(outputs[k] - largest);
  for (let k = 0; k < outputs.length; k++) outputs[k] /= sum;
}

function meanLoss(model: LinearModel, data: OfflineData): number {
  const { outputs: K } = model;
  const outputs = new Float64Array(K);
  let sum = 0;
  for (let i = data.trainRows; i < data.rows.length; i++) {
    putOutputs(model, data, data.rows[i], outputs, 0);
    sum += logLossOf(outputs, 0, K, data.labels[data.rows[i]]);
  }
  return sum / (data.rows.length - data.trainRows);
}
