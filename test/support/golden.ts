/** The golden traces of PyTorch: 20 steps of small networks, with every output, loss and parameter. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ArenaPlan } from '../../src/engine/arena.ts';
import {
  type Activation,
  type Network,
  type Optimiser,
  openNetwork,
  planNetwork,
  readParameters,
  writeParameters,
} from '../../src/engine/network.ts';
import { LEARNED, forward, learn } from '../../src/engine/reference.ts';

interface Trace {
  loss: number[];
  output_before_step: number[][];
  params_after_step: number[][];
}

export interface GoldenCase {
  hidden_activation: Activation;
  output: string;
  D: number;
  H: number;
  K: number;
  x: number[][];
  y: (number | number[])[];
  init: { W1: number[]; b1: number[]; W2: number[]; b2: number[] };
  runs: Record<string, { f32: Trace }>;
}

export const GOLDEN_FILE = join(process.env.EDGELOOP_DATA ?? '../shared/data', 'golden', 'golden.json');

/** By the names that the file has for its runs. */
export const GOLDEN_OPTIMISERS: Readonly<Record<string, { optimiser: Optimiser; learningRate: number }>> = {
  sgd: { optimiser: 'sgd', learningRate: 0.1 },
  'sgd_momentum0.9': { optimiser: 'momentum', learningRate: 0.05 },
  adam: { optimiser: 'adam', learningRate: 0.01 },
};

/** @returns undefined where the file is not there */
export function readGolden(): Record<string, GoldenCase> | undefined {
  return existsSync(GOLDEN_FILE) ? JSON.parse(readFileSync(GOLDEN_FILE, 'utf8')).cases : undefined;
}

/**
 * Goes through all steps of one run.
 * @returns the largest distance of any output, loss or parameter; Infinity if a step was skipped
 */
export function largestGoldenDistance(golden: GoldenCase, run: string): number {
  const { loss, output_before_step: outputs, params_after_step: parameters } = golden.runs[run].f32;
  const network = openGolden(golden, GOLDEN_OPTIMISERS[run]);
  let largest = 0;
  golden.x.forEach((x, step) => {
    const y = golden.y[step];
    network.inputs.set(x);
    network.targets.fill(0);
    if (typeof y === 'number') network.targets[y] = 1;
    else network.targets.set(y);
    forward(network);
    largest = Math.max(largest, largestDistance(network.outputs.slice(0, golden.K), outputs[step]));
    if (learn(network) !== LEARNED) largest = Infinity;
    const { weights1, bias1, weights2, bias2 } = readParameters(network);
    const after = [...weights1, ...bias1, ...weights2, ...bias2];
    largest = Math.max(
      largest,
      Math.abs(network.loss[0] - loss[step]),
      largestDistance(after, parameters[step]),
    );
  });
  return largest;
}

function openGolden(
  { D, H, K, hidden_activation, output, init }: GoldenCase,
  rule: { optimiser: Optimiser; learningRate: number },
): Network {
  const plan = new ArenaPlan();
  const config = {
    inputs: D,
    hidden: H,
    outputs: K,
    hiddenActivation: hidden_activation,
    outputActivation: 'identity',
    loss: output === 'softmax' ? 'crossEntropy' : 'halfSquared',
    ...rule,
  } as const;
  const parts = planNetwork(plan, config);
  const network = openNetwork(plan.allocate().buffer, config, parts);
  writeParameters(network, {
    weights1: Float32Array.from(init.W1),
    bias1: Float32Array.from(init.b1),
    weights2: Float32Array.from(init.W2),
    bias2: Float32Array.from(init.b2),
  });
  return network;
}

function largestDistance(left: ArrayLike<number>, right: ArrayLike<number>): number {
  if (left.length !== right.length) return Infinity;
  return Math.max(...Array.from(left, (value, index) => Math.abs(value - right[index])));
}
