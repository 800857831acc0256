import { describe, expect, it } from 'vitest';
import { mulberry32 } from '../src/engine/random.ts';
import {
  type NetworkOptions,
  TwoLayerNetwork,
  abs,
  add,
  exp,
  log,
  min,
  mul,
  ownActivation,
  ownLoss,
  sub,
  tanh,
} from '../src/index.ts';
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

/** Softplus, and Huber's loss with its corner at a half. */
const OWN: Pick<NetworkOptions, 'hiddenActivation' | 'loss'> = {
  hiddenActivation: ownActivation((z) => log(add(1, exp(z)))),
  loss: ownLoss((y, t) => {
    const distance = abs(sub(y, t));
    const inner = min(distance, 0.5);
    return mul(inner, sub(distance, mul(0.5, inner)));
  }),
};

const make = (own: object) => () => new TwoLayerNetwork({ ...XOR, ...own });

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

  it('learns exclusive or with functions of its user, and says what they take', () => {
    const network = new TwoLayerNetwork({ ...XOR, ...OWN, hidden: 6, outputActivation: 'identity' });
    for (let step = 0; step < 8000; step++) {
      const [a, b, target] = CASES[step % 4];
      expect(network.learn([a, b], [target])).toBe(true);
    }
    for (const [a, b, target] of CASES)
      expect(Math.abs(network.predict([a, b])[0] - target)).toBeLessThan(0.1);
    const { parts } = TwoLayerNetwork.plan(network.config);
    expect(parts.find(({ name }) => name === 'own.sums1')!.bytes).toBe(16 * 4);
    expect(TwoLayerNetwork.plan(XOR).parts.some(({ name }) => name.startsWith('own.'))).toBe(false);
  });

  it('learns with an own tanh as with its own, to 1e-5 in a thousand steps', () => {
    const builtIn = new TwoLayerNetwork({ ...XOR, learningRate: 0.1 });
    const own = new TwoLayerNetwork({ ...builtIn.config, hiddenActivation: ownActivation((z) => tanh(z)) });
    const { inputs, targets } = samples(1000, 2, 1, 5);
    expect(builtIn.learnMany(inputs, targets)).toBe(1000);
    expect(own.learnMany(inputs, targets)).toBe(1000);
    const [left, right] = [builtIn.parameters().weights1, own.parameters().weights1];
    left.forEach((weight, i) => expect(Math.abs(weight - right[i])).toBeLessThan(1e-5));
    expect(own.loss).toBeCloseTo(builtIn.loss, 5);
    expect(Math.max(...left.map((weight, i) => Math.abs(weight - right[i])))).toBeGreaterThan(0);
  });

  it('goes on from a snapshot with own functions, which are given again', () => {
    const options: NetworkOptions = { ...XOR, ...OWN, optimiser: 'adam', learningRate: 0.01 };
    const original = new TwoLayerNetwork(options);
    const first = samples(40, 2, 1, 1);
    original.learnMany(first.inputs, first.targets, 4);
    const copy = new TwoLayerNetwork({ ...original.config, seed: 9 });
    copy.load(original.snapshot());
    const second = samples(40, 2, 1, 2);
    for (const network of [original, copy])
      expect(network.learnMany(second.inputs, second.targets, 4)).toBe(10);
    expect(Buffer.from(copy.snapshot()).equals(original.snapshot())).toBe(true);
    const other = new TwoLayerNetwork(XOR); // the file has no functions: another network takes the weights
    other.load(original.snapshot());
    expect(other.parameters()).toEqual(original.parameters());
  });

  it('refuses functions that are none', () => {
    expect(make({ hiddenActivation: 'swish' })).toThrow(/hiddenActivation: expected identity, .* got swish/);
    expect(make({ loss: () => 0 })).toThrow(/loss: expected halfSquared, .*ownLoss.* got function/);
    expect(() => new TwoLayerNetwork({ ...XOR, ...OWN }).learn([0, 1], 0)).toThrow(
      /expected 1 numbers, got 0/,
    );
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
