import type { Piscina } from 'piscina';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ArenaPlan } from '../../src/engine/arena.ts';
import {
  type Network,
  type NetworkConfig,
  initialParameters,
  openNetwork,
  planNetwork,
  writeParameters,
} from '../../src/engine/network.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import { planTeam } from '../../src/engine/team.ts';
import { TwoLayerNetwork } from '../../src/index.ts';
import {
  LearningTeam,
  type TrainingJob,
  openTrainingPool,
  trainModels,
  workersFor,
} from '../../src/learn/parallel.ts';

const CONFIG: NetworkConfig = {
  inputs: 6,
  hidden: 40,
  outputs: 3,
  hiddenActivation: 'tanh',
  outputActivation: 'identity',
  loss: 'crossEntropy',
  learningRate: 0.05,
  queueSamples: 16,
};

const SAMPLES = 50;

/** Points around three centres. */
function makeSamples(): Pick<TrainingJob, 'inputs' | 'targets'> {
  const random = mulberry32(4);
  const inputs = new Float32Array(SAMPLES * 6);
  const targets = new Float32Array(SAMPLES * 3);
  for (let sample = 0; sample < SAMPLES; sample++) {
    const label = sample % 3;
    targets[sample * 3 + label] = 1;
    for (let d = 0; d < 6; d++) inputs[sample * 6 + d] = random() - 0.5 + (d % 3 === label ? 1 : 0);
  }
  return { inputs, targets };
}

describe('models side by side', () => {
  const jobs = [0.01, 0.05, 0.2, 3e38, 0.1].map((learningRate, index): TrainingJob => ({
    config: { ...CONFIG, learningRate },
    seed: index,
    ...makeSamples(),
    batch: 1 + index,
    epochs: 4,
  }));

  test('come out the same, in the order asked for, on 1, 2 and 3 threads', async () => {
    const runs = [];
    for (const threads of [1, 2, 3]) {
      const pool = openTrainingPool(threads);
      runs.push(await trainModels(pool, jobs));
      await pool.close();
    }
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).toEqual(runs[0]);
    expect(new Set(runs[0].map(({ parameters }) => parameters.weights1.join())).size).toBe(jobs.length);
  });

  test('are those of the library, with falling losses and their skipped steps counted', async () => {
    const pool = openTrainingPool(1);
    const models = await trainModels(pool, jobs);
    await pool.close();
    for (const [index, { config, seed, inputs, targets, batch, epochs }] of jobs.entries()) {
      const network = new TwoLayerNetwork({ ...config, seed });
      let steps = 0;
      for (let epoch = 0; epoch < epochs; epoch++) {
        steps += network.learnMany(inputs, targets, batch);
        expect(models[index].losses[epoch]).toBe(network.loss);
      }
      expect(models[index].parameters).toEqual(network.parameters());
      expect(models[index].skipped).toBe(epochs * Math.ceil(SAMPLES / batch) - steps);
    }
    expect(models[1].losses[3]).toBeLessThan(0.7 * models[1].losses[0]);
    expect(models[1].skipped).toBe(0);
    expect(models[3].skipped).toBeGreaterThan(0);
  });

  test('are refused where inputs and targets do not fit', async () => {
    const pool = openTrainingPool(1);
    const short = { ...jobs[0], targets: new Float32Array(2) };
    await expect(trainModels(pool, [short])).rejects.toThrow(/as many targets/);
    await expect(trainModels(pool, [{ ...jobs[0], inputs: new Float32Array(7) }])).rejects.toThrow(
      /whole samples/,
    );
    await pool.close();
  });
});

describe('a team', () => {
  let pool: Piscina;
  beforeAll(() => {
    pool = openTrainingPool(2);
  });
  afterAll(() => pool.close());

  /** Behind another part of the arena and in front of one. */
  function make(workers: number): { network: Network; open: () => Promise<LearningTeam>; around: number[] } {
    const plan = new ArenaPlan();
    const before = plan.float32('before', 3);
    const parts = planNetwork(plan, CONFIG);
    const team = planTeam(plan, CONFIG, workers);
    const after = plan.float32('after', 5);
    const memory = plan.allocate();
    const network = openNetwork(memory.buffer, CONFIG, parts);
    writeParameters(network, initialParameters(CONFIG, mulberry32(2)));
    const neighbours = [before, after].map(
      ({ offset, length }) => new Float32Array(memory.buffer, offset, length),
    );
    for (const neighbour of neighbours) neighbour.fill(7);
    return {
      network,
      open: () => LearningTeam.open(pool, memory, network, team),
      get around() {
        return neighbours.flatMap((neighbour) => [...neighbour]);
      },
    };
  }

  test('gives its threads back, leaves the rest of the arena alone and can be followed by another', async () => {
    for (let turn = 0; turn < 3; turn++) {
      const made = make(3);
      const before = made.network.parameters.slice();
      const team = await made.open();
      expect(team.learnMany(16, 4)).toBe(4);
      expect(team.learnMany(16, 1)).toBe(16);
      await team.close();
      expect(made.network.parameters).not.toEqual(before);
      expect(new Set(made.around)).toEqual(new Set([7]));
    }
    expect(pool.queueSize).toBe(0);
  });

  test('refuses what cannot be done before it calls anybody', async () => {
    await expect(make(4).open()).rejects.toThrow(/more followers than/);
    const team = await make(2).open();
    expect(() => team.learnMany(17)).toThrow(/more samples/);
    expect(() => team.learnMany(-1)).toThrow(/more samples/);
    expect(() => team.learnMany(4, 0)).toThrow(/at least one/);
    expect(team.learnMany(0)).toBe(0);
    await team.close();
  });

  test('allocates nothing in a call but the 24 bytes of each time that it falls asleep', async () => {
    expect(await heapBytesPerCall(1)).toBeLessThan(1);
    const meetings = 2 + 3 * 4;
    expect(await heapBytesPerCall(2)).toBeLessThan(24 * meetings + 1);
  });

  /** Of a call with four steps, the median of several rounds: a collection spoils one at most. */
  async function heapBytesPerCall(workers: number): Promise<number> {
    const team = await make(workers).open();
    const run = (calls: number): void => {
      for (let call = 0; call < calls; call++) team.learnMany(16, 4);
    };
    run(5_000);
    const rounds: number[] = [];
    for (let round = 0; round < 9; round++) {
      const before = process.memoryUsage().heapUsed;
      run(1_000);
      rounds.push((process.memoryUsage().heapUsed - before) / 1_000);
    }
    await team.close();
    return rounds.toSorted((left, right) => left - right)[4];
  }
});

describe('the number of workers', () => {
  const large = { ...CONFIG, inputs: 784, hidden: 128, outputs: 10 };

  test('is 1 where a team does not pay', () => {
    expect(workersFor({ ...CONFIG, inputs: 6, hidden: 16 }, 32, 2)).toBe(1);
    expect(workersFor({ ...CONFIG, inputs: 64, hidden: 32, outputs: 8 }, 1, 2)).toBe(1);
    expect(workersFor({ ...large, clipNorm: 1 }, 1, 2)).toBe(1);
    expect(workersFor(large, 32, 1)).toBe(1);
  });

  test('is that of the threads, or of the panels, where it does', () => {
    expect(workersFor(large, 1, 2)).toBe(2);
    expect(workersFor(large, 32, 4)).toBe(4);
    expect(workersFor({ ...large, clipNorm: 1 }, 32, 2)).toBe(2);
    expect(workersFor({ ...large, hidden: 33 }, 32, 8)).toBe(3);
  });

  test('grows with the work and never shrinks', () => {
    const counts = [1, 2, 4, 8, 16, 32].map((batch) =>
      workersFor({ ...CONFIG, optimiser: 'adam' }, batch, 8),
    );
    expect(counts).toEqual(counts.toSorted((left, right) => left - right));
  });
});
