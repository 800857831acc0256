/**
 * The library: `import { TwoLayerNetwork } from 'edgeloop'`.
 */
import { ArenaPlan, viewsOf } from './engine/arena.ts';
import { type Kernels, openKernels } from './engine/kernels.ts';
import {
  type Network,
  type Parameters,
  initialParameters,
  openNetwork,
  planNetwork,
  readParameters,
  writeParameters,
} from './engine/network.ts';
import {
  type OwnConfig,
  openOwnFunctions,
  planOwnFunctions,
  separateFunctions,
} from './engine/own-functions.ts';
import { mulberry32 } from './engine/random.ts';
import { LEARNED } from './engine/reference.ts';
import { EdgeloopError } from './errors.ts';
import { type Tensor, type TensorFile, decodeSafetensors, encodeSafetensors } from './store/safetensors.ts';

export type { Activation, Loss, NetworkConfig, Optimiser, Parameters } from './engine/network.ts';
export {
  type OwnActivation,
  type OwnLoss,
  ownActivation,
  ownLoss,
  ownLossOfAll,
} from './engine/own-functions.ts';
// What own functions are written with; variable, evaluate and gradient are for trying an expression out.
export { abs, add, constant, cos, div, evaluate, exp, gradient, log, max } from './engine/autodiff.ts';
export { min, mul, pow, sin, sqrt, sub, tanh, variable } from './engine/autodiff.ts';
export type { Expression, Variable } from './engine/autodiff.ts';
export { EdgeloopError } from './errors.ts';

/** Activations and loss are names or one's own: `ownActivation`, `ownLoss`, `ownLossOfAll`. */
export interface NetworkOptions extends OwnConfig {
  /** Of the initial weights; default 1. */
  readonly seed?: number;
}

export interface MemoryPlan {
  /** All that a network takes; besides, own functions take 40 bytes or so for each of their operations. */
  readonly bytes: number;
  readonly parts: readonly { readonly name: string; readonly bytes: number }[];
}

/** Samples of a minibatch that `learnMany` can take, unless the options say more. */
const QUEUE_SAMPLES = 32;

/** Names of the tensors of one layer-shaped set of numbers: PyTorch's for two Linear layers. */
const TENSORS = ['layer1.weight', 'layer1.bias', 'layer2.weight', 'layer2.bias'] as const;

/**
 * inputs [D] -> hidden [H] -> outputs [K], float32, one step of training per sample or minibatch. All memory is taken
 * when it is made; predicting and learning allocate nothing. The same calls give the same bits on every machine, unless
 * a function of one's own calls exp, log, sin, cos, tanh or pow.
 */
export class TwoLayerNetwork {
  /** The options without the seed. */
  readonly config: NetworkOptions;
  readonly #network: Network;
  readonly #kernels: Kernels;
  readonly #answer: Float32Array;

  /** What a network would take, before anything is taken. */
  static plan(options: NetworkOptions): MemoryPlan {
    const plan = new ArenaPlan();
    planParts(plan, options);
    const bytesOf = { float32: 4, float64: 8, int32: 4 };
    const parts = plan.parts.map(({ name, type, length }) => ({ name, bytes: length * bytesOf[type] }));
    return { bytes: plan.sizeBytes, parts };
  }

  /**
   * @throws EdgeloopError ELOOP_SHAPE if a size is no positive integer, or an own loss is for another number of outputs;
   *   ELOOP_FUNCTION if an activation or a loss is none
   */
  constructor(options: NetworkOptions) {
    for (const size of ['inputs', 'hidden', 'outputs'] as const) {
      if (Number.isInteger(options[size]) && options[size] > 0) continue;
      throw new EdgeloopError('ELOOP_SHAPE', `${size}: expected a positive integer, got ${options[size]}.`);
    }
    this.config = withQueue(options);
    const plan = new ArenaPlan();
    const { config, parts, open } = planParts(plan, this.config);
    const memory = plan.allocate();
    this.#network = openNetwork(memory.buffer, config, parts);
    this.#kernels = open(memory, this.#network);
    const { outputs, probabilities } = this.#network;
    this.#answer = (this.config.loss === 'crossEntropy' ? probabilities : outputs).subarray(
      0,
      this.config.outputs,
    );
    writeParameters(this.#network, initialParameters(config, mulberry32(options.seed ?? 1)));
  }

  /** Loss of the sample learned last, before its step; of `learnMany` the mean over its samples. */
  loss = NaN;

  /**
   * @param inputs [D]
   * @returns outputs [K], for crossEntropy the probabilities of the classes; overwritten by the next call
   * @throws EdgeloopError ELOOP_SHAPE
   */
  predict(inputs: ArrayLike<number>): Float32Array {
    this.#put('inputs', inputs, this.#network.inputs, this.config.inputs);
    this.#kernels.forward();
    return this.#answer;
  }

  /**
   * One step on one sample.
   * @param inputs  [D]
   * @param targets [K], or for crossEntropy the index of the class
   * @returns false if the step was left out because a weight would not have stayed finite
   * @throws EdgeloopError ELOOP_SHAPE
   */
  learn(inputs: ArrayLike<number>, targets: ArrayLike<number> | number): boolean {
    this.predict(inputs);
    if (typeof targets === 'number') this.#putClass(targets);
    else this.#put('targets', targets, this.#network.targets, this.config.outputs);
    const learned = this.#kernels.learn() === LEARNED;
    this.loss = this.#network.loss[0];
    return learned;
  }

  /**
   * Steps on n samples in order, one step to every `batch` of them; faster than n calls of `learn`.
   * @param inputs  [n x D], row-major
   * @param targets [n x K], row-major; for crossEntropy one-hot
   * @returns steps taken; the others were left out because a weight would not have stayed finite
   * @throws EdgeloopError ELOOP_SHAPE
   */
  learnMany(inputs: Float32Array, targets: Float32Array, batch = 1): number {
    const { inputs: D, outputs: K, queueSamples: capacity = 0 } = this.config;
    const samples = inputs.length / D;
    if (!Number.isInteger(samples)) throw shapeError('inputs', `a multiple of ${D}`, inputs.length);
    if (targets.length !== samples * K) throw shapeError('targets', `${samples * K}`, targets.length);
    if (!Number.isInteger(batch) || batch < 1 || batch > capacity) {
      throw shapeError('batch', `1 to ${capacity} (the option queueSamples)`, batch);
    }
    let steps = 0;
    let losses = 0;
    const atOnce = capacity - (capacity % batch);
    for (let first = 0; first < samples; first += atOnce) {
      const count = Math.min(atOnce, samples - first);
      this.#queue(inputs, targets, first, count);
      steps += this.#kernels.learnMany(count, batch);
      for (let sample = 0; sample < count; sample++) losses += this.#network.queueLosses[sample];
    }
    this.loss = losses / samples;
    return steps;
  }

  /** The parameters, row-major, in new arrays. */
  parameters(): Parameters {
    return readParameters(this.#network);
  }

  /** Everything that is learned, the optimiser's state included, as a safetensors file; no options, no functions. */
  snapshot(): Uint8Array {
    const network = this.#network;
    const tensors = new Map<string, Tensor>();
    this.#describe(tensors, '', network);
    for (const name of ['moment1', 'moment2'] as const) {
      if (network[name].length > 0) this.#describe(tensors, `${name}.`, overBlock(network, network[name]));
    }
    if (network.moment2.length > 0) {
      tensors.set('biasCorrections', { shape: [2], data: network.biasCorrections.slice() });
    }
    return encodeSafetensors({ tensors, metadata: {} });
  }

  /**
   * Takes up where `snapshot` was, or the weights of a PyTorch model of two Linear layers named layer1 and layer2.
   * Nothing is changed unless everything fits. A file has no functions: this network keeps its own.
   * @throws EdgeloopError ELOOP_FORMAT or ELOOP_SHAPE
   */
  load(bytes: Uint8Array): void {
    const network = this.#network;
    const file = decodeSafetensors(bytes, 'snapshot');
    const parameters = this.#read(file, '');
    const moments = (['moment1', 'moment2'] as const).filter(
      (name) => network[name].length > 0 && file.tensors.has(`${name}.layer1.weight`),
    );
    const momentSets = moments.map((name) => this.#read(file, `${name}.`));
    writeParameters(network, parameters);
    network.moment1.fill(0);
    network.moment2.fill(0);
    network.momentBounds.fill(0);
    moments.forEach((name, index) => {
      const block = overBlock(network, network[name]);
      writeParameters(
        { ...block, parameterBound: network.momentBounds.subarray(index, index + 1) },
        momentSets[index],
      );
    });
    const corrections = file.tensors.get('biasCorrections')?.data;
    if (network.moment2.length > 0)
      network.biasCorrections.set(corrections?.length === 2 ? corrections : [0, 0]);
  }

  #queue(inputs: Float32Array, targets: Float32Array, first: number, count: number): void {
    const { queueInputs, queueTargets, outputsPadded } = this.#network;
    const { inputs: D, outputs: K } = this.config;
    for (let i = 0; i < count * D; i++) queueInputs[i] = inputs[first * D + i];
    for (let sample = 0; sample < count; sample++) {
      for (let k = 0; k < K; k++)
        queueTargets[sample * outputsPadded + k] = targets[(first + sample) * K + k];
    }
  }

  #put(name: string, values: ArrayLike<number>, into: Float32Array, length: number): void {
    if (values.length !== length) throw shapeError(name, `${length}`, values.length);
    for (let i = 0; i < length; i++) into[i] = values[i];
  }

  #putClass(index: number): void {
    const { outputs, loss } = this.config;
    if (loss !== 'crossEntropy' || !Number.isInteger(index) || index < 0 || index >= outputs) {
      const expected = loss === 'crossEntropy' ? `a class from 0 to ${outputs - 1}` : `${outputs} numbers`;
      throw new EdgeloopError('ELOOP_SHAPE', `targets: expected ${expected}, got ${index}.`);
    }
    this.#network.targets.fill(0);
    this.#network.targets[index] = 1;
  }

  #describe(tensors: Map<string, Tensor>, prefix: string, network: Network): void {
    const { weights1, bias1, weights2, bias2 } = readParameters(network);
    const data = [weights1, bias1, weights2, bias2];
    this.#shapes().forEach((shape, i) => tensors.set(prefix + TENSORS[i], { shape, data: data[i] }));
  }

  #read(file: TensorFile, prefix: string): Parameters {
    const [weights1, bias1, weights2, bias2] = this.#shapes().map((shape, i) => {
      const name = prefix + TENSORS[i];
      const tensor = file.tensors.get(name);
      if (tensor?.shape.join() !== shape.join() || !(tensor.data instanceof Float32Array)) {
        const got = tensor ? `[${tensor.shape}]` : 'nothing';
        throw new EdgeloopError('ELOOP_SHAPE', `${name}: expected float32 of shape [${shape}], got ${got}.`);
      }
      if (!tensor.data.every((value) => Number.isFinite(value))) {
        throw new EdgeloopError('ELOOP_FORMAT', `${name}: expected finite numbers, got NaN or Infinity.`);
      }
      return tensor.data;
    });
    return { weights1, bias1, weights2, bias2 };
  }

  #shapes(): number[][] {
    const { inputs: D, hidden: H, outputs: K } = this.config;
    return [[H, D], [H], [K, H], [K]];
  }
}

function withQueue({ seed: _seed, ...config }: NetworkOptions): NetworkOptions {
  return { ...config, queueSamples: Math.max(config.queueSamples ?? 0, QUEUE_SAMPLES) };
}

/** Plans a network, by the kernels or with its own functions. */
function planParts(plan: ArenaPlan, options: NetworkOptions) {
  const { config, own } = separateFunctions(withQueue(options));
  const parts = planNetwork(plan, config);
  if (!own) return { config, parts, open: openKernels };
  const ownParts = planOwnFunctions(plan, own, config);
  const open = (memory: WebAssembly.Memory, network: Network): Kernels =>
    openOwnFunctions(network, own, viewsOf(memory.buffer, ownParts));
  return { config, parts, open };
}

/** The network with other numbers, in the layout of its parameters, in their place. */
function overBlock(network: Network, block: Float32Array): Network {
  const start = network.parts.weights1.offset;
  const view = (name: 'weights1' | 'bias1' | 'weights2' | 'bias2'): Float32Array => {
    const { offset, length } = network.parts[name];
    return block.subarray((offset - start) / 4, (offset - start) / 4 + length);
  };
  return {
    ...network,
    weights1: view('weights1'),
    bias1: view('bias1'),
    weights2: view('weights2'),
    bias2: view('bias2'),
  };
}

function shapeError(name: string, expected: string, got: number): EdgeloopError {
  return new EdgeloopError('ELOOP_SHAPE', `${name}: expected ${expected}, got ${got}.`);
}
