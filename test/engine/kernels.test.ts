import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { KERNELS_MODULE, compileKernels, kernelsModule } from '../../scripts/kernels.ts';
import { ArenaPlan } from '../../src/engine/arena.ts';
import { type Kernels, openKernels } from '../../src/engine/kernels.ts';
import {
  type Network,
  type NetworkConfig,
  initialParameters,
  openNetwork,
  planNetwork,
  writeParameters,
} from '../../src/engine/network.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import { heapBytesPerCall } from '../support/heap.ts';

const CONFIG: NetworkConfig = {
  inputs: 6,
  hidden: 20,
  outputs: 3,
  hiddenActivation: 'tanh',
  outputActivation: 'identity',
  loss: 'crossEntropy',
  learningRate: 0.05,
  queueSamples: 9,
};

/** A network with samples in its queue, behind another part of the arena and in front of one. */
function make(config: NetworkConfig): { network: Network; kernels: Kernels; around: () => number[] } {
  const plan = new ArenaPlan();
  const before = plan.float32('before', 3);
  const parts = planNetwork(plan, config);
  const after = plan.float32('after', 5);
  const memory = plan.allocate();
  const network = openNetwork(memory.buffer, config, parts);
  writeParameters(network, initialParameters(config, mulberry32(2)));
  const random = mulberry32(6);
  for (let i = 0; i < network.queueInputs.length; i++) network.queueInputs[i] = random() - 0.5;
  for (let first = 0; first < network.queueTargets.length; first += network.outputsPadded) {
    network.queueTargets[first + Math.floor(random() * config.outputs)] = 1;
  }
  const neighbours = [before, after].map(
    ({ offset, length }) => new Float32Array(memory.buffer, offset, length),
  );
  for (const neighbour of neighbours) neighbour.fill(7);
  const around = (): number[] => neighbours.flatMap((neighbour) => [...neighbour]);
  return { network, kernels: openKernels(memory, network), around };
}

describe('kernels', () => {
  test('in the repository are those that the sources compile to', { timeout: 60_000 }, async () => {
    const binary = await compileKernels();
    expect(readFileSync(KERNELS_MODULE, 'utf8')).toBe(kernelsModule(binary));
  });

  test('leave the rest of the arena alone', () => {
    for (const optimiser of ['sgd', 'momentum', 'adam'] as const) {
      for (const [hidden, outputs] of [
        [20, 3],
        [3, 2],
        [16, 4],
        [33, 9],
      ]) {
        const { kernels, around } = make({ ...CONFIG, optimiser, hidden, outputs });
        for (const batch of [1, 2, 9]) kernels.learnMany(9, batch);
        kernels.forwardMany(9);
        expect(new Set(around())).toEqual(new Set([7]));
      }
    }
  });

  test('predict queued samples as one by one', () => {
    const { network, kernels } = make(CONFIG);
    kernels.forwardMany(9);
    for (let sample = 0; sample < 9; sample++) {
      network.inputs.set(network.queueInputs.subarray(sample * 6, sample * 6 + 6));
      kernels.forward();
      expect(network.outputs).toEqual(network.queueOutputs.slice(sample * 4, sample * 4 + 4));
    }
    expect(network.queueOutputs.some((output) => Math.abs(output) > 0.05)).toBe(true);
  });

  test('refuse a network of another memory and more samples than the queue has', () => {
    const { network, kernels } = make(CONFIG);
    const other = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    expect(() => openKernels(other, network)).toThrow(/another memory/);
    expect(() => kernels.learnMany(10)).toThrow(/more samples/);
    expect(() => kernels.forwardMany(10)).toThrow(/more samples/);
    expect(() => kernels.learnMany(4, 0)).toThrow(/at least one/);
    expect(kernels.learnMany(0)).toBe(0);
  });

  test('allocate nothing, whatever is called', () => {
    const { kernels } = make(CONFIG);
    const run = (): void => {
      kernels.forward();
      kernels.learn();
      kernels.learnMany(9);
      kernels.learnMany(9, 4);
      kernels.forwardMany(9);
    };
    expect(heapBytesPerCall(run)).toBeLessThan(1);
    expect(heapBytesPerCall(() => new Float32Array(4))).toBeGreaterThan(20); // the measure does see allocations
  });
});
