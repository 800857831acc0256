import { describe, expect, test } from 'vitest';
import { ArenaPlan, viewsOf } from '../../src/engine/arena.ts';
import {
  type Expression,
  abs,
  add,
  constant,
  cos,
  div,
  exp,
  log,
  max,
  min,
  mul,
  sin,
  sqrt,
  sub,
  tanh,
  variable,
} from '../../src/engine/autodiff.ts';
import type { Kernels } from '../../src/engine/kernels.ts';
import {
  type Activation,
  type Network,
  type NetworkConfig,
  initialParameters,
  openNetwork,
  planNetwork,
  readParameters,
  writeParameters,
} from '../../src/engine/network.ts';
import {
  type OwnActivation,
  type OwnConfig,
  type OwnLoss,
  openOwnFunctions,
  ownActivation,
  ownLoss,
  ownLossOfAll,
  planOwnFunctions,
  separateFunctions,
} from '../../src/engine/own-functions.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import { LEARNED, SKIPPED, learnMany } from '../../src/engine/reference.ts';
import { EdgeloopError } from '../../src/errors.ts';
import { HeapMeter } from '../../src/learn/heap-meter.ts';

const CONFIG: NetworkConfig = {
  inputs: 5,
  hidden: 19,
  outputs: 4,
  hiddenActivation: 'tanh',
  outputActivation: 'identity',
  loss: 'halfSquared',
  learningRate: 0.05,
  queueSamples: 12,
};

const OWN: Record<Activation, OwnActivation> = {
  identity: ownActivation((z) => z),
  sigmoid: ownActivation((z) => div(1, add(1, exp(sub(0, z))))),
  tanh: ownActivation((z) => tanh(z)),
  relu: ownActivation((z) => max(z, 0)),
};
const square = (of: Expression): Expression => mul(of, of);
const OWN_HALF_SQUARED = ownLoss((y, t) => mul(0.5, square(sub(y, t))));
const ownMeanSquared = (outputs: number): OwnLoss => ownLoss((y, t) => div(square(sub(y, t)), outputs));

/** −Σ t·(y − max y − log Σ e^(y − max y)) */
const ownCrossEntropy = (outputs: number): OwnLoss =>
  ownLossOfAll(outputs, (y, t) => {
    const largest = y.reduce<Expression>((most, each) => max(most, each), y[0]);
    const sum = y.reduce<Expression>((total, each) => add(total, exp(sub(each, largest))), constant(0));
    const likelihoods = y.map((each, k) => mul(t[k], sub(sub(each, largest), log(sum))));
    return sub(
      0,
      likelihoods.reduce((total, each) => add(total, each)),
    );
  });

/** The network with own functions, with the parameters that `seed` gives. */
function make(given: OwnConfig, seed = 1): { network: Network; kernels: Kernels } {
  const { config, own } = separateFunctions(given);
  const plan = new ArenaPlan();
  const parts = planNetwork(plan, config);
  const ownParts = planOwnFunctions(plan, own ?? {}, config);
  const { buffer } = plan.allocate();
  const network = openNetwork(buffer, config, parts);
  writeParameters(network, initialParameters(config, mulberry32(seed)));
  return { network, kernels: openOwnFunctions(network, own ?? {}, viewsOf(buffer, ownParts)) };
}

/** Fills the queue with inputs in ±1 and targets in ±1, or one-hot. */
function fillQueue(network: Network, random: () => number, oneHot = false): void {
  const { queueInputs, queueTargets, outputsPadded, config } = network;
  for (let i = 0; i < queueInputs.length; i++) queueInputs[i] = 2 * random() - 1;
  queueTargets.fill(0);
  for (let first = 0; first < queueTargets.length; first += outputsPadded) {
    if (oneHot) queueTargets[first + Math.floor(random() * config.outputs)] = 1;
    else for (let k = 0; k < config.outputs; k++) queueTargets[first + k] = 2 * random() - 1;
  }
}

interface Distance {
  parameters: number;
  moved: number;
  outputs: number;
  losses: number;
}

/** Runs 100 rounds of 12 samples by the reference and with own functions; the largest distances on the way. */
function race(builtIn: NetworkConfig, own: Partial<OwnConfig>, batch = 1): Distance {
  const left = make(builtIn).network;
  const { network: right, kernels } = make({ ...builtIn, ...own });
  const start = left.parameters.slice();
  const largest = { parameters: 0, moved: 0, outputs: 0, losses: 0 };
  const [randomLeft, randomRight] = [mulberry32(7), mulberry32(7)];
  for (let round = 0; round < 100; round++) {
    fillQueue(left, randomLeft, builtIn.loss === 'crossEntropy');
    fillQueue(right, randomRight, builtIn.loss === 'crossEntropy');
    expect(kernels.learnMany(12, batch)).toBe(learnMany(left, 12, batch));
    largest.parameters = Math.max(largest.parameters, distance(left.parameters, right.parameters));
    largest.outputs = Math.max(largest.outputs, distance(left.queueOutputs, right.queueOutputs));
    largest.losses = Math.max(largest.losses, distance(left.queueLosses, right.queueLosses));
  }
  largest.moved = distance(start, left.parameters);
  return largest;
}

function distance(left: ArrayLike<number>, right: ArrayLike<number>): number {
  expect(left.length).toBe(right.length);
  let largest = 0;
  for (let i = 0; i < left.length; i++) largest = Math.max(largest, Math.abs(left[i] - right[i]));
  return largest;
}

/** weights1, bias1, weights2, bias2, row-major, one after the other. */
function flatParameters(network: Network): number[] {
  const { weights1, bias1, weights2, bias2 } = readParameters(network);
  return [...weights1, ...bias1, ...weights2, ...bias2];
}

describe('functions that are built in as well', () => {
  const RULES: Partial<NetworkConfig>[] = [
    {},
    { optimiser: 'momentum', learningRate: 0.01 },
    { optimiser: 'adam', learningRate: 0.005 },
    { clipNorm: 0.5 },
    { weightDecay: 0.001, clipValue: 0.1 },
  ];

  test.each(RULES)('give the same bits where double and float32 round alike: %o', (rule) => {
    for (const name of ['identity', 'relu'] as const) {
      const builtIn: NetworkConfig = { ...CONFIG, hiddenActivation: name, ...rule };
      for (const own of [
        { hiddenActivation: OWN[name] },
        { outputActivation: OWN.identity },
        { loss: OWN_HALF_SQUARED },
        { hiddenActivation: OWN[name], outputActivation: OWN.identity, loss: OWN_HALF_SQUARED },
      ]) {
        for (const batch of [1, 5]) {
          const { parameters, outputs, losses, moved } = race(builtIn, own, batch);
          expect([parameters, outputs]).toEqual([0, 0]);
          expect(losses).toBeLessThan(2e-6);
          expect(moved).toBeGreaterThan(0.05);
        }
      }
    }
    const meanSquared = race({ ...CONFIG, loss: 'meanSquared', ...rule }, { loss: ownMeanSquared(4) });
    expect(meanSquared.parameters).toBe(0);
  });

  // The engine's exp and tanh are its own: sigmoid and tanh are within 1.2e-7 of the true ones, Math's within 1e-16.
  test.each(RULES)('stay within 5e-6 in parameters, outputs and losses over 1200 samples: %o', (rule) => {
    for (const name of ['sigmoid', 'tanh'] as const) {
      for (const batch of [1, 5]) {
        const hidden = race(
          { ...CONFIG, hiddenActivation: name, ...rule },
          { hiddenActivation: OWN[name] },
          batch,
        );
        const output = race(
          { ...CONFIG, outputActivation: name, ...rule },
          { outputActivation: OWN[name] },
          batch,
        );
        for (const { parameters, outputs, losses, moved } of [hidden, output]) {
          expect(Math.max(parameters, outputs, losses)).toBeLessThan(5e-6);
          expect(parameters).toBeGreaterThan(0); // they are not the built-in ones under another name
          expect(moved).toBeGreaterThan(0.05);
        }
      }
    }
    // Clipping by value moves all outputs of cross-entropy together, a difference that nothing brings back.
    const threeOutputs = { ...CONFIG, outputs: 3, ...rule, clipValue: Infinity };
    const meanSquared = race({ ...threeOutputs, loss: 'meanSquared' }, { loss: ownMeanSquared(3) });
    const crossEntropy = race({ ...threeOutputs, loss: 'crossEntropy' }, { loss: ownCrossEntropy(3) });
    for (const { parameters, outputs, losses, moved } of [meanSquared, crossEntropy]) {
      expect(Math.max(parameters, outputs, losses)).toBeLessThan(5e-6);
      expect(moved).toBeGreaterThan(0.05);
    }
  });

  test('told from others: a loss that is twice as steep goes elsewhere', () => {
    const { parameters } = race(CONFIG, { loss: ownLoss((y, t) => square(sub(y, t))) });
    expect(parameters).toBeGreaterThan(0.01);
  });
});

const huber = ownLoss((y, t) => {
  const distance = abs(sub(y, t));
  const inner = min(distance, 0.5);
  return mul(inner, sub(distance, mul(0.5, inner)));
});

/** As `huber` with Math: a half square up to 0.5, a straight line beyond. */
function exactHuber(error: number): number {
  return Math.abs(error) <= 0.5 ? error ** 2 / 2 : 0.5 * (Math.abs(error) - 0.25);
}

interface GradientCase {
  name: string;
  own: Partial<OwnConfig>;
  f: (z: number) => number;
  g: (z: number) => number;
  loss: (y: number[], t: number[]) => number;
}

const sumOf = (values: number[]): number => values.reduce((sum, value) => sum + value, 0);
const logistic = (z: number): number => 1 / (1 + Math.exp(-z));

const GRADIENT_CASES: GradientCase[] = [
  {
    name: 'softplus, identity and Huber',
    own: { hiddenActivation: ownActivation((z) => log(add(1, exp(z)))), loss: huber },
    f: (z) => Math.log(1 + Math.exp(z)),
    g: (z) => z,
    loss: (y, t) => sumOf(y.map((value, k) => exactHuber(value - t[k]))),
  },
  {
    name: 'built-in tanh, an own sine and built-in mean squares',
    own: { outputActivation: ownActivation((z) => add(sin(z), mul(0.3, z))), loss: 'meanSquared' },
    f: Math.tanh,
    g: (z) => Math.sin(z) + 0.3 * z,
    loss: (y, t) => sumOf(y.map((value, k) => (value - t[k]) ** 2)) / y.length,
  },
  {
    name: 'z·e^-z², built-in sigmoid and an own logarithm of cosh',
    own: {
      hiddenActivation: ownActivation((z) => mul(z, exp(sub(0, square(z))))),
      outputActivation: 'sigmoid',
      loss: ownLoss((y, t) => log(mul(0.5, add(exp(sub(y, t)), exp(sub(t, y)))))),
    },
    f: (z) => z * Math.exp(-z * z),
    g: logistic,
    loss: (y, t) => sumOf(y.map((value, k) => Math.log(Math.cosh(value - t[k])))),
  },
  {
    name: 'own functions everywhere, the loss the length of the error in all outputs at once',
    own: {
      hiddenActivation: ownActivation((z) => cos(z)),
      outputActivation: ownActivation((z) => sqrt(add(1, square(z)))),
      loss: ownLossOfAll(4, (y, t) =>
        sqrt(y.reduce<Expression>((sum, each, k) => add(sum, square(sub(each, t[k]))), constant(0.1))),
      ),
    },
    f: Math.cos,
    g: (z) => Math.sqrt(1 + z * z),
    loss: (y, t) => Math.sqrt(0.1 + sumOf(y.map((value, k) => (value - t[k]) ** 2))),
  },
  {
    name: 'an own output activation below built-in cross-entropy',
    own: { outputActivation: ownActivation((z) => mul(2, tanh(z))), loss: 'crossEntropy' },
    f: Math.tanh,
    g: (z) => 2 * Math.tanh(z),
    loss: (y, t) => Math.log(sumOf(y.map(Math.exp))) - y[t.indexOf(1)],
  },
];

/** The network in float64 with Math; the loss of one sample. */
function exactLoss({ f, g, loss }: GradientCase, parameters: number[], x: number[], t: number[]): number {
  const layer = (at: number, from: number[], size: number): number[] =>
    Array.from({ length: size }, (_, unit) => {
      const weights = parameters.slice(at + unit * from.length, at + (unit + 1) * from.length);
      return parameters[at + size * from.length + unit] + sumOf(weights.map((weight, i) => weight * from[i]));
    });
  const hidden = layer(0, x, CONFIG.hidden).map((z) => f(z));
  const outputs = layer(CONFIG.hidden * (CONFIG.inputs + 1), hidden, CONFIG.outputs).map((z) => g(z));
  return loss(outputs, t);
}

describe('the gradient', () => {
  test.each(GRADIENT_CASES)('of $name is that of central differences', (each) => {
    for (const batch of [1, 3]) {
      const { network, kernels } = make({ ...CONFIG, ...each.own, learningRate: 1 }, 3);
      fillQueue(network, mulberry32(4), each.own.loss === 'crossEntropy');
      const samples = Array.from({ length: batch }, (_, sample) => ({
        x: [...network.queueInputs.subarray(5 * sample, 5 * sample + 5)],
        t: [...network.queueTargets.subarray(4 * sample, 4 * sample + 4)],
      }));
      const before = flatParameters(network);
      const mean = (at: number[]): number =>
        sumOf(samples.map(({ x, t }) => exactLoss(each, at, x, t))) / batch;
      const slopes = before.map((value, index) => {
        const moved = (by: number): number => mean(before.with(index, value + by));
        return (moved(1e-5) - moved(-1e-5)) / 2e-5;
      });
      expect(kernels.learnMany(batch, batch)).toBe(1);
      const after = flatParameters(network);
      slopes.forEach((slope, index) =>
        expect(Math.abs(before[index] - after[index] - slope)).toBeLessThan(2e-6),
      );
      expect(sumOf([...network.queueLosses.subarray(0, batch)]) / batch).toBeCloseTo(mean(before), 5);
      // Not all zero: in either layer.
      const weights2 = CONFIG.hidden * (CONFIG.inputs + 1);
      for (const layer of [slopes.slice(0, weights2), slopes.slice(weights2)]) {
        expect(layer.some((slope) => Math.abs(slope) > 1e-2)).toBe(true);
      }
    }
  });
});

const UNUSUAL: OwnConfig = {
  ...CONFIG,
  inputs: 6,
  hidden: 16,
  outputs: 3,
  hiddenActivation: ownActivation((z) => log(add(1, exp(z)))),
  outputActivation: ownActivation((z) => add(sin(z), z)),
  loss: huber,
};

describe('a network with own functions', () => {
  test('predicts and learns the same one by one as queued', () => {
    const one = make(UNUSUAL);
    const many = make(UNUSUAL);
    fillQueue(many.network, mulberry32(9));
    const outputs: number[] = [];
    many.kernels.forwardMany(12);
    for (let sample = 0; sample < 12; sample++) {
      one.network.inputs.set(many.network.queueInputs.subarray(6 * sample, 6 * sample + 6));
      one.kernels.forward();
      outputs.push(...one.network.outputs);
    }
    expect([...many.network.queueOutputs]).toEqual(outputs);
    expect(many.kernels.learnMany(12)).toBe(12);
    for (let sample = 0; sample < 12; sample++) {
      one.network.inputs.set(many.network.queueInputs.subarray(6 * sample, 6 * sample + 6));
      one.network.targets.set(many.network.queueTargets.subarray(4 * sample, 4 * sample + 4));
      one.kernels.forward();
      expect(one.kernels.learn()).toBe(LEARNED);
      expect(one.network.loss[0]).toBe(many.network.queueLosses[sample]);
    }
    expect(one.network.parameters).toEqual(many.network.parameters);
    expect(outputs.some((output) => Math.abs(output) > 0.05)).toBe(true);
  });

  test('keeps units that only fill up a panel at zero, even where f(0) is not 0', () => {
    const { network, kernels } = make({
      ...CONFIG,
      hiddenActivation: ownActivation((z) => cos(z)),
      loss: huber,
    });
    fillQueue(network, mulberry32(2));
    for (const batch of [1, 4]) expect(kernels.learnMany(12, batch)).toBe(12 / batch);
    expect([...network.hidden.subarray(19)]).toEqual(Array(13).fill(0));
    const real = 5 * 19 + 19 + 4 * 19 + 4;
    expect(network.parameters.filter((value) => value !== 0).length).toBe(real);
  });

  test('skips a step whose function has no value or no finite slope, and writes nothing', () => {
    const undefinedBelowZero = ownActivation((z) => log(z));
    const steepAtZero = ownActivation((z) => sqrt(max(z, 0)));
    for (const optimiser of ['sgd', 'adam'] as const) {
      for (const hiddenActivation of [undefinedBelowZero, steepAtZero]) {
        const { network, kernels } = make({ ...CONFIG, hiddenActivation, optimiser });
        if (hiddenActivation === steepAtZero) network.bias1[3] = 0; // and the inputs are zeros
        const before = network.parameters.slice();
        network.targets[0] = 1;
        kernels.forward();
        expect(kernels.learn()).toBe(SKIPPED);
        expect(network.parameters).toEqual(before);
        network.bias1.fill(0.5, 0, 19);
        kernels.forward();
        expect(kernels.learn()).toBe(LEARNED);
        expect(network.parameters).not.toEqual(before);
      }
    }
  });

  const HEAP_CASES: [name: string, given: OwnConfig][] = [
    ['own functions everywhere', UNUSUAL],
    ['own functions everywhere, Adam and clipping', { ...UNUSUAL, optimiser: 'adam', clipNorm: 0.1 }],
    [
      'an own activation between built-in functions',
      { ...UNUSUAL, outputActivation: 'sigmoid', loss: 'crossEntropy' },
    ],
    ['an own loss behind built-in activations', { ...CONFIG, outputActivation: 'tanh', loss: huber }],
  ];

  test.each(HEAP_CASES)('allocates nothing in 100,000 steps after a warm-up: %s', (_, given) => {
    const { network, kernels } = make({ ...given, learningRate: 0.001 });
    fillQueue(network, mulberry32(5), given.loss === 'crossEntropy');
    const { bytesPerStep, gcEvents } = heapUse(kernels, () => 0);
    expect(bytesPerStep).toBeLessThan(1);
    expect(gcEvents).toBe(0);
  });

  test('is measured by a meter that does see allocations and collections', () => {
    const { kernels } = make(UNUSUAL);
    const { bytesPerStep, gcEvents } = heapUse(kernels, () => Array.from({ length: 100 }));
    expect(bytesPerStep).toBeGreaterThan(400);
    expect(gcEvents).toBeGreaterThan(0);
  });

  test('refuses more samples than the queue has, and empty batches', () => {
    const { kernels } = make(UNUSUAL);
    expect(() => kernels.learnMany(13)).toThrow(/more samples/);
    expect(() => kernels.forwardMany(13)).toThrow(/more samples/);
    expect(() => kernels.learnMany(2, 0)).toThrow(/at least one/);
  });
});

/** Of 100,000 steps in every way of calling, with `besides` called once in each, after a warm-up. */
function heapUse(kernels: Kernels, besides: () => unknown): { bytesPerStep: number; gcEvents: number } {
  const meter = new HeapMeter();
  const measured = (count: number): { bytesPerStep: number; gcEvents: number } => {
    meter.start();
    for (let step = 0; step < count; step += 28) {
      kernels.learnMany(10);
      kernels.learnMany(12, 3);
      kernels.forwardMany(12);
      for (let single = 0; single < 6; single++) {
        kernels.forward();
        kernels.learn();
      }
      for (let i = 0; i < 28; i++) besides();
    }
    const { allocatedBytes, gcEvents } = meter.stop();
    return { bytesPerStep: allocatedBytes / count, gcEvents };
  };
  // The compiler works beside the steps: on a busy machine it takes longer.
  for (let round = 0; round < 10; round++) {
    const { bytesPerStep } = measured(10_000);
    if (round >= 3 && bytesPerStep < 1) break;
  }
  return measured(100_000);
}

const use = (own: object) => () => separateFunctions({ ...CONFIG, ...own });

describe('an own function is refused', () => {
  const gain = variable('gain', 2);
  const refusals: [name: string, make: () => unknown, message: RegExp][] = [
    [
      'with a foreign variable',
      () => ownActivation((z) => mul(gain, z)),
      /no variables but the given z, got .*\(gain\)/,
    ],
    ['with the variable of another', () => ownLoss((y) => sub(y, OWN.tanh.z)), /given y, t, got .*\(z\)/],
    ['without z', () => ownActivation(() => constant(1)), /an expression with z, got one without z/],
    ['without y', () => ownLoss((_, t) => mul(t, t)), /an expression with y, got one without y/],
    [
      'without one of the outputs',
      () => ownLossOfAll(2, ([y], t) => sub(y, t[0])),
      /with y\[0\], y\[1\], got one without y\[1\]/,
    ],
    [
      'computed with Math',
      () => ownActivation((z) => Math.exp(z as unknown as number) as unknown as Expression),
      /an expression of z, got NaN\. Use the operations/,
    ],
    ['forgotten', () => ownLoss(() => undefined as unknown as Expression), /of y, t, got undefined/],
    ['of a string', () => ownActivation((z) => add(z, '1' as unknown as number)), /or a number, got "1"/],
    ['of nothing', () => ownActivation((z) => add(z, undefined as unknown as number)), /got undefined/],
  ];

  test.each(refusals)('%s', (_, makeFunction, message) => {
    expect(makeFunction).toThrow(message);
    expect(makeFunction).toThrow(EdgeloopError);
    expect(makeFunction).toThrow(expect.objectContaining({ code: 'ELOOP_FUNCTION' }));
  });

  test('by a network for which it is not', () => {
    expect(use({ loss: ownCrossEntropy(3) })).toThrow(/loss: expected one of 4 outputs, got one of 3/);
    expect(use({ loss: ownLossOfAll(1, ([y], [t]) => sub(y, t)) })).toThrow(/got one of 1/);
    expect(use({ loss: OWN.tanh })).toThrow(
      /loss: expected halfSquared, .*ownLossOfAll\(\.\.\.\), got object/,
    );
    expect(use({ hiddenActivation: (z: number) => z })).toThrow(
      /hiddenActivation: .*ownActivation.*got function/,
    );
    expect(use({ outputActivation: 'swish' })).toThrow(/outputActivation: expected identity, .*got swish/);
    expect(use({ outputActivation: undefined })).toThrow(/got undefined/);
    expect(use({ loss: huber })).not.toThrow();
  });
});
