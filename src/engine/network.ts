/**
 * The fixed two-layer network: what it is made of and where that lies in the arena.
 *
 *     z1 = W1·x + b1     h = f(z1)        W1 [H x D], b1 [H]
 *     z2 = W2·h + b2     y = g(z2)        W2 [K x H], b2 [K]
 *
 * D inputs, H hidden units, K outputs are fixed when the network is made. In the arena the hidden units are
 * grouped in panels of 16, the last one filled up with units that do not exist, so that 128-bit lanes lie along
 * hidden units:
 *
 *     weights1  [P][D][16]   panel, input, unit        P = ceil(H/16)
 *     weights2  [K][P·16]    output, unit
 *
 * Invariant: every weight, bias and activation of a unit that does not exist is +0, always. Files and snapshots
 * hold the plain row-major shapes (`readParameters`, `writeParameters`).
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from './arena.ts';

/** Hidden units to a panel: four 128-bit vectors of float32. */
export const PANEL = 16;

/** Outputs are padded to whole 128-bit vectors. */
const VECTOR = 4;

export type Activation = 'identity' | 'sigmoid' | 'tanh' | 'relu';
export const ACTIVATIONS: readonly Activation[] = ['identity', 'sigmoid', 'tanh', 'relu'];

/**
 * - `halfSquared`: ½·Σ(y − t)²
 * - `meanSquared`: (1/K)·Σ(y − t)²
 * - `crossEntropy`: −log softmax(y)[target]
 */
export type Loss = 'halfSquared' | 'meanSquared' | 'crossEntropy';
export const LOSSES: readonly Loss[] = ['halfSquared', 'meanSquared', 'crossEntropy'];

export interface NetworkConfig {
  /** D, values per sample. */
  readonly inputs: number;
  /** H, hidden units. */
  readonly hidden: number;
  /** K, outputs; for crossEntropy the number of classes. */
  readonly outputs: number;
  readonly hiddenActivation: Activation;
  readonly outputActivation: Activation;
  readonly loss: Loss;
  /** η of plain stochastic gradient descent. */
  readonly learningRate: number;
}

type NetworkParts = {
  readonly weights1: Part<'float32'>;
  readonly bias1: Part<'float32'>;
  readonly weights2: Part<'float32'>;
  readonly bias2: Part<'float32'>;
  readonly inputs: Part<'float32'>;
  readonly hidden: Part<'float32'>;
  readonly outputs: Part<'float32'>;
  readonly probabilities: Part<'float32'>;
  readonly targets: Part<'float32'>;
  readonly delta1: Part<'float32'>;
  readonly delta2: Part<'float32'>;
  readonly step1: Part<'float32'>;
  readonly step2: Part<'float32'>;
  readonly loss: Part<'float32'>;
  readonly parameterBound: Part<'float64'>;
};

/** A network laid over an arena. The views are made once; a step works in them and allocates nothing. */
export interface Network extends Views<NetworkParts> {
  readonly config: NetworkConfig;
  readonly parts: NetworkParts;
  /** Hidden units including those that fill up the last panel. */
  readonly hiddenPadded: number;
  /** η rounded to float32, as every step uses it. */
  readonly learningRate: number;
}

export function hiddenPadded(hidden: number): number {
  return Math.ceil(hidden / PANEL) * PANEL;
}

/** Adds the network's parts to the plan; parameters first and without a hole between them. */
export function planNetwork(plan: ArenaPlan, { inputs: D, hidden: H, outputs: K }: NetworkConfig): NetworkParts {
  const padded = hiddenPadded(H);
  const outputsPadded = Math.ceil(K / VECTOR) * VECTOR;
  return {
    weights1: plan.float32('network.weights1', padded * D), //         [P][D][16]
    bias1: plan.float32('network.bias1', padded), //                   [P·16]
    weights2: plan.float32('network.weights2', K * padded), //         [K][P·16]
    bias2: plan.float32('network.bias2', outputsPadded), //            [K]
    inputs: plan.float32('network.inputs', D), //                      x [D], scaled
    hidden: plan.float32('network.hidden', padded), //                 h [H]
    outputs: plan.float32('network.outputs', outputsPadded), //        y [K]
    probabilities: plan.float32('network.probabilities', outputsPadded), // softmax(y) [K], crossEntropy only
    targets: plan.float32('network.targets', outputsPadded), //        t [K]; one-hot for crossEntropy
    delta1: plan.float32('network.delta1', padded), //                 dL/dz1 [H]
    delta2: plan.float32('network.delta2', outputsPadded), //          dL/dz2 [K]
    step1: plan.float32('network.step1', padded), //                   η·delta1 [H]
    step2: plan.float32('network.step2', outputsPadded), //            η·delta2 [K]
    loss: plan.float32('network.loss', 1), //                          of the last sample learned
    parameterBound: plan.float64('network.parameterBound', 1), //      no |parameter| is above it
  };
}

/** Lays a planned network over `buffer`, whose content it leaves as it is. */
export function openNetwork(buffer: ArrayBufferLike, config: NetworkConfig, parts: NetworkParts): Network {
  return {
    ...viewsOf(buffer, parts),
    config,
    parts,
    hiddenPadded: hiddenPadded(config.hidden),
    learningRate: Math.fround(config.learningRate),
  };
}

/** Plain row-major parameters, as files hold them. */
export interface Parameters {
  /** [H x D] */
  readonly weights1: Float32Array;
  /** [H] */
  readonly bias1: Float32Array;
  /** [K x H] */
  readonly weights2: Float32Array;
  /** [K] */
  readonly bias2: Float32Array;
}

export function makeParameters({ inputs: D, hidden: H, outputs: K }: NetworkConfig): Parameters {
  return {
    weights1: new Float32Array(H * D),
    bias1: new Float32Array(H),
    weights2: new Float32Array(K * H),
    bias2: new Float32Array(K),
  };
}

/**
 * Uniform in ±1/√(fan-in), drawn in the order weights1, bias1, weights2, bias2, row-major.
 * @param random uniform in [0, 1)
 */
export function initialParameters(config: NetworkConfig, random: () => number): Parameters {
  const parameters = makeParameters(config);
  const { weights1, bias1, weights2, bias2 } = parameters;
  const draw = (values: Float32Array, fanIn: number): void => {
    const range = Math.sqrt(fanIn);
    for (let i = 0; i < values.length; i++) values[i] = (2 * random() - 1) / range;
  };
  draw(weights1, config.inputs);
  draw(bias1, config.inputs);
  draw(weights2, config.hidden);
  draw(bias2, config.hidden);
  return parameters;
}

/** Index of the weight from input d to hidden unit h in the panel layout. */
function panelIndex(h: number, d: number, D: number): number {
  const lane = h % PANEL;
  return ((h - lane) / PANEL) * D * PANEL + d * PANEL + lane;
}

/** Copies the network's parameters out, row-major. */
export function readParameters(network: Network): Parameters {
  const parameters = makeParameters(network.config);
  const { inputs: D, hidden: H, outputs: K } = network.config;
  for (let h = 0; h < H; h++) {
    for (let d = 0; d < D; d++) parameters.weights1[h * D + d] = network.weights1[panelIndex(h, d, D)];
    for (let k = 0; k < K; k++) parameters.weights2[k * H + h] = network.weights2[k * network.hiddenPadded + h];
  }
  parameters.bias1.set(network.bias1.subarray(0, H));
  parameters.bias2.set(network.bias2.subarray(0, K));
  return parameters;
}

/** Copies row-major parameters into the network. Shapes are the caller's to check (store/weights.ts does). */
export function writeParameters(network: Network, parameters: Parameters): void {
  const { inputs: D, hidden: H, outputs: K } = network.config;
  let largest = 1;
  for (const values of [parameters.weights1, parameters.bias1, parameters.weights2, parameters.bias2]) {
    for (const value of values) largest = Math.max(largest, Math.abs(value));
  }
  network.weights1.fill(0);
  network.weights2.fill(0);
  for (let h = 0; h < H; h++) {
    for (let d = 0; d < D; d++) network.weights1[panelIndex(h, d, D)] = parameters.weights1[h * D + d];
    for (let k = 0; k < K; k++) network.weights2[k * network.hiddenPadded + h] = parameters.weights2[k * H + h];
  }
  network.bias1.set(parameters.bias1);
  network.bias2.set(parameters.bias2);
  network.parameterBound[0] = largest;
}
