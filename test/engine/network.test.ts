import { describe, expect, test } from 'vitest';
import { ArenaPlan } from '../../src/engine/arena.ts';
import {
  type Network,
  type NetworkConfig,
  initialParameters,
  openNetwork,
  planNetwork,
  readParameters,
  writeParameters,
} from '../../src/engine/network.ts';
import { mulberry32 } from '../../src/engine/random.ts';

const CONFIG: NetworkConfig = {
  inputs: 3,
  hidden: 18,
  outputs: 5,
  hiddenActivation: 'tanh',
  outputActivation: 'identity',
  loss: 'halfSquared',
  learningRate: 0.1,
};

function make(config: NetworkConfig): { plan: ArenaPlan; network: Network } {
  const plan = new ArenaPlan();
  const parts = planNetwork(plan, config);
  return { plan, network: openNetwork(plan.allocate().buffer, config, parts) };
}

/** Values that are not +0. */
function countOfOthers(values: Float32Array): number {
  return values.filter((value) => !Object.is(value, 0)).length;
}

describe('parameters', () => {
  test('come back row-major as they were written, whatever the size', () => {
    for (const [inputs, hidden, outputs] of [
      [1, 1, 1],
      [3, 18, 5],
      [7, 16, 4],
      [2, 33, 9],
    ]) {
      const config = { ...CONFIG, inputs, hidden, outputs };
      const { network } = make(config);
      const written = initialParameters(config, mulberry32(4));
      writeParameters(network, written);
      expect(readParameters(network)).toEqual(written);
    }
  });

  test('leave +0 where a panel is filled up, also over an arena that was in use', () => {
    const { network } = make(CONFIG);
    network.weights1.fill(7);
    network.weights2.fill(7);
    writeParameters(network, initialParameters(CONFIG, mulberry32(4)));
    expect(countOfOthers(network.weights1)).toBe(18 * 3);
    expect(countOfOthers(network.weights2)).toBe(5 * 18);
  });

  test('are bounded by what is written beside them', () => {
    const { network } = make(CONFIG);
    const parameters = initialParameters(CONFIG, mulberry32(4));
    writeParameters(network, parameters);
    expect(network.parameterBound[0]).toBe(1);
    parameters.bias2[4] = -12;
    writeParameters(network, parameters);
    expect(network.parameterBound[0]).toBe(12);
  });

  test('lie in one block', () => {
    const { network } = make(CONFIG);
    network.parameters.fill(3);
    for (const values of [network.weights1, network.bias1, network.weights2, network.bias2]) {
      expect(new Set(values)).toEqual(new Set([3]));
    }
    expect(network.inputs[0]).toBe(0);
  });

  test('start within one over the root of the fan-in, and differ', () => {
    const { weights1, bias1, weights2, bias2 } = initialParameters(CONFIG, mulberry32(9));
    for (const value of [...weights1, ...bias1])
      expect(Math.abs(value)).toBeLessThanOrEqual(1 / Math.sqrt(3));
    for (const value of [...weights2, ...bias2])
      expect(Math.abs(value)).toBeLessThanOrEqual(1 / Math.sqrt(18));
    expect(new Set(weights1).size).toBe(weights1.length);
  });
});

describe('the plan', () => {
  test('takes memory for moments, gradient and queue only when they are needed', () => {
    const plain = make(CONFIG).network;
    expect([
      plain.moment1.length,
      plain.moment2.length,
      plain.gradient.length,
      plain.queueInputs.length,
    ]).toEqual([0, 0, 0, 0]);
    const momentum = make({ ...CONFIG, optimiser: 'momentum' }).network;
    const { length } = momentum.parameters;
    expect([momentum.moment1.length, momentum.moment2.length, momentum.gradient.length]).toEqual([
      length,
      0,
      length,
    ]);
    const adam = make({ ...CONFIG, optimiser: 'adam', queueSamples: 10 }).network;
    expect([adam.moment2.length, adam.queueInputs.length, adam.queueTargets.length]).toEqual([
      length,
      30,
      80,
    ]);
    expect(make({ ...CONFIG, weightDecay: 0.1 }).network.gradient.length).toBe(length);
  });

  test('says the size before anything is taken', () => {
    const { plan, network } = make({ ...CONFIG, optimiser: 'adam', queueSamples: 10 });
    const last = plan.parts.at(-1);
    expect(last).toBeDefined();
    expect(plan.sizeBytes).toBeGreaterThanOrEqual((last?.offset ?? 0) + 4 * (last?.length ?? 0));
    expect(network.parameters.buffer.byteLength).toBeGreaterThanOrEqual(plan.sizeBytes);
  });
});
