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
 * Invariant: every weight, bias, moment and activation of a unit that does not exist is +0, always. Files and
 * snapshots hold the plain row-major shapes (`readParameters`, `writeParameters`).
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from './arena.ts';

/** Hidden units to a panel: four 128-bit vectors of float32. */
export const PANEL = 16;

/** Outputs are padded to whole 128-bit vectors. */
const VECTOR = 4;

export type Activation = 'identity' | 'sigmoid' | 'tanh' | 'relu';
export const ACTIVATIONS: readonly Activation[] = ['identity', 'sigmoid', 'tanh', 'relu'];

/**
 * With the gradient g of the batch, after weight decay and clipping:
 * - `sgd`: p −= η·g
 * - `momentum`: v = μ·v + g, p −= η·v
 * - `adam`: m = β1·m + (1 − β1)·g, v = β2·v + (1 − β2)·g², p −= η/(1 − β1^t)·m/(√(v/(1 − β2^t)) + ε)
 */
export type Optimiser = 'sgd' | 'momentum' | 'adam';
export const OPTIMISERS: readonly Optimiser[] = ['sgd', 'momentum', 'adam'];

/** The constants of Adam that everybody uses. */
export const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;

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
  /** η, of whichever optimiser. */
  readonly learningRate: number;
  /** Default `sgd`. */
  readonly optimiser?: Optimiser;
  /** μ of `momentum`; default 0.9. */
  readonly momentum?: number;
  /** λ: adds λ·parameter to every gradient, biases included; default 0. */
  readonly weightDecay?: number;
  /** Every component of the gradient is cut off at ± this; default: not at all. */
  readonly clipValue?: number;
  /** A gradient whose norm, over all parameters, is above this is scaled down to it; default: not at all. */
  readonly clipNorm?: number;
  /** Samples that can be queued for one call of `learnMany` or `forwardMany`; default 0. */
  readonly queueSamples?: number;
}

type NetworkParts = {
  /** weights1, bias1, weights2 and bias2 as one block. */
  readonly parameters: Part<'float32'>;
  readonly weights1: Part<'float32'>;
  readonly bias1: Part<'float32'>;
  readonly weights2: Part<'float32'>;
  readonly bias2: Part<'float32'>;
  readonly inputs: Part<'float32'>;
  readonly hidden: Part<'float32'>;
  readonly outputs: Part<'float32'>;
  readonly probabilities: Part<'float32'>;
  readonly targets: Part<'float32'>;
  readonly offsets: Part<'float32'>;
  readonly delta1: Part<'float32'>;
  readonly delta2: Part<'float32'>;
  readonly step1: Part<'float32'>;
  readonly step2: Part<'float32'>;
  readonly loss: Part<'float32'>;
  readonly pace: Part<'float64'>;
  readonly parameterBound: Part<'float64'>;
  readonly gradient: Part<'float32'>;
  readonly moment1: Part<'float32'>;
  readonly moment2: Part<'float32'>;
  readonly momentBounds: Part<'float64'>;
  readonly biasCorrections: Part<'float64'>;
  readonly queueInputs: Part<'float32'>;
  readonly queueTargets: Part<'float32'>;
  readonly queueOutputs: Part<'float32'>;
  readonly queueLosses: Part<'float32'>;
  readonly batchHidden: Part<'float32'>;
  readonly batchDelta1: Part<'float32'>;
  readonly batchDelta2: Part<'float32'>;
};

/** Places in `pace`, which says how a paced step (paced.ts) is taken. */
export const PACE = {
  /** η, at most. */
  rate: 0,
  /** 1: the rate is capped at loss / (½·‖g‖² + 10⁻¹²); 0: it is not. */
  capped: 1,
  /** delta2 is scaled down to this Euclidean norm; Infinity: never. */
  errorMax: 2,
} as const;

/** A network laid over an arena. The views are made once; a step works in them and allocates nothing. */
export interface Network extends Views<NetworkParts> {
  readonly config: NetworkConfig;
  readonly parts: NetworkParts;
  /** Hidden units including those that fill up the last panel. */
  readonly hiddenPadded: number;
  /** Outputs including those that fill up the last vector: the stride of queueTargets and queueOutputs. */
  readonly outputsPadded: number;
  readonly rule: Rule;
}

/** The numbers of loss and optimiser as every step uses them: float32, except the limit of the norm. */
export interface Rule {
  /** loss = lossFactor·Σ(y − t)², unless it is crossEntropy. */
  readonly lossFactor: number;
  /** dL/dy = gradientFactor·(y − t); for crossEntropy 1. */
  readonly gradientFactor: number;
  readonly optimiser: Optimiser;
  readonly learningRate: number;
  readonly momentum: number;
  /** 0: none. */
  readonly weightDecay: number;
  /** Infinity: none. */
  readonly clipValue: number;
  /** Infinity: none. */
  readonly clipNorm: number;
  /** The step on one sample is an outer product, which is never written down: SGD without decay and clipValue. */
  readonly outerProduct: boolean;
}

export function ruleOf(config: NetworkConfig): Rule {
  const { optimiser = 'sgd', momentum = 0.9, weightDecay = 0, clipNorm = Infinity } = config;
  const { clipValue = Infinity, loss, outputs: K } = config;
  return {
    lossFactor: loss === 'meanSquared' ? Math.fround(1 / K) : 0.5,
    gradientFactor: loss === 'meanSquared' ? Math.fround(2 / K) : 1,
    optimiser,
    learningRate: Math.fround(config.learningRate),
    momentum: Math.fround(momentum),
    weightDecay: Math.fround(weightDecay),
    clipValue: Math.fround(clipValue),
    clipNorm,
    outerProduct: optimiser === 'sgd' && Math.fround(weightDecay) === 0 && clipValue === Infinity,
  };
}

export function outputsPadded(outputs: number): number {
  return Math.ceil(outputs / VECTOR) * VECTOR;
}

export function hiddenPadded(hidden: number): number {
  return Math.ceil(hidden / PANEL) * PANEL;
}

/** Adds the network's parts to the plan; parameters first and without a hole between them. */
export function planNetwork(plan: ArenaPlan, config: NetworkConfig): NetworkParts {
  const { inputs: D, hidden: H, outputs: K } = config;
  const padded = hiddenPadded(H);
  const outputs = outputsPadded(K);
  const weights1 = plan.float32('network.weights1', padded * D); // [P][D][16]
  const bias1 = plan.float32('network.bias1', padded); //           [P·16]
  const weights2 = plan.float32('network.weights2', K * padded); // [K][P·16]
  const bias2 = plan.float32('network.bias2', outputs); //          [K]
  const length = weights1.length + bias1.length + weights2.length + bias2.length;
  return {
    parameters: { name: 'network.parameters', type: 'float32', offset: weights1.offset, length },
    weights1,
    bias1,
    weights2,
    bias2,
    inputs: plan.float32('network.inputs', D), //                      x [D], scaled
    hidden: plan.float32('network.hidden', padded), //                 h [H]
    outputs: plan.float32('network.outputs', outputs), //              y [K]
    probabilities: plan.float32('network.probabilities', outputs), //  softmax(y) [K], crossEntropy only
    targets: plan.float32('network.targets', outputs), //              t [K]; one-hot for crossEntropy
    offsets: plan.float32('network.offsets', config.loss === 'crossEntropy' ? outputs : 0), // [K], see paced.ts
    delta1: plan.float32('network.delta1', padded), //                 dL/dz1 [H]
    delta2: plan.float32('network.delta2', outputs), //                dL/dz2 [K]
    step1: plan.float32('network.step1', padded), //                   η·delta1 [H]
    step2: plan.float32('network.step2', outputs), //                  η·delta2 [K]
    loss: plan.float32('network.loss', 1), //                          of the last sample learned
    pace: plan.float64('network.pace', 3), //                          of paced steps: see PACE
    parameterBound: plan.float64('network.parameterBound', 1), //      no |parameter| is above it
    ...planOptimiser(plan, config, length),
    ...planQueue(plan, config),
  };
}

/** What the optimiser keeps for `length` parameters, in their layout; of what it does not need, nothing. */
function planOptimiser(plan: ArenaPlan, config: NetworkConfig, length: number) {
  const { optimiser, outerProduct } = ruleOf(config);
  const { queueSamples = 0 } = config;
  return {
    gradient: plan.float32('network.gradient', outerProduct && queueSamples < 2 ? 0 : length),
    moment1: plan.float32('network.moment1', optimiser === 'sgd' ? 0 : length),
    moment2: plan.float32('network.moment2', optimiser === 'adam' ? length : 0),
    momentBounds: plan.float64('network.momentBounds', 2), //          no |moment| is above it
    biasCorrections: plan.float64('network.biasCorrections', 2), //    1 − β1^t, 1 − β2^t after t steps of adam
  };
}

function planQueue(
  plan: ArenaPlan,
  { inputs: D, hidden: H, outputs: K, queueSamples: Q = 0 }: NetworkConfig,
) {
  const outputs = outputsPadded(K);
  return {
    queueInputs: plan.float32('network.queueInputs', Q * D), //             [Q][D]
    queueTargets: plan.float32('network.queueTargets', Q * outputs), //     [Q][K padded]
    queueOutputs: plan.float32('network.queueOutputs', Q * outputs), //     [Q][K padded], before the step
    queueLosses: plan.float32('network.queueLosses', Q), //                 [Q], before the step
    batchHidden: plan.float32('network.batchHidden', Q * hiddenPadded(H)), // [P][Q][16]
    batchDelta1: plan.float32('network.batchDelta1', Q * hiddenPadded(H)), // [P][Q][16]
    batchDelta2: plan.float32('network.batchDelta2', Q * outputs), //       [Q][K padded]
  };
}

/** Lays a planned network over `buffer`, whose content it leaves as it is. */
export function openNetwork(buffer: ArrayBufferLike, config: NetworkConfig, parts: NetworkParts): Network {
  return {
    ...viewsOf(buffer, parts),
    config,
    parts,
    hiddenPadded: hiddenPadded(config.hidden),
    outputsPadded: outputsPadded(config.outputs),
    rule: ruleOf(config),
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
    for (let k = 0; k < K; k++)
      parameters.weights2[k * H + h] = network.weights2[k * network.hiddenPadded + h];
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
    for (let k = 0; k < K; k++)
      network.weights2[k * network.hiddenPadded + h] = parameters.weights2[k * H + h];
  }
  network.bias1.set(parameters.bias1);
  network.bias2.set(parameters.bias2);
  network.parameterBound[0] = largest;
}
