/**
 * The JavaScript libraries on the task of the engine bench: brain.js as it trains a pattern, TensorFlow.js with the
 * gradients written out (its own cost more). Their packages are in this folder's node_modules or nowhere, so the
 * little of them that is used is declared here.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Contender } from '../engine/contenders.ts';
import { type Pass, SAMPLES, type Task } from '../engine/task.ts';

const load = createRequire(import.meta.url);

interface BrainNetwork {
  readonly trainOpts: { momentum: number };
  readonly weights: Float32Array[][];
  readonly biases: Float32Array[];
  initialize(): void;
  trainPattern(value: { readonly input: Float32Array; readonly output: Float32Array }): void;
  run(input: Float32Array): Float32Array;
}

interface Brain {
  readonly NeuralNetwork: new (options: {
    readonly inputSize: number;
    readonly hiddenLayers: readonly number[];
    readonly outputSize: number;
    readonly activation: 'sigmoid';
    readonly learningRate: number;
  }) => BrainNetwork;
}

/** Rows of a row-major matrix. */
function rowsOf(values: Float32Array, length: number): Float32Array[] {
  return Array.from({ length: values.length / length }, (_, i) => values.slice(i * length, (i + 1) * length));
}

/** Batch 1 only: brain.js has no minibatches. */
export function brainJs(task: Task, pass: Pass): Contender {
  // The browser build has gpu.js inside; the other one would load a native OpenGL that nothing here uses.
  const { NeuralNetwork } = load('brain.js/dist/browser.js') as Brain;
  const { inputs: D, hidden: H, outputs: K, learningRate } = task.config;
  const network = new NeuralNetwork({
    inputSize: D,
    hiddenLayers: [H],
    outputSize: K,
    activation: 'sigmoid',
    learningRate,
  });
  network.trainOpts.momentum = 0; // as an option it is refused
  network.initialize();
  const { weights1, bias1, weights2, bias2 } = task.parameters;
  network.weights[1] = rowsOf(weights1, D);
  network.weights[2] = rowsOf(weights2, H);
  network.biases[1] = bias1.slice();
  network.biases[2] = bias2.slice();
  const patterns = rowsOf(task.inputs, D).map((input, i) => ({
    input,
    output: task.targets.slice(i * K, (i + 1) * K),
  }));
  const predictions = new Float32Array(SAMPLES * K);
  const infer = (): void => patterns.forEach(({ input }, i) => predictions.set(network.run(input), i * K));
  const train = (): void => patterns.forEach((pattern) => network.trainPattern(pattern));
  const once = pass === 'train' ? train : infer;
  return {
    run(passes) {
      for (let i = 0; i < passes; i++) once();
    },
    predict() {
      infer();
      return predictions;
    },
  };
}

interface Tensor {
  dataSync(): Float32Array;
  dispose(): void;
}

interface TensorFlow {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  tidy<Result extends Tensor[] | Tensor>(work: () => Result): Result;
  tensor1d(values: Float32Array): Tensor;
  tensor2d(values: Float32Array, shape: [number, number]): Tensor;
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  sigmoid(x: Tensor): Tensor;
  add(a: Tensor, b: Tensor): Tensor;
  sub(a: Tensor | number, b: Tensor): Tensor;
  mul(a: Tensor, b: Tensor | number): Tensor;
  sum(x: Tensor, axis: number): Tensor;
}

export type TensorFlowBackend = 'cpu' | 'wasm';

/** @throws Error if the backend does not start */
export async function openTensorFlow(backend: TensorFlowBackend): Promise<TensorFlow> {
  const tensorFlow = load('@tensorflow/tfjs-core') as TensorFlow;
  if (backend === 'cpu') load('@tensorflow/tfjs-backend-cpu');
  else {
    const wasm = load('@tensorflow/tfjs-backend-wasm') as { setWasmPaths(folder: string): void };
    const main = load.resolve('@tensorflow/tfjs-backend-wasm');
    wasm.setWasmPaths(join(dirname(main), '/'));
  }
  if (!(await tensorFlow.setBackend(backend))) throw new Error(`TensorFlow.js: no backend ${backend}`);
  await tensorFlow.ready();
  return tensorFlow;
}

export function tensorFlowJs(tf: TensorFlow, task: Task, pass: Pass, batch: number): Contender {
  const { inputs: D, hidden: H, outputs: K, learningRate } = task.config;
  let weights1 = tf.tensor2d(task.parameters.weights1, [H, D]);
  let bias1 = tf.tensor1d(task.parameters.bias1);
  let weights2 = tf.tensor2d(task.parameters.weights2, [K, H]);
  let bias2 = tf.tensor1d(task.parameters.bias2);
  const inputs = rowsOf(task.inputs, D * batch).map((rows) => tf.tensor2d(rows, [batch, D]));
  const targets = rowsOf(task.targets, K * batch).map((rows) => tf.tensor2d(rows, [batch, K]));
  const predictions = new Float32Array(SAMPLES * K);

  function layer(x: Tensor, weights: Tensor, bias: Tensor): Tensor {
    return tf.sigmoid(tf.add(tf.matMul(x, weights, false, true), bias));
  }

  function delta(error: Tensor, a: Tensor): Tensor {
    return tf.mul(tf.mul(error, a), tf.sub(1, a));
  }

  /** parameters − step · gradient */
  function descend(parameters: Tensor, gradient: Tensor): Tensor {
    return tf.sub(parameters, tf.mul(gradient, learningRate / batch));
  }

  function learn(x: Tensor, target: Tensor): void {
    const before = [weights1, bias1, weights2, bias2];
    [weights1, bias1, weights2, bias2] = tf.tidy(() => {
      const hidden = layer(x, weights1, bias1);
      const y = layer(hidden, weights2, bias2);
      const delta2 = delta(tf.sub(y, target), y);
      const delta1 = delta(tf.matMul(delta2, weights2), hidden);
      return [
        descend(weights1, tf.matMul(delta1, x, true)),
        descend(bias1, tf.sum(delta1, 0)),
        descend(weights2, tf.matMul(delta2, hidden, true)),
        descend(bias2, tf.sum(delta2, 0)),
      ];
    });
    for (const tensor of before) tensor.dispose();
  }

  function infer(): void {
    inputs.forEach((x, i) => {
      const y = tf.tidy(() => layer(layer(x, weights1, bias1), weights2, bias2));
      predictions.set(y.dataSync(), i * batch * K);
      y.dispose();
    });
  }

  const train = (): void => inputs.forEach((x, i) => learn(x, targets[i]));
  const once = pass === 'train' ? train : infer;
  return {
    run(passes) {
      for (let i = 0; i < passes; i++) once();
    },
    predict() {
      infer();
      return predictions;
    },
  };
}
