/**
 * The task that every contender of the engine benches gets, to the byte: a network of sigmoids with half squared
 * error and plain SGD, its initial parameters, and samples that are gone through again and again.
 */
import { type NetworkConfig, type Parameters, initialParameters } from '../../../src/engine/network.ts';
import { mulberry32 } from '../../../src/engine/random.ts';

/** Inputs D, hidden units H, outputs K. */
export type Shape = readonly [number, number, number];

export const SHAPES: readonly Shape[] = [
  [2, 2, 2],
  [6, 16, 3],
  [64, 32, 8],
  [128, 64, 10],
  [784, 128, 10],
];

export const BATCHES = [1, 32] as const;

export type Pass = 'train' | 'infer';

export const PASSES: readonly Pass[] = ['train', 'infer'];

/** A multiple of every batch. With the weights of the largest shape they fit in a second-level cache. */
export const SAMPLES = 64;

export interface Task {
  readonly config: NetworkConfig;
  readonly parameters: Parameters;
  /** [SAMPLES x D], in ±1 */
  readonly inputs: Float32Array;
  /** [SAMPLES x K], in 0.1 .. 0.9 */
  readonly targets: Float32Array;
}

export function makeTask([inputs, hidden, outputs]: Shape): Task {
  const config: NetworkConfig = {
    inputs,
    hidden,
    outputs,
    hiddenActivation: 'sigmoid',
    outputActivation: 'sigmoid',
    loss: 'halfSquared',
    learningRate: 0.05,
    queueSamples: SAMPLES,
  };
  const random = mulberry32(2);
  return {
    config,
    parameters: initialParameters(config, mulberry32(1)),
    inputs: Float32Array.from({ length: SAMPLES * inputs }, () => 2 * random() - 1),
    targets: Float32Array.from({ length: SAMPLES * outputs }, () => 0.1 + 0.8 * random()),
  };
}

/**
 * The task as programs in other languages read it, little-endian: int32 D, H, K, SAMPLES; float32 learning rate,
 * weights1 [H x D], bias1 [H], weights2 [K x H], bias2 [K], inputs, targets.
 */
export function encodeTask({ config, parameters, inputs, targets }: Task): Uint8Array {
  const sizes = Int32Array.of(config.inputs, config.hidden, config.outputs, SAMPLES);
  const { weights1, bias1, weights2, bias2 } = parameters;
  const rate = Float32Array.of(config.learningRate);
  const parts = [sizes, rate, weights1, bias1, weights2, bias2, inputs, targets];
  return Buffer.concat(parts.map((part) => new Uint8Array(part.buffer, part.byteOffset, part.byteLength)));
}

/** One number out of all predictions, [SAMPLES x K]: a swapped or forgotten one changes it. */
export function fingerprintOf(predictions: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < predictions.length; i++) sum += predictions[i] * (1 + (i % 7));
  return sum;
}

/** Contenders round differently, and so drift apart a little while they learn. */
const FINGERPRINT_TOLERANCE = 2e-5;

export function sameFingerprint(a: number, b: number): boolean {
  return Math.abs(a - b) <= FINGERPRINT_TOLERANCE * Math.abs(b);
}

/** Floating-point operations that a sample takes, multiplications and additions of matrices only. */
export function flopPerSample([D, H, K]: Shape, pass: Pass): number {
  return pass === 'train' ? 4 * D * H + 6 * H * K : 2 * D * H + 2 * H * K;
}
