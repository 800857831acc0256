/**
 * The two-layer network's arithmetic in plain TypeScript: the definition of the result, to the bit. Faster
 * kernels must give these bytes.
 *
 * float32 throughout; every product and every sum is rounded by itself (`Math.fround`, or the store into a
 * Float32Array), no fused multiply-add. Norms, bounds and Adam's bias corrections are float64. Order of summation:
 * - layer 1: a unit's sum starts at its bias and adds its products in order of input;
 * - layer 2: four lane sums. Lane i adds, within a panel of 16 hidden units, the products of units i, i + 4, i + 8,
 *   i + 12 in order, and then the panels in order; the bias is added to (0 + 1) + (2 + 3);
 * - loss, softmax, norms: four lane sums, lane i over elements i, i + 4, ... in order, then (0 + 1) + (2 + 3); of
 *   the largest output is subtracted before the exponential;
 * - hidden delta: in order of output. Batch: samples in order, then divided by their count.
 *
 * No checks of shape here: the views come from one plan. Derivations: device/guides/backpropagation.md.
 */
import { exp, log, sigmoid, tanh } from './arithmetic.ts';
import { ADAM, type Activation, type Network, PANEL } from './network.ts';

const { fround } = Math;

/** Below this no sum or product of a step can overflow float32 (3.4e38). */
const SAFE_BOUND = 1e38;

/** Rounding can lift a value above the exact sum of bounds by less than this factor per step. */
const ROUNDING_MARGIN = 1 + 2 ** -20;

/** Outcome of `learn`. */
export const LEARNED = 1;
/** The step would have left a value that is not finite: no parameter and no moment was written. */
export const SKIPPED = 0;

const LANES = 4;
const lanes32 = new Float32Array(LANES);
const lanes64 = new Float64Array(LANES);

/** What depends on the choice of activations and loss; own-functions.ts puts other passes in their place. */
export interface Passes {
  /** inputs -> hidden, outputs (and probabilities, if the loss is crossEntropy). */
  forward(network: Network): void;
  /** BP1 and BP2: delta2, delta1, and the loss. */
  deltas(network: Network): void;
}

/** With the functions that the network's config names. */
const BUILT_IN: Passes = { forward, deltas };

/** inputs -> hidden, outputs (and probabilities, if the loss is crossEntropy). */
export function forward(network: Network): void {
  forwardHidden(network);
  activateHidden(network);
  forwardOutputs(network);
  activateOutputs(network);
  if (network.config.loss === 'crossEntropy') softmax(network);
}

function deltas(network: Network): void {
  outputDelta(network);
  hiddenDelta(network);
}

/**
 * One step on the sample whose `forward` was just computed. Reads targets; overwrites loss, deltas, steps and,
 * unless the step is skipped, the parameters and moments.
 * @returns LEARNED or SKIPPED
 */
export function learn(network: Network, passes = BUILT_IN): number {
  passes.deltas(network);
  if (network.rule.outerProduct) return learnOuterProduct(network);
  addGradient(network, true);
  return learnGradient(network, 1);
}

/**
 * Predicts and learns the first `count` queued samples in order, one step to every `batch` of them (the last batch
 * may be smaller). Reads queueInputs and queueTargets; overwrites queueOutputs and queueLosses, which are of the
 * moment before the sample's step, and all that `forward` and `learn` overwrite.
 * @param count at most queueSamples
 * @returns the number of steps learned; the others were skipped
 */
export function learnMany(network: Network, count: number, batch = 1, passes = BUILT_IN): number {
  let learned = 0;
  for (let first = 0; first < count; first += batch) {
    const size = Math.min(batch, count - first);
    if (size === 1) {
      forwardQueued(network, first, passes);
      learned += learn(network, passes);
      network.queueLosses[first] = network.loss[0];
    } else {
      learned += learnBatch(network, first, size, passes);
    }
  }
  return learned;
}

/** Predicts the first `count` queued samples: queueInputs -> queueOutputs. */
export function forwardMany(network: Network, count: number, passes = BUILT_IN): void {
  for (let sample = 0; sample < count; sample++) forwardQueued(network, sample, passes);
}

function forwardQueued(network: Network, sample: number, passes: Passes): void {
  const { inputs, targets, outputs, outputsPadded, queueInputs, queueTargets, queueOutputs } = network;
  for (let d = 0; d < inputs.length; d++) inputs[d] = queueInputs[sample * inputs.length + d];
  for (let k = 0; k < outputsPadded; k++) targets[k] = queueTargets[sample * outputsPadded + k];
  passes.forward(network);
  for (let k = 0; k < outputsPadded; k++) queueOutputs[sample * outputsPadded + k] = outputs[k];
}

function learnBatch(network: Network, first: number, size: number, passes: Passes): number {
  for (let sample = first; sample < first + size; sample++) {
    forwardQueued(network, sample, passes);
    passes.deltas(network);
    network.queueLosses[sample] = network.loss[0];
    addGradient(network, sample === first);
  }
  return learnGradient(network, size);
}

/** z1 = W1·x + b1, into `hidden`. */
export function forwardHidden({ config, weights1, bias1, inputs, hidden, hiddenPadded }: Network): void {
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
export function forwardOutputs({ config, weights2, bias2, hidden, outputs, hiddenPadded }: Network): void {
  for (let k = 0; k < config.outputs; k++) {
    const row = k * hiddenPadded;
    for (let lane = 0; lane < LANES; lane++) lanes32[lane] = laneSum(weights2, row, hidden, lane);
    for (let first = PANEL; first < hiddenPadded; first += PANEL) {
      for (let lane = 0; lane < LANES; lane++) {
        lanes32[lane] = lanes32[lane] + laneSum(weights2, row, hidden, first + lane);
      }
    }
    outputs[k] = bias2[k] + sumOfLanes32();
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

function sumOfLanes32(): number {
  return fround(fround(lanes32[0] + lanes32[1]) + fround(lanes32[2] + lanes32[3]));
}

/** `hidden`: z1 -> h */
export function activateHidden({ config, hidden }: Network): void {
  activate(config.hiddenActivation, hidden, config.hidden);
}

/** `outputs`: z2 -> y */
export function activateOutputs({ config, outputs }: Network): void {
  activate(config.outputActivation, outputs, config.outputs);
}

/** values[i] = f(values[i]) for i < count; units beyond, which only fill up a panel, become +0. */
function activate(activation: Activation, values: Float32Array, count: number): void {
  if (activation !== 'identity') APPLY[activation](values, count);
  for (let i = count; i < values.length; i++) values[i] = 0;
}

/** A function for each, not one for all: it would outgrow what the compiler inlines, and box what sigmoid returns. */
const APPLY = {
  sigmoid(values: Float32Array, count: number): void {
    for (let i = 0; i < count; i++) values[i] = sigmoid(values[i]);
  },
  tanh(values: Float32Array, count: number): void {
    for (let i = 0; i < count; i++) values[i] = tanh(values[i]);
  },
  relu(values: Float32Array, count: number): void {
    for (let i = 0; i < count; i++) values[i] = values[i] < 0 ? 0 : values[i];
  },
};

/** f'(z) written in terms of a = f(z). */
export function derivative(activation: Activation, a: number): number {
  if (activation === 'sigmoid') return fround(a * fround(1 - a));
  if (activation === 'tanh') return fround(1 - fround(a * a));
  if (activation === 'relu') return a > 0 ? 1 : 0;
  return 1;
}

/** probabilities = e^(y − max y) / Σ e^(y − max y) */
export function softmax(network: Network): void {
  softmaxOf(network, network.outputs);
}

/** The same of other logits than the outputs. @param logits [K] */
export function softmaxOf({ config, probabilities }: Network, logits: Float32Array): void {
  const count = config.outputs;
  let largest = logits[0];
  for (let k = 1; k < count; k++) largest = logits[k] > largest ? logits[k] : largest;
  lanes32.fill(0);
  for (let k = 0; k < count; k++) {
    const power = exp(fround(logits[k] - largest));
    probabilities[k] = power;
    lanes32[k % LANES] = lanes32[k % LANES] + power;
  }
  const sum = sumOfLanes32();
  for (let k = 0; k < count; k++) probabilities[k] = probabilities[k] / sum;
}

/** BP1: delta2 = dL/dy ⊙ g'(z2), and the loss. */
export function outputDelta(network: Network): void {
  if (network.config.loss === 'crossEntropy') crossEntropyDelta(network);
  else squaredDelta(network);
}

/** Of half and of mean squares. */
export function squaredDelta({ config, rule, outputs, targets, delta2, loss }: Network): void {
  lanes32.fill(0);
  for (let k = 0; k < config.outputs; k++) {
    const error = fround(outputs[k] - targets[k]);
    lanes32[k % LANES] = lanes32[k % LANES] + fround(error * error);
    const gradient = fround(error * rule.gradientFactor);
    delta2[k] = fround(gradient * derivative(config.outputActivation, outputs[k]));
  }
  loss[0] = rule.lossFactor * sumOfLanes32();
}

export function crossEntropyDelta({ config, outputs, probabilities, targets, delta2, loss }: Network): void {
  lanes32.fill(0);
  for (let k = 0; k < config.outputs; k++) {
    const error = fround(probabilities[k] - targets[k]);
    // The likelihood of the target.
    lanes32[k % LANES] = lanes32[k % LANES] + (targets[k] === 1 ? probabilities[k] : 0);
    delta2[k] = fround(error * derivative(config.outputActivation, outputs[k]));
  }
  loss[0] = -log(sumOfLanes32());
}

/** BP2: delta1 = (W2ᵀ·delta2) ⊙ f'(z1). */
export function hiddenDelta({ config, weights2, delta1, delta2, hidden, hiddenPadded }: Network): void {
  for (let h = 0; h < config.hidden; h++) {
    let sum = fround(weights2[h] * delta2[0]);
    for (let k = 1; k < config.outputs; k++) {
      sum = fround(sum + fround(weights2[k * hiddenPadded + h] * delta2[k]));
    }
    delta1[h] = fround(sum * derivative(config.hiddenActivation, hidden[h]));
  }
  for (let h = config.hidden; h < hiddenPadded; h++) delta1[h] = 0;
}

// --- The step of plain SGD on one sample: the gradient is an outer product and is never written down. ---

function learnOuterProduct(network: Network): number {
  clipDeltas(network);
  scaleSteps(network, network.rule.learningRate);
  if (!outerProductStaysFinite(network)) return SKIPPED;
  updateOuterProduct(network);
  return LEARNED;
}

/** Scales both deltas, and so the gradient, whose norm factors: ‖delta·xᵀ‖² = ‖delta‖²·‖x‖², and 1 for the bias. */
function clipDeltas({ rule, inputs, hidden, delta1, delta2 }: Network): void {
  if (rule.clipNorm === Infinity) return;
  const squared1 = squaredNorm(delta1) * (1 + squaredNorm(inputs));
  const squared2 = squaredNorm(delta2) * (1 + squaredNorm(hidden));
  const scale = clippingScale(rule.clipNorm, squared1 + squared2);
  for (let h = 0; h < delta1.length; h++) delta1[h] = delta1[h] * scale;
  for (let k = 0; k < delta2.length; k++) delta2[k] = delta2[k] * scale;
}

/** Σ values², in float64, where squares of float32 values cannot overflow. */
export function squaredNorm(values: Float32Array): number {
  lanes64.fill(0);
  for (let i = 0; i < values.length; i++) lanes64[i % LANES] += values[i] * values[i];
  return lanes64[0] + lanes64[1] + (lanes64[2] + lanes64[3]);
}

/** What brings a vector of this squared norm down to `clipNorm`; 1 if it is below. */
export function clippingScale(clipNorm: number, squared: number): number {
  const norm = Math.sqrt(squared);
  return norm > clipNorm ? fround(clipNorm / norm) : 1;
}

/** step = η·delta, of which BP3 and BP4 need only the product with what went into the layer. @param rate η, float32 */
export function scaleSteps({ delta1, delta2, step1, step2 }: Network, rate: number): void {
  for (let h = 0; h < delta1.length; h++) step1[h] = rate * delta1[h];
  for (let k = 0; k < delta2.length; k++) step2[k] = rate * delta2[k];
}

/** max(|values|); NaN if one of them is. */
export function largestMagnitude(values: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]));
  return largest;
}

/**
 * Can this step leave a parameter that is not finite? No, as long as the bound on all parameters plus the bound
 * on all changes is far from overflow: this costs O(D + H + K). Only when that bound trips (or something is NaN)
 * every new value is computed, without writing it; if they are all finite the bound starts anew at the largest.
 */
export function outerProductStaysFinite(network: Network): boolean {
  const change1 = largestMagnitude(network.step1) * Math.max(1, largestMagnitude(network.inputs));
  const change2 = largestMagnitude(network.step2) * Math.max(1, largestMagnitude(network.hidden));
  if (raiseBound(network, Math.max(change1, change2))) return true;
  return startBound(network, Math.max(largestAfterUpdate1(network), largestAfterUpdate2(network)));
}

/** Raises the bound on all parameters by `change`. @returns whether it is still far from overflow; else it stays */
export function raiseBound({ parameterBound }: Network, change: number): boolean {
  const bound = (parameterBound[0] + change) * ROUNDING_MARGIN;
  if (!(bound <= SAFE_BOUND)) return false;
  parameterBound[0] = bound;
  return true;
}

/** The bound starts anew at the `largest` parameter to come. @returns whether that is finite; else the bound stays */
export function startBound({ parameterBound }: Network, largest: number): boolean {
  if (!(largest < Infinity)) return false;
  parameterBound[0] = Math.max(1, largest);
  return true;
}

/** The largest |parameter| of layer 1 that the update would leave: Infinity or NaN if one were not finite. */
export function largestAfterUpdate1(network: Network): number {
  const { config, weights1, bias1, inputs, step1, hiddenPadded } = network;
  let largest = 0;
  for (let h = 0; h < hiddenPadded; h++) {
    largest = Math.max(largest, Math.abs(fround(bias1[h] - step1[h])));
    const panel = (h - (h % PANEL)) * config.inputs + (h % PANEL);
    for (let d = 0; d < config.inputs; d++) {
      const weight = weights1[panel + d * PANEL];
      largest = Math.max(largest, Math.abs(fround(weight - fround(step1[h] * inputs[d]))));
    }
  }
  return largest;
}

/** The same of layer 2. */
function largestAfterUpdate2(network: Network): number {
  const { config, weights2, bias2, hidden, step2, hiddenPadded } = network;
  let largest = 0;
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
export function updateOuterProduct(network: Network): void {
  updateLayer1(network);
  updateLayer2(network);
}

export function updateLayer1({ config, weights1, bias1, inputs, step1, hiddenPadded }: Network): void {
  const D = config.inputs;
  for (let first = 0, w = 0; first < hiddenPadded; first += PANEL) {
    for (let d = 0; d < D; d++) {
      const x = inputs[d];
      for (let h = first; h < first + PANEL; h++, w++) weights1[w] = weights1[w] - fround(step1[h] * x);
    }
  }
  for (let h = 0; h < hiddenPadded; h++) bias1[h] = bias1[h] - step1[h];
}

function updateLayer2({ config, weights2, bias2, hidden, step2, hiddenPadded }: Network): void {
  for (let k = 0, w = 0; k < config.outputs; k++) {
    for (let h = 0; h < hiddenPadded; h++, w++) weights2[w] = weights2[w] - fround(step2[k] * hidden[h]);
    bias2[k] = bias2[k] - step2[k];
  }
}

// --- Every other step: the gradient of each parameter is written down first, in the layout of the parameters. ---

/** BP3 and BP4: adds the sample's gradient to `gradient`, or begins with it. */
function addGradient(network: Network, begin: boolean): void {
  const { config, weights1, gradient, inputs, hidden, delta1, delta2, hiddenPadded } = network;
  if (begin) gradient.fill(-0); // −0 + g is g, even for g = −0
  const D = config.inputs;
  let g = 0;
  for (let first = 0; first < hiddenPadded; first += PANEL) {
    for (let d = 0; d < D; d++) {
      const x = inputs[d];
      for (let h = first; h < first + PANEL; h++, g++) gradient[g] = gradient[g] + fround(delta1[h] * x);
    }
  }
  g = weights1.length;
  for (let h = 0; h < hiddenPadded; h++, g++) gradient[g] = gradient[g] + delta1[h];
  for (let k = 0; k < config.outputs; k++) {
    const delta = delta2[k];
    for (let h = 0; h < hiddenPadded; h++, g++) gradient[g] = gradient[g] + fround(delta * hidden[h]);
  }
  for (let k = 0; k < delta2.length; k++, g++) gradient[g] = gradient[g] + delta2[k];
}

/**
 * One step by the sum of `count` gradients. A gradient that is not finite means SKIPPED even if clipping would hide
 * it: it says nothing about the way down.
 */
function learnGradient(network: Network, count: number): number {
  finishGradient(network, count);
  if (!(factors.largest < Infinity)) return SKIPPED;
  setFactors(network);
  if (!gradientStepStaysFinite(network)) return SKIPPED;
  applyRule(network, true);
  return LEARNED;
}

/** Mean of the batch, weight decay, clipping by value; sets `factors.largest`. */
function finishGradient({ rule, gradient, parameters }: Network, count: number): void {
  const { weightDecay, clipValue } = rule;
  let largest = 0;
  for (let i = 0; i < gradient.length; i++) {
    let component = count === 1 ? gradient[i] : fround(gradient[i] / count);
    if (weightDecay !== 0) component = fround(component + fround(weightDecay * parameters[i]));
    largest = Math.max(largest, Math.abs(component));
    gradient[i] = component < -clipValue ? -clipValue : component > clipValue ? clipValue : component;
  }
  factors.largest = largest;
}

/**
 * What one step multiplies by, the same for every parameter, and the largest |component| of the gradient before any
 * clipping. Handed from function to function they would be boxed, 16 bytes a step.
 */
const factors = { largest: 0, scale: 1, stepSize: 0, inverseRoot: 1, correction1: 0, correction2: 0 };

function setFactors({ rule, gradient, biasCorrections }: Network): void {
  factors.scale = rule.clipNorm === Infinity ? 1 : clippingScale(rule.clipNorm, squaredNorm(gradient));
  factors.stepSize = rule.learningRate;
  if (rule.optimiser !== 'adam') return;
  factors.correction1 = ADAM.beta1 * biasCorrections[0] + (1 - ADAM.beta1);
  factors.correction2 = ADAM.beta2 * biasCorrections[1] + (1 - ADAM.beta2);
  factors.stepSize = fround(rule.learningRate / factors.correction1);
  factors.inverseRoot = fround(1 / Math.sqrt(factors.correction2));
}

const BETA1 = fround(ADAM.beta1);
const BETA2 = fround(ADAM.beta2);
const ONE_MINUS_BETA1 = fround(1 - ADAM.beta1);
const ONE_MINUS_BETA2 = fround(1 - ADAM.beta2);
const EPSILON = fround(ADAM.epsilon);

/** As for the outer product: bounds first, and only when they trip every new value. */
function gradientStepStaysFinite(network: Network): boolean {
  const { rule, parameterBound, momentBounds } = network;
  const largest = Math.min(factors.largest, rule.clipValue);
  let moment1 = 0;
  let moment2 = 0;
  let change = factors.stepSize * largest;
  if (rule.optimiser === 'momentum') {
    moment1 = (rule.momentum * momentBounds[0] + largest) * ROUNDING_MARGIN;
    change = factors.stepSize * moment1;
  } else if (rule.optimiser === 'adam') {
    moment1 = (BETA1 * momentBounds[0] + ONE_MINUS_BETA1 * largest) * ROUNDING_MARGIN;
    moment2 = (BETA2 * momentBounds[1] + ONE_MINUS_BETA2 * largest * largest) * ROUNDING_MARGIN;
    change = (factors.stepSize * moment1) / EPSILON;
  }
  const bound = (parameterBound[0] + change) * ROUNDING_MARGIN;
  if (bound <= SAFE_BOUND && moment1 <= SAFE_BOUND && moment2 <= SAFE_BOUND) {
    parameterBound[0] = bound;
    momentBounds[0] = moment1;
    momentBounds[1] = moment2;
    return true;
  }
  applyRule(network, false);
  if (!(largestOf[0] < Infinity && largestOf[1] < Infinity && largestOf[2] < Infinity)) return false;
  parameterBound[0] = Math.max(1, largestOf[0]);
  momentBounds[0] = largestOf[1];
  momentBounds[1] = largestOf[2];
  return true;
}

/** The largest |parameter|, |moment1| and |moment2| that `applyRule` computed; NaN if one was. */
const largestOf = new Float64Array(3);

/** Computes every new parameter and moment; with `write` they take their place, otherwise only `largestOf` is set. */
function applyRule(network: Network, write: boolean): void {
  const { rule } = network;
  largestOf.fill(0);
  if (rule.optimiser === 'sgd') applySgd(network, write);
  else if (rule.optimiser === 'momentum') applyMomentum(network, write);
  else applyAdam(network, write);
}

function applySgd({ gradient, parameters }: Network, write: boolean): void {
  const { scale, stepSize } = factors;
  for (let i = 0; i < parameters.length; i++) {
    const component = fround(gradient[i] * scale);
    const parameter = fround(parameters[i] - fround(stepSize * component));
    largestOf[0] = Math.max(largestOf[0], Math.abs(parameter));
    if (write) parameters[i] = parameter;
  }
}

function applyMomentum({ rule, gradient, parameters, moment1 }: Network, write: boolean): void {
  const { scale, stepSize } = factors;
  for (let i = 0; i < parameters.length; i++) {
    const component = fround(gradient[i] * scale);
    const velocity = fround(fround(rule.momentum * moment1[i]) + component);
    const parameter = fround(parameters[i] - fround(stepSize * velocity));
    largestOf[0] = Math.max(largestOf[0], Math.abs(parameter));
    largestOf[1] = Math.max(largestOf[1], Math.abs(velocity));
    if (!write) continue;
    moment1[i] = velocity;
    parameters[i] = parameter;
  }
}

function applyAdam(network: Network, write: boolean): void {
  const { gradient, parameters, moment1, moment2, biasCorrections } = network;
  const { scale, stepSize, inverseRoot } = factors;
  for (let i = 0; i < parameters.length; i++) {
    const component = fround(gradient[i] * scale);
    const mean = fround(fround(BETA1 * moment1[i]) + fround(ONE_MINUS_BETA1 * component));
    const square = fround(
      fround(BETA2 * moment2[i]) + fround(fround(ONE_MINUS_BETA2 * component) * component),
    );
    const root = fround(fround(fround(Math.sqrt(square)) * inverseRoot) + EPSILON);
    const parameter = fround(parameters[i] - fround(fround(stepSize * mean) / root));
    largestOf[0] = Math.max(largestOf[0], Math.abs(parameter));
    largestOf[1] = Math.max(largestOf[1], Math.abs(mean));
    largestOf[2] = Math.max(largestOf[2], Math.abs(square));
    if (!write) continue;
    moment1[i] = mean;
    moment2[i] = square;
    parameters[i] = parameter;
  }
  if (!write) return;
  biasCorrections[0] = factors.correction1;
  biasCorrections[1] = factors.correction2;
}
