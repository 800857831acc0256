/**
 * The two-layer network's arithmetic in plain TypeScript: the definition of the result, to the bit. Faster
 * kernels must give these bytes.
 *
 * float32 throughout; every product and every sum is rounded by itself (`Math.fround`, or the store into a
 * Float32Array), no fused multiply-add. Order of summation:
 * - layer 1: a unit's sum starts at its bias and adds its products in order of input;
 * - layer 2: within a panel of 16 hidden units four lane sums (lane i: units i, i + 4, i + 8, i + 12 in order),
 *   then (0 + 1) + (2 + 3); panel sums are added to the bias in order of panel;
 * - hidden delta: in order of output; softmax: the largest output is subtracted, exponentials are summed in order.
 *
 * No checks of shape here: the views come from one plan. Derivations: device/guides/backpropagation.md.
 */
import { exp, log, sigmoid, tanh } from './arithmetic.ts';
import { type Activation, type Network, PANEL } from './network.ts';

const { fround } = Math;

/** Below this no sum or product of a step can overflow float32 (3.4e38). */
const SAFE_BOUND = 1e38;

/** Rounding can lift a weight above the exact sum of bounds by less than this factor per step. */
const ROUNDING_MARGIN = 1 + 2 ** -20;

/** Outcome of `learn`. */
export const LEARNED = 1;
/** The step would have left a weight that is not finite: nothing was written. */
export const SKIPPED = 0;

/** inputs -> hidden, outputs (and probabilities, if the loss is crossEntropy). */
export function forward(network: Network): void {
  forwardHidden(network);
  activate(network.config.hiddenActivation, network.hidden, network.config.hidden);
  forwardOutputs(network);
  activate(network.config.outputActivation, network.outputs, network.config.outputs);
  if (network.config.loss === 'crossEntropy') {
    softmax(network.outputs, network.probabilities, network.config.outputs);
  }
}

/**
 * One step of stochastic gradient descent on the sample whose `forward` was just computed. Reads targets;
 * overwrites loss, deltas, steps and, unless the step is skipped, the parameters.
 * @returns LEARNED or SKIPPED
 */
export function learn(network: Network): number {
  outputDelta(network);
  hiddenDelta(network);
  scaleSteps(network);
  if (!staysFinite(network)) return SKIPPED;
  update(network);
  return LEARNED;
}

/** z1 = W1·x + b1, into `hidden`. */
function forwardHidden({ config, weights1, bias1, inputs, hidden, hiddenPadded }: Network): void {
  const D = config.inputs;
  hidden.set(bias1);
  for (let first = 0, w = 0; first < hiddenPadded; first += PANEL) {
    for (let d = 0; d < D; d++) {
      const x = inputs[d];
      for (let h = first; h < first + PANEL; h++, w++) {
        hidden[h] = hidden[h] + fround(weights1[w] * x);
      }
    }
  }
}

/** z2 = W2·h + b2, into `outputs`. */
function forwardOutputs({ config, weights2, bias2, hidden, outputs, hiddenPadded }: Network): void {
  for (let k = 0; k < config.outputs; k++) {
    const row = k * hiddenPadded;
    let sum = bias2[k];
    for (let first = 0; first < hiddenPadded; first += PANEL) {
      const lane0 = laneSum(weights2, row, hidden, first);
      const lane1 = laneSum(weights2, row, hidden, first + 1);
      const lane2 = laneSum(weights2, row, hidden, first + 2);
      const lane3 = laneSum(weights2, row, hidden, first + 3);
      sum = fround(sum + fround(fround(lane0 + lane1) + fround(lane2 + lane3)));
    }
    outputs[k] = sum;
  }
}

/** The products of units unit, unit + 4, unit + 8, unit + 12, summed in this order. */
function laneSum(weights2: Float32Array, row: number, hidden: Float32Array, unit: number): number {
  const product0 = fround(weights2[row + unit] * hidden[unit]);
  const product1 = fround(weights2[row + unit + 4] * hidden[unit + 4]);
  const product2 = fround(weights2[row + unit + 8] * hidden[unit + 8]);
  const product3 = fround(weights2[row + unit + 12] * hidden[unit + 12]);
  return fround(fround(fround(product0 + product1) + product2) + product3);
}

/** values[i] = f(values[i]) for i < count; units beyond, which only fill up a panel, become +0. */
function activate(activation: Activation, values: Float32Array, count: number): void {
  if (activation === 'sigmoid') for (let i = 0; i < count; i++) values[i] = sigmoid(values[i]);
  else if (activation === 'tanh') for (let i = 0; i < count; i++) values[i] = tanh(values[i]);
  else if (activation === 'relu') for (let i = 0; i < count; i++) values[i] = values[i] < 0 ? 0 : values[i];
  for (let i = count; i < values.length; i++) values[i] = 0;
}

/** f'(z) written in terms of a = f(z). */
function derivative(activation: Activation, a: number): number {
  if (activation === 'sigmoid') return fround(a * fround(1 - a));
  if (activation === 'tanh') return fround(1 - fround(a * a));
  if (activation === 'relu') return a > 0 ? 1 : 0;
  return 1;
}

/** probabilities = e^(y − max y) / Σ e^(y − max y), over the first `count` elements. */
function softmax(outputs: Float32Array, probabilities: Float32Array, count: number): void {
  let largest = outputs[0];
  for (let k = 1; k < count; k++) largest = outputs[k] > largest ? outputs[k] : largest;
  let sum = 0;
  for (let k = 0; k < count; k++) {
    const power = exp(fround(outputs[k] - largest));
    probabilities[k] = power;
    sum = fround(sum + power);
  }
  for (let k = 0; k < count; k++) probabilities[k] = probabilities[k] / sum;
}

/** BP1: delta2 = dL/dy ⊙ g'(z2), and the loss. */
function outputDelta({ config, outputs, probabilities, targets, delta2, loss }: Network): void {
  const K = config.outputs;
  const crossEntropy = config.loss === 'crossEntropy';
  let squares = 0;
  let likelihood = 0;
  for (let k = 0; k < K; k++) {
    const error = fround((crossEntropy ? probabilities[k] : outputs[k]) - targets[k]);
    squares = fround(squares + fround(error * error));
    likelihood = targets[k] === 1 ? probabilities[k] : likelihood;
    const gradient = config.loss === 'meanSquared' ? fround(fround(2 * error) / K) : error;
    delta2[k] = fround(gradient * derivative(config.outputActivation, outputs[k]));
  }
  if (crossEntropy) loss[0] = -log(likelihood);
  else loss[0] = config.loss === 'meanSquared' ? fround(squares / K) : fround(0.5 * squares);
}

/** BP2: delta1 = (W2ᵀ·delta2) ⊙ f'(z1). */
function hiddenDelta({ config, weights2, delta1, delta2, hidden, hiddenPadded }: Network): void {
  for (let h = 0; h < hiddenPadded; h++) {
    let sum = fround(weights2[h] * delta2[0]);
    for (let k = 1; k < config.outputs; k++) {
      sum = fround(sum + fround(weights2[k * hiddenPadded + h] * delta2[k]));
    }
    delta1[h] = fround(sum * derivative(config.hiddenActivation, hidden[h]));
  }
  for (let h = config.hidden; h < hiddenPadded; h++) delta1[h] = 0;
}

/** step = η·delta, of which BP3 and BP4 need only the product with what went into the layer. */
function scaleSteps({ learningRate, delta1, delta2, step1, step2 }: Network): void {
  for (let h = 0; h < delta1.length; h++) step1[h] = learningRate * delta1[h];
  for (let k = 0; k < delta2.length; k++) step2[k] = learningRate * delta2[k];
}

/** max(|values|); NaN if one of them is. */
function largestMagnitude(values: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]));
  return largest;
}

/**
 * Can this step leave a parameter that is not finite? No, as long as the bound on all parameters plus the bound
 * on all changes is far from overflow: this costs O(D + H + K). Only when that bound trips (or something is NaN)
 * every new value is computed, without writing it; if they are all finite the bound starts anew at the largest.
 */
function staysFinite(network: Network): boolean {
  const change1 = largestMagnitude(network.step1) * Math.max(1, largestMagnitude(network.inputs));
  const change2 = largestMagnitude(network.step2) * Math.max(1, largestMagnitude(network.hidden));
  const bound = (network.parameterBound[0] + Math.max(change1, change2)) * ROUNDING_MARGIN;
  if (bound <= SAFE_BOUND) {
    network.parameterBound[0] = bound;
    return true;
  }
  const largest = largestAfterUpdate(network);
  if (!(largest < Infinity)) return false;
  network.parameterBound[0] = Math.max(1, largest);
  return true;
}

/** The largest |parameter| that `update` would leave: Infinity or NaN if one were not finite. */
function largestAfterUpdate(network: Network): number {
  const { config, weights1, bias1, weights2, bias2, inputs, hidden, step1, step2, hiddenPadded } = network;
  let largest = 0;
  for (let h = 0; h < hiddenPadded; h++) {
    largest = Math.max(largest, Math.abs(fround(bias1[h] - step1[h])));
    const panel = (h - (h % PANEL)) * config.inputs + (h % PANEL);
    for (let d = 0; d < config.inputs; d++) {
      const weight = weights1[panel + d * PANEL];
      largest = Math.max(largest, Math.abs(fround(weight - fround(step1[h] * inputs[d]))));
    }
  }
  for (let k = 0; k < config.outputs; k++) {
    largest = Math.max(largest, Math.abs(fround(bias2[k] - step2[k])));
    for (let h = 0; h < hiddenPadded; h++) {
      const weight = weights2[k * hiddenPadded + h];
      largest = Math.max(largest, Math.abs(fround(weight - fround(step2[k] * hidden[h]))));
    }
  }
  return largest;
}

/** BP3, BP4 and the update: W −= (η·delta)·inputᵀ, b −= η·delta. */
function update(network: Network): void {
  const { config, weights1, bias1, weights2, bias2, inputs, hidden, step1, step2, hiddenPadded } = network;
  const D = config.inputs;
  for (let first = 0, w = 0; first < hiddenPadded; first += PANEL) {
    for (let d = 0; d < D; d++) {
      const x = inputs[d];
      for (let h = first; h < first + PANEL; h++, w++) weights1[w] = weights1[w] - fround(step1[h] * x);
    }
  }
  for (let h = 0; h < hiddenPadded; h++) bias1[h] = bias1[h] - step1[h];
  for (let k = 0, w = 0; k < config.outputs; k++) {
    for (let h = 0; h < hiddenPadded; h++, w++) weights2[w] = weights2[w] - fround(step2[k] * hidden[h]);
    bias2[k] = bias2[k] - step2[k];
  }
}
