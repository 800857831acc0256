/**
 * Steps of plain SGD at a pace that may change from step to step (`network.pace`), and the linear model, which is layer 1 by itself.
 * The definition to the bit, like reference.ts; the kernels give the same bytes.
 *
 * The rate may be capped at what would bring the loss to zero if it were linear along the gradient g (a step of
 * Polyak's kind, with the loss's lower bound at half of it):
 *
 *     rate' = min(rate, loss / (½·‖g‖² + 10⁻¹²))
 *
 * ‖g‖² needs no pass over the weights: ‖delta·xᵀ‖² = ‖delta‖²·‖x‖², and 1 more for the bias.
 *
 * With crossEntropy the loss is taken of softmax(y + offsets): offsets of zero leave the usual loss, those of
 * log frequencies make the outputs free of them (logit adjustment, Menon et al. 2021, arXiv:2007.07314).
 */
import { PACE, type Network, type NetworkConfig, openNetwork, planNetwork } from './network.ts';
import {
  LEARNED,
  SKIPPED,
  clippingScale,
  forwardHidden,
  hiddenDelta,
  largestAfterUpdate1,
  largestMagnitude,
  outerProductStaysFinite,
  outputDelta,
  raiseBound,
  scaleSteps,
  softmax,
  softmaxOf,
  squaredNorm,
  startBound,
  updateLayer1,
  updateOuterProduct,
} from './reference.ts';
import type { ArenaPlan } from './arena.ts';

const { fround } = Math;

/** Keeps the capped rate finite where the gradient vanishes. */
const SQUARED_NORM_MIN = 1e-12;

/**
 * One step on the sample whose `forward` was just computed, of a network with plain SGD. Reads targets, offsets and
 * pace; overwrites probabilities, loss, deltas, steps and, unless the step is skipped, the parameters.
 * @returns LEARNED or SKIPPED
 */
export function learnPaced(network: Network): number {
  adjustProbabilities(network);
  outputDelta(network);
  limitError(network);
  hiddenDelta(network);
  const squared1 = squaredNorm(network.delta1) * (1 + squaredNorm(network.inputs));
  const squared2 = squaredNorm(network.delta2) * (1 + squaredNorm(network.hidden));
  scaleSteps(network, pacedRate(network, squared1 + squared2));
  if (!outerProductStaysFinite(network)) return SKIPPED;
  updateOuterProduct(network);
  return LEARNED;
}

/** @param squared ‖g‖² @returns η, float32 */
function pacedRate({ pace, loss }: Network, squared: number): number {
  if (pace[PACE.capped] === 0) return fround(pace[PACE.rate]);
  return fround(Math.min(pace[PACE.rate], loss[0] / (0.5 * squared + SQUARED_NORM_MIN)));
}

/** probabilities = softmax(outputs + offsets); the sums lie in step2 for the moment. */
function adjustProbabilities(network: Network): void {
  const { config, outputs, offsets, step2 } = network;
  if (config.loss !== 'crossEntropy') return;
  for (let k = 0; k < config.outputs; k++) step2[k] = outputs[k] + offsets[k];
  softmaxOf(network, step2);
}

function limitError({ delta2, pace }: Network): void {
  const errorMax = pace[PACE.errorMax];
  if (errorMax === Infinity) return;
  const scale = clippingScale(errorMax, squaredNorm(delta2));
  for (let k = 0; k < delta2.length; k++) delta2[k] = delta2[k] * scale;
}

// --- The linear model: z = W·x + b, whose K outputs are the "hidden units" of layer 1. ---

/** @returns what the plan of a linear model with D inputs and K outputs is made of */
export function linearConfig(inputs: number, outputs: number, loss: NetworkConfig['loss']): NetworkConfig {
  const identity = { hiddenActivation: 'identity', outputActivation: 'identity' } as const;
  return { inputs, hidden: outputs, outputs, loss, learningRate: 0, ...identity };
}

/** Plans a linear model; layer 2 is there and never used. */
export function planLinear(plan: ArenaPlan, config: NetworkConfig): Network['parts'] {
  const parts = planNetwork(plan, config);
  return { ...parts, outputs: parts.hidden, delta2: parts.delta1 };
}

/** Lays a linear model over `buffer`: its `outputs` and `delta2` are those of layer 1. */
export function openLinear(buffer: ArrayBufferLike, config: NetworkConfig, parts: Network['parts']): Network {
  return openNetwork(buffer, config, parts);
}

/** inputs -> outputs (and probabilities, if the loss is crossEntropy) */
export function forwardLinear(model: Network): void {
  forwardHidden(model);
  for (let k = model.config.outputs; k < model.hiddenPadded; k++) model.outputs[k] = 0;
  if (model.config.loss === 'crossEntropy') softmax(model);
}

/** As `learnPaced`. */
export function learnLinearPaced(model: Network): number {
  adjustProbabilities(model);
  outputDelta(model);
  limitError(model);
  const { delta1, step1, inputs } = model;
  const rate = pacedRate(model, squaredNorm(delta1) * (1 + squaredNorm(inputs)));
  for (let k = 0; k < delta1.length; k++) step1[k] = rate * delta1[k];
  const change = largestMagnitude(step1) * Math.max(1, largestMagnitude(inputs));
  if (!raiseBound(model, change) && !startBound(model, largestAfterUpdate1(model))) return SKIPPED;
  updateLayer1(model);
  return LEARNED;
}
