/**
 * `npm run bench:parallel`: what a team of workers gains over one, by shape, batch and optimiser, and whether
 * `workersFor` asks for a team where it pays; then whole models side by side. Contenders take turns in short slices
 * of one run, so that a busy moment of the machine hits nobody alone.
 *
 *   --json   only an array of rows on standard output; the table goes to standard error
 *   --tiny   a fraction of the work, so that the tests can run it
 */
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import type { Piscina } from 'piscina';
import { ArenaPlan } from '../../src/engine/arena.ts';
import { openKernels } from '../../src/engine/kernels.ts';
import {
  type Network,
  type NetworkConfig,
  openNetwork,
  planNetwork,
  writeParameters,
} from '../../src/engine/network.ts';
import { type TeamParts, planTeam } from '../../src/engine/team.ts';
import {
  LearningTeam,
  type TrainingJob,
  openTrainingPool,
  trainModels,
  workersFor,
} from '../../src/learn/parallel.ts';
import { SAMPLES, type Shape, flopPerSample, makeTask } from './engine/task.ts';

export interface ParallelRow {
  readonly shape: string;
  readonly batch: number;
  /** sgd, momentum, adam, or sgd with clipNorm. */
  readonly rule: string;
  readonly workers: number;
  /** Of one sample. */
  readonly usMin: number;
  readonly usMedian: number;
  /** usMin over that of one worker. */
  readonly ratio: number;
  /** What `workersFor` would take on this machine. */
  readonly workersFor: number;
}

const SHAPES: readonly Shape[] = [
  [6, 32, 3],
  [16, 64, 4],
  [64, 32, 8],
  [64, 64, 8],
  [128, 64, 10],
  [784, 128, 10],
];
const BATCHES = [1, 8, 32];

const RULES: { readonly [name: string]: Partial<NetworkConfig> } = {
  sgd: {},
  momentum: { optimiser: 'momentum' },
  adam: { optimiser: 'adam' },
  clipNorm: { clipNorm: 1 },
};

interface Case {
  readonly shape: Shape;
  readonly batch: number;
  readonly rule: string;
}

/** µs of a sample, slice by slice, of one worker and of every team. */
type Times = number[][];

interface Contender {
  readonly learn: (count: number, batch: number) => number;
  readonly close: () => Promise<void>;
  readonly network: Network;
}

const { values } = parseArgs({ options: { tiny: { type: 'boolean' }, json: { type: 'boolean' } } });
const say = values.json ? console.error : console.log;
/** All cases are gone through several times: who else is busy for some seconds spoils one of them. */
const [rounds, slices, sliceUs] = values.tiny ? [1, 1, 100] : [6, 8, 1000];
const cores = availableParallelism();
const teams = Array.from({ length: Math.max(2, Math.min(4, cores)) - 1 }, (_, index) => index + 2);

const pool = openTrainingPool(Math.max(cores, teams.length));
try {
  say(`${cpus()[0].model}, ${cores} threads, ${process.arch}, Node ${process.versions.node}`);
  say('shape       batch rule      workers   µs min  µs median  ratio  workersFor');
  const cases = SHAPES.flatMap((shape) =>
    BATCHES.flatMap((batch) => Object.keys(RULES).map((rule) => ({ shape, batch, rule }))),
  );
  const times: Times[] = cases.map(() => [1, ...teams].map(() => []));
  for (let round = 0; round < rounds; round++) {
    for (const [index, one] of cases.entries()) await measure(pool, one, times[index]);
  }
  const rows = cases.flatMap((one, index) => rowsOf(one, times[index]));
  for (const row of rows) say(lineOf(row));
  await compareModels(pool);
  if (values.json) console.log(JSON.stringify(rows));
} finally {
  await pool.close();
}

async function measure(onPool: Piscina, { shape, batch, rule }: Case, times: Times): Promise<void> {
  const { config, parameters, inputs, targets } = makeTask(shape);
  const ruled: NetworkConfig = { ...config, ...RULES[rule] };
  const contenders = [await openContender(onPool, ruled, 1)];
  for (const workers of teams) contenders.push(await openContender(onPool, ruled, workers));
  for (const { network } of contenders) {
    writeParameters(network, parameters);
    network.queueInputs.set(inputs);
    for (let sample = 0; sample < SAMPLES; sample++) {
      for (let k = 0; k < config.outputs; k++) {
        network.queueTargets[sample * network.outputsPadded + k] = targets[sample * config.outputs + k];
      }
    }
  }
  const passes = Math.max(1, Math.round(sliceUs / ((SAMPLES * flopPerSample(shape, 'train')) / 30_000)));
  for (let slice = 0; slice < slices; slice++) {
    contenders.forEach((contender, index) => times[index].push(timeUs(contender, batch, passes)));
  }
  assertSame(contenders, `${shape.join('-')} batch ${batch} ${rule}`);
  for (const { close } of contenders) await close();
}

function rowsOf({ shape, batch, rule }: Case, times: Times): ParallelRow[] {
  const sorted = times.map((us) => us.toSorted((a, b) => a - b));
  const { config } = makeTask(shape);
  return sorted.map((us, index) => ({
    shape: shape.join('-'),
    batch,
    rule,
    workers: index + 1,
    usMin: us[0],
    usMedian: us[us.length >> 1],
    ratio: us[0] / sorted[0][0],
    workersFor: workersFor({ ...config, ...RULES[rule] }, batch, cores),
  }));
}

/** One worker is the kernels by themselves. */
async function openContender(onPool: Piscina, config: NetworkConfig, workers: number): Promise<Contender> {
  const plan = new ArenaPlan();
  const parts = planNetwork(plan, config);
  const teamParts: TeamParts = planTeam(plan, config, workers);
  const memory = plan.allocate();
  const network = openNetwork(memory.buffer, config, parts);
  if (workers === 1) {
    return { learn: openKernels(memory, network).learnMany, close: async () => {}, network };
  }
  const team = await LearningTeam.open(onPool, memory, network, teamParts);
  return {
    learn: (count, batch) => team.learnMany(count, batch),
    close: () => team.close(),
    network,
  };
}

/** A pass wakes the followers up and fills the caches before time is taken. */
function timeUs({ learn }: Contender, batch: number, passes: number): number {
  learn(SAMPLES, batch);
  const beforeMs = performance.now();
  for (let pass = 0; pass < passes; pass++) learn(SAMPLES, batch);
  return ((performance.now() - beforeMs) * 1000) / (passes * SAMPLES);
}

/** All have learned the same samples: a team that does something else is no contender. */
function assertSame(contenders: readonly Contender[], where: string): void {
  const [one, ...others] = contenders.map(({ network }) => Buffer.from(network.parameters.slice().buffer));
  if (others.every((other) => other.equals(one))) return;
  throw new Error(`${where}: a team learned something else than one worker`);
}

/** As many models as twice the threads, on one thread and on all. */
async function compareModels(onPool: Piscina): Promise<void> {
  const { config, inputs, targets } = makeTask([64, 32, 8]);
  const jobs = Array.from({ length: 2 * cores }, (_, index): TrainingJob => {
    const learningRate = 0.01 * (index + 1);
    return {
      config: { ...config, learningRate },
      seed: 1,
      inputs,
      targets,
      batch: 1,
      epochs: values.tiny ? 2 : 10_000,
    };
  });
  const single = openTrainingPool(1);
  const msOn = async (some: Piscina): Promise<number> => {
    await trainModels(some, jobs); // the threads are there and the code is compiled
    const beforeMs = performance.now();
    await trainModels(some, jobs);
    return performance.now() - beforeMs;
  };
  try {
    const [one, all] = [await msOn(single), await msOn(onPool)];
    say(
      `${jobs.length} models 64-32-8: ${one.toFixed(0)} ms on one thread, ${all.toFixed(0)} ms on ` +
        `${onPool.options.maxThreads}, ratio ${(all / one).toFixed(3)}`,
    );
  } finally {
    await single.close();
  }
}

function lineOf({ shape, batch, rule, workers, usMin, usMedian, ratio, ...row }: ParallelRow): string {
  return (
    shape.padEnd(12) +
    `${String(batch).padStart(5)} ${rule.padEnd(9)}${String(workers).padStart(8)}` +
    `${usMin.toFixed(3).padStart(9)}${usMedian.toFixed(3).padStart(11)}${ratio.toFixed(3).padStart(7)}` +
    String(row.workersFor).padStart(12)
  );
}
