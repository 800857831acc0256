import { describe, expect, test } from 'vitest';
import { ArenaPlan } from '../../src/engine/arena.ts';
import {
  ACTIVATIONS,
  type Activation,
  LOSSES,
  type Loss,
  type Network,
  type NetworkConfig,
  initialParameters,
  openNetwork,
  planNetwork,
  readParameters,
  writeParameters,
} from '../../src/engine/network.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import { LEARNED, SKIPPED, forward, learn, learnMany } from '../../src/engine/reference.ts';
import { GOLDEN_FILE, largestGoldenDistance, readGolden } from '../support/golden.ts';

const CONFIG: NetworkConfig = {
  inputs: 5,
  hidden: 7,
  outputs: 3,
  hiddenActivation: 'tanh',
  outputActivation: 'identity',
  loss: 'halfSquared',
  learningRate: 0.1,
};

function make(config: NetworkConfig, seed = 1): Network {
  const plan = new ArenaPlan();
  const parts = planNetwork(plan, config);
  const network = openNetwork(plan.allocate().buffer, config, parts);
  writeParameters(network, initialParameters(config, mulberry32(seed)));
  return network;
}

/** weights1, bias1, weights2, bias2, row-major, one after the other. */
function flatParameters(network: Network): number[] {
  const { weights1, bias1, weights2, bias2 } = readParameters(network);
  return [...weights1, ...bias1, ...weights2, ...bias2];
}

function present(network: Network, inputs: ArrayLike<number>, targets: ArrayLike<number>): void {
  network.inputs.set(inputs);
  network.targets.fill(0);
  network.targets.set(targets);
}

function countOfZeros(values: Float32Array): number {
  return values.filter((value) => Object.is(value, 0)).length;
}

describe('golden traces of PyTorch', () => {
  const cases = readGolden();
  if (cases === undefined)
    console.warn(`SKIPPED: golden traces, ${GOLDEN_FILE} is missing. Set EDGELOOP_DATA.`);
  const runs = Object.entries(cases ?? {}).flatMap(([name, golden]) =>
    Object.keys(golden.runs).map((run) => [name, run, golden] as const),
  );

  test.skipIf(cases === undefined)('are nine', () => {
    expect(runs.length).toBe(9);
  });

  test.each(runs)('%s by %s is followed within 2e-6 in parameters, outputs and loss', (_, run, golden) => {
    expect(golden.x.length).toBe(20);
    expect(largestGoldenDistance(golden, run)).toBeLessThan(2e-6);
  });
});

/** The network once more in float64, with Math, as the formulas have it; the loss of one sample. */
function exactLoss(config: NetworkConfig, parameters: readonly number[], x: number[], t: number[]): number {
  const { inputs: D, hidden: H, outputs: K } = config;
  const layer = (at: number, from: number[], size: number, f: Activation): number[] =>
    Array.from({ length: size }, (_, unit) => {
      const bias = parameters[at + size * from.length + unit];
      const z = from.reduce((sum, value, i) => sum + parameters[at + unit * from.length + i] * value, bias);
      return exactActivation(f, z);
    });
  const h = layer(0, x, H, config.hiddenActivation);
  const y = layer(H * D + H, h, K, config.outputActivation);
  if (config.loss === 'crossEntropy') {
    const sum = y.reduce((total, value) => total + Math.exp(value), 0);
    return -Math.log(Math.exp(y[t.indexOf(1)]) / sum);
  }
  const squares = y.reduce((total, value, k) => total + (value - t[k]) ** 2, 0);
  return config.loss === 'meanSquared' ? squares / K : squares / 2;
}

function exactActivation(f: Activation, z: number): number {
  if (f === 'sigmoid') return 1 / (1 + Math.exp(-z));
  if (f === 'tanh') return Math.tanh(z);
  if (f === 'relu') return Math.max(0, z);
  return z;
}

function centralDifferences(
  loss: (parameters: readonly number[]) => number,
  at: readonly number[],
): number[] {
  const step = 1e-5;
  return at.map((value, index) => {
    const moved = (to: number): number => loss(at.with(index, to));
    return (moved(value + step) - moved(value - step)) / (2 * step);
  });
}

const X = [0.9, -1.3, 0.4, 1.7, -0.6];
const TARGETS: Record<Loss, number[]> = {
  halfSquared: [0.3, -0.8, 0.5],
  meanSquared: [0.3, -0.8, 0.5],
  crossEntropy: [0, 1, 0],
};

describe('the gradient', () => {
  const combinations = ACTIVATIONS.flatMap((f) =>
    ACTIVATIONS.flatMap((g) => LOSSES.map((loss) => [f, g, loss] as const)),
  );

  test.each(combinations)('of %s, %s, %s is that of central differences', (f, g, loss) => {
    const config = { ...CONFIG, hiddenActivation: f, outputActivation: g, loss, learningRate: 1 };
    const network = make(config, 2);
    const before = flatParameters(network);
    present(network, X, TARGETS[loss]);
    forward(network);
    expect(learn(network)).toBe(LEARNED);
    const after = flatParameters(network);
    const numeric = centralDifferences(
      (parameters) => exactLoss(config, parameters, X, TARGETS[loss]),
      before,
    );
    numeric.forEach((partial, index) => {
      expect(Math.abs(before[index] - after[index] - partial)).toBeLessThan(2e-6);
    });
    // Not all zero: in either layer.
    const weights2 = config.hidden * (config.inputs + 1);
    for (const partials of [numeric.slice(0, weights2), numeric.slice(weights2)]) {
      expect(partials.some((partial) => Math.abs(partial) > 1e-3)).toBe(true);
    }
  });

  test('of a batch is the mean of the gradients of its samples', () => {
    const config = { ...CONFIG, learningRate: 1, queueSamples: 3 };
    const network = make(config);
    const before = flatParameters(network);
    const samples = [X, X.map((value) => -0.5 * value), [0, 1, 0, 0, 2]];
    samples.forEach((x, sample) => {
      network.queueInputs.set(x, sample * 5);
      network.queueTargets.set([0.1 * sample, 0.2, -0.4], sample * network.outputsPadded);
    });
    expect(learnMany(network, 3, 3)).toBe(1);
    const after = flatParameters(network);
    const numeric = centralDifferences(
      (parameters) =>
        samples.reduce(
          (sum, x, sample) => sum + exactLoss(config, parameters, x, [0.1 * sample, 0.2, -0.4]),
          0,
        ) / 3,
      before,
    );
    numeric.forEach((partial, index) => {
      expect(Math.abs(before[index] - after[index] - partial)).toBeLessThan(2e-6);
    });
    expect(numeric.some((partial) => Math.abs(partial) > 1e-2)).toBe(true);
  });
});

/** The change of every parameter by one step on X. */
function changes(overrides: Partial<NetworkConfig>): number[] {
  const network = make({ ...CONFIG, learningRate: 1, ...overrides });
  const before = flatParameters(network);
  present(network, X, TARGETS.halfSquared);
  forward(network);
  expect(learn(network)).toBe(LEARNED);
  return flatParameters(network).map((value, index) => value - before[index]);
}

const norm = (values: readonly number[]): number => Math.hypot(...values);

describe('limits of the gradient', () => {
  test('clipping by norm shortens the step to the limit and keeps its direction', () => {
    const free = changes({});
    for (const overrides of [{}, { optimiser: 'momentum' }] as const) {
      const clipped = changes({ ...overrides, clipNorm: 0.5 });
      expect(norm(free)).toBeGreaterThan(0.6);
      expect(norm(clipped)).toBeCloseTo(0.5, 5);
      const scale = norm(clipped) / norm(free);
      clipped.forEach((change, index) => expect(change).toBeCloseTo(free[index] * scale, 5));
    }
  });

  test('clipping by norm leaves a shorter step alone', () => {
    expect(changes({ clipNorm: 100 })).toEqual(changes({}));
  });

  test('clipping by value cuts off every component by itself', () => {
    const free = changes({});
    const clipped = changes({ clipValue: 0.1 });
    expect(free.some((change) => Math.abs(change) > 0.1)).toBe(true);
    expect(free.some((change) => Math.abs(change) < 0.1)).toBe(true);
    clipped.forEach((change, index) => {
      expect(change).toBeCloseTo(Math.max(-0.1, Math.min(0.1, free[index])), 6);
    });
  });

  test('weight decay adds its share of every parameter to the gradient', () => {
    const parameters = flatParameters(make(CONFIG));
    const free = changes({});
    changes({ weightDecay: 0.01 }).forEach((change, index) => {
      expect(change).toBeCloseTo(free[index] - 0.01 * parameters[index], 6);
    });
  });
});

describe('a step that would leave a value that is not finite', () => {
  const OPTIMISERS: Partial<NetworkConfig>[] = [
    {},
    { optimiser: 'momentum' },
    { optimiser: 'adam' },
    { clipValue: 1 },
    { clipNorm: 1 },
  ];

  test.each(OPTIMISERS)('is skipped, and nothing is written: %o', (overrides) => {
    for (const bad of [NaN, Infinity, -Infinity]) {
      const network = make({ ...CONFIG, ...overrides });
      present(network, X, TARGETS.halfSquared);
      forward(network);
      expect(learn(network)).toBe(LEARNED); // moments are no longer zero
      const state = (): number[] => [
        ...network.parameters,
        ...network.moment1,
        ...network.moment2,
        ...network.biasCorrections,
        ...network.parameterBound,
      ];
      const before = state();
      present(network, X.with(2, bad), TARGETS.halfSquared);
      forward(network);
      expect(learn(network)).toBe(SKIPPED);
      expect(state()).toEqual(before);
      present(network, X, TARGETS.halfSquared);
      forward(network);
      expect(learn(network)).toBe(LEARNED);
      expect(state()).not.toEqual(before);
    }
  });

  test('is told from one that is only large', () => {
    const network = make({ ...CONFIG, outputActivation: 'sigmoid' });
    const parameters = initialParameters(network.config, mulberry32(1));
    parameters.bias1[0] = 3e38;
    writeParameters(network, parameters);
    present(network, X, [0, 1, 0]);
    forward(network);
    expect(learn(network)).toBe(LEARNED);
    expect(network.parameterBound[0]).toBeCloseTo(3e38, -33);
  });

  test('leaves units that fill up a panel at zero', () => {
    const network = make({ ...CONFIG, optimiser: 'adam', queueSamples: 4 });
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 20; i++) network.queueInputs[i] = i === 7 && round % 3 === 0 ? Infinity : i - 9;
      learnMany(network, 4, 1 + (round % 4));
    }
    // 9 of 16 units do not exist, in weights1 5 inputs each, in weights2 3 outputs, besides biases and one output.
    const filling = 9 * (5 + 1 + 3) + 1;
    expect(countOfZeros(network.parameters)).toBe(filling);
    expect(countOfZeros(network.moment2)).toBe(filling);
  });
});

describe('learning', () => {
  test('of the exclusive or succeeds with every optimiser', () => {
    const rules: Partial<NetworkConfig>[] = [
      { learningRate: 0.5 },
      { optimiser: 'momentum', learningRate: 0.1 },
      { optimiser: 'adam', learningRate: 0.02 },
    ];
    for (const rule of rules) {
      const network = make({ ...CONFIG, inputs: 2, hidden: 8, outputs: 1, queueSamples: 4, ...rule });
      network.queueInputs.set([-1, -1, -1, 1, 1, -1, 1, 1]);
      [0, 1, 1, 0].forEach((target, sample) => {
        network.queueTargets[sample * network.outputsPadded] = target;
      });
      for (let epoch = 0; epoch < 500; epoch++) learnMany(network, 4, 2);
      for (const loss of network.queueLosses) expect(loss).toBeLessThan(0.01);
    }
  });

  test('of queued samples is the same as one sample after the other', () => {
    const queued = make({ ...CONFIG, queueSamples: 10 });
    const single = make(CONFIG);
    const random = mulberry32(8);
    for (let i = 0; i < 50; i++) queued.queueInputs[i] = random() - 0.5;
    for (let i = 0; i < 40; i++) queued.queueTargets[i] = i % 4 < 3 ? random() : 0;
    expect(learnMany(queued, 10)).toBe(10);
    for (let sample = 0; sample < 10; sample++) {
      present(
        single,
        queued.queueInputs.slice(sample * 5, sample * 5 + 5),
        queued.queueTargets.slice(sample * 4, sample * 4 + 4),
      );
      forward(single);
      expect(single.outputs).toEqual(queued.queueOutputs.slice(sample * 4, sample * 4 + 4));
      learn(single);
      expect(single.loss[0]).toBe(queued.queueLosses[sample]);
    }
    expect(single.parameters).toEqual(queued.parameters);
  });
});
