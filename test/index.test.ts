import { describe, expect, it } from 'vitest';
import { mulberry32 } from '../src/engine/random.ts';
import { type NetworkOptions, TwoLayerNetwork } from '../src/index.ts';
import { HeapMeter } from '../src/learn/heap-meter.ts';

const XOR: NetworkOptions = {
  inputs: 2,
  hidden: 8,
  outputs: 1,
  hiddenActivation: 'tanh',
  outputActivation: 'sigmoid',
  loss: 'halfSquared',
  learningRate: 0.5,
};
const CASES = [
  [0, 0, 0],
  [0, 1, 1],
  [1, 0, 1],
  [1, 1, 0],
];

function samples(
  count: number,
  D: number,
  K: number,
  seed: number,
): { inputs: Float32Array; targets: Float32Array } {
  const random = mulberry32(seed);
  return {
    inputs: Float32Array.from({ length: count * D }, () => 2 * random() - 1),
    targets: Float32Array.from({ length: count * K }, random),
  };
}

describe('the library', () => {
  it('learns exclusive or', () => {
    const network = new TwoLayerNetwork(XOR);
    for (let step = 0; step < 8000; step++) {
      const [a, b, target] = CASES[step % 4];
      expect(network.learn([a, b], [target])).toBe(true);
    }
    for (const [a, b, target] of CASES)
      expect(Math.abs(network.predict([a, b])[0] - target)).toBeLessThan(0.1);
    expect(network.loss).toBeLessThan(0.01);
  });

  it('says what it will take before it takes it', () => {
    const { bytes, parts } = TwoLayerNetwork.plan({ ...XOR, inputs: 784, hidden: 128, outputs: 10 });
    expect(parts.find(({ name }) => name === 'network.weights1')!.bytes).toBe(784 * 128 * 4);
    expect(bytes).toBeGreaterThanOrEqual(parts.reduce((sum, part) => sum + part.bytes, 0));
  });

  it.each(['sgd', 'momentum', 'adam'] as const)(
    'goes on from a snapshot with the same bits: %s',
    (optimiser) => {
      const options: NetworkOptions = {
        ...XOR,
        inputs: 5,
        hidden: 17,
        outputs: 3,
        optimiser,
        learningRate: 0.01,
      };
      const original = new TwoLayerNetwork(options);
      const first = samples(100, 5, 3, 1);
      original.learnMany(first.inputs, first.targets);
      const copy = new TwoLayerNetwork({ ...options, seed: 99 });
      copy.load(original.snapshot());
      const second = samples(100, 5, 3, 2);
      expect(original.learnMany(second.inputs, second.targets, 4)).toBe(25);
      expect(copy.learnMany(second.inputs, second.targets, 4)).toBe(25);
      expect(copy.parameters()).toEqual(original.parameters());
      expect(Buffer.from(copy.snapshot()).equals(original.snapshot())).toBe(true);
    },
  );

  it('gives the same bits sample by sample as many at once', () => {
    const one = new TwoLayerNetwork(XOR);
    const many = new TwoLayerNetwork(XOR);
    const { inputs, targets } = samples(101, 2, 1, 3);
    for (let i = 0; i < 101; i++) one.learn(inputs.subarray(2 * i, 2 * i + 2), targets.subarray(i, i + 1));
    many.learnMany(inputs, targets);
    expect(many.parameters()).toEqual(one.parameters());
  });

  it('takes the index of the class, and predicts probabilities, for crossEntropy', () => {
    const network = new TwoLayerNetwork({
      ...XOR,
      outputs: 3,
      outputActivation: 'identity',
      loss: 'crossEntropy',
    });
    const probabilities = network.predict([0.2, -1]);
    expect(probabilities.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 5);
    for (let step = 0; step < 200; step++) network.learn([0.2, -1], 2);
    expect(network.predict([0.2, -1])[2]).toBeGreaterThan(0.9);
  });

  it('refuses what does not fit, with expected and got, and changes nothing', () => {
    const network = new TwoLayerNetwork(XOR);
    const before = network.snapshot();
    expect(() => network.predict([1])).toThrow(/inputs: expected 2, got 1/);
    expect(() => network.learn([1, 2], [1, 2])).toThrow(/targets: expected 1, got 2/);
    expect(() => network.learn([1, 2], 0)).toThrow(/targets: expected 1 numbers, got 0/);
    expect(() => network.learnMany(new Float32Array(3), new Float32Array(1))).toThrow(/multiple of 2, got 3/);
    expect(() => network.learnMany(new Float32Array(2), new Float32Array(1), 33)).toThrow(
      /batch: expected 1 to 32/,
    );
    expect(() => new TwoLayerNetwork({ ...XOR, hidden: 0 })).toThrow(
      /hidden: expected a positive integer, got 0/,
    );
    expect(() => new TwoLayerNetwork({ ...XOR, hidden: 9 }).load(before)).toThrow(/\[9,2\], got \[8,2\]/);
    expect(() => network.load(before.subarray(0, 50))).toThrow(/snapshot/);
    expect(Buffer.from(network.snapshot()).equals(before)).toBe(true);
  });

  it('allocates nothing per step', () => {
    const network = new TwoLayerNetwork({ ...XOR, inputs: 6, hidden: 16, outputs: 3 });
    const { inputs, targets } = samples(32, 6, 3, 4);
    const steps = (count: number): void => {
      for (let i = 0; i < count; i++) network.learnMany(inputs, targets);
    };
    steps(5000);
    const meter = new HeapMeter();
    meter.start();
    steps(5000);
    const { allocatedBytes, gcEvents } = meter.stop();
    expect(allocatedBytes / (5000 * 32)).toBeLessThan(1);
    expect(gcEvents).toBe(0);
  });
});
