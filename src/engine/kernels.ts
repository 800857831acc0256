/**
 * The same network as reference.ts by 128-bit SIMD: the same bytes of parameters, moments, bounds, outputs and
 * losses, faster. The two can take turns on one arena. Written in AssemblyScript (src/engine/kernels/), compiled by
 * `npm run kernels`; the module imports the arena as its memory and has none of its own.
 */
import assert from 'node:assert/strict';
import { KERNELS_BASE64 } from './kernels-wasm.ts';
import { ACTIVATIONS, LOSSES, type Network, OPTIMISERS } from './network.ts';

/**
 * The functions of reference.ts, bound to one network. Where the reference promises contents, the bytes are equal
 * (NaN but for its sign and payload); hidden, probabilities, deltas, steps and gradient are scratch, and
 * `learnMany` leaves inputs, targets and outputs alone.
 */
export interface Kernels {
  /** inputs -> hidden, outputs (and probabilities, if the loss is crossEntropy). */
  forward(): void;
  /** One step on the sample whose `forward` was just computed. @returns LEARNED or SKIPPED */
  learn(): number;
  /** Predicts the first `count` queued samples: queueInputs -> queueOutputs. */
  forwardMany(count: number): void;
  /**
   * Predicts and learns the first `count` queued samples in order, one step to every `batch` of them.
   * @returns the number of steps learned; the others were skipped
   */
  learnMany(count: number, batch?: number): number;
}

/** `forward` and `learnPaced` of a network with plain SGD, or `forwardLinear` and `learnLinearPaced` of a linear model. */
export interface PacedKernels {
  forward(): void;
  learnPaced(): number;
}

type Setter = (...values: number[]) => void;

export interface Exports {
  forward(): void;
  learn(): number;
  forwardMany(count: number): void;
  learnMany(count: number, batch: number): number;
  readonly setConstants: Setter;
  readonly setShape: Setter;
  readonly setFunctions: Setter;
  readonly setRule: Setter;
  readonly setParameters: Setter;
  readonly setActivations: Setter;
  readonly setDeltas: Setter;
  readonly setOptimiser: Setter;
  readonly setQueue: Setter;
  readonly setBatch: Setter;
  learnPaced(): number;
  forwardLinear(): void;
  learnLinearPaced(): number;
  readonly setTeam: Setter;
  readonly setLeader: Setter;
  lead(count: number, batch: number): number;
  follow(): void;
  dismiss(): void;
}

let compiled: WebAssembly.Module | undefined;

/**
 * Lays kernels over a network. An instance of its own for every network and thread; a call allocates nothing.
 * @param memory the arena that `network` lies in
 */
export function openKernels(memory: WebAssembly.Memory, network: Network): Kernels & PacedKernels {
  const exports = instantiate(memory, network, network.parts);
  const capacity = network.config.queueSamples ?? 0;
  return {
    forward: exports.forward,
    learn: exports.learn,
    forwardMany(count) {
      if (!(count <= capacity)) assert.fail('more samples than the queue has');
      exports.forwardMany(count);
    },
    learnMany(count, batch = 1) {
      // A call of assert() costs 64 bytes of heap even when it holds.
      if (!(count <= capacity)) assert.fail('more samples than the queue has');
      if (!(batch >= 1)) assert.fail('a batch has at least one sample');
      return exports.learnMany(count, batch);
    },
    learnPaced: exports.learnPaced,
  };
}

/** @param model from `openLinear` */
export function openLinearKernels(memory: WebAssembly.Memory, model: Network): PacedKernels {
  const { forwardLinear, learnLinearPaced } = instantiate(memory, model, model.parts);
  return { forward: forwardLinear, learnPaced: learnLinearPaced };
}

/** @param parts where the instance finds what it works on: those of the network, or some of its own in their place */
export function instantiate(memory: WebAssembly.Memory, network: Network, parts: Network['parts']): Exports {
  assert(network.parameters.buffer === memory.buffer, 'the network lies in another memory');
  compiled ??= new WebAssembly.Module(Buffer.from(KERNELS_BASE64, 'base64'));
  const exports = new WebAssembly.Instance(compiled, { env: { memory } }).exports as unknown as Exports;
  describe(exports, network, parts);
  return exports;
}

/** Tells the instance where everything lies and what the rule is. */
function describe(exports: Exports, { config, rule }: Network, parts: Network['parts']): void {
  exports.setConstants();
  exports.setShape(config.inputs, config.hidden, config.outputs, config.queueSamples ?? 0);
  exports.setFunctions(
    ACTIVATIONS.indexOf(config.hiddenActivation),
    ACTIVATIONS.indexOf(config.outputActivation),
    LOSSES.indexOf(config.loss),
    rule.lossFactor,
    rule.gradientFactor,
  );
  exports.setRule(
    OPTIMISERS.indexOf(rule.optimiser),
    Number(rule.outerProduct),
    rule.learningRate,
    rule.momentum,
    rule.weightDecay,
    rule.clipValue,
    rule.clipNorm,
  );
  const at = (...names: (keyof typeof parts)[]): number[] => names.map((name) => parts[name].offset);
  exports.setParameters(...at('weights1', 'bias1', 'weights2', 'bias2'));
  exports.setActivations(...at('inputs', 'hidden', 'outputs', 'probabilities', 'targets', 'offsets'));
  exports.setDeltas(...at('delta1', 'delta2', 'step1', 'step2', 'loss', 'pace', 'parameterBound'));
  exports.setOptimiser(...at('gradient', 'moment1', 'moment2', 'momentBounds', 'biasCorrections'));
  exports.setQueue(...at('queueInputs', 'queueTargets', 'queueOutputs', 'queueLosses'));
  exports.setBatch(...at('batchHidden', 'batchDelta1', 'batchDelta2'));
}
