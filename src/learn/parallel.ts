/**
 * Training on several threads of a pool: one network by a team, or many networks side by side. Neither changes a bit
 * of any result.
 *
 *     team     the calling thread leads and works, too; followers wait for its calls, at first by looking, then asleep
 *     models   one task each: models in, parameters out, in the order asked for
 */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { ArenaPlan } from '../engine/arena.ts';
import { openKernels } from '../engine/kernels.ts';
import {
  type Network,
  type NetworkConfig,
  PANEL,
  type Parameters,
  hiddenPadded,
  initialParameters,
  openNetwork,
  planNetwork,
  readParameters,
  ruleOf,
  writeParameters,
} from '../engine/network.ts';
import { mulberry32 } from '../engine/random.ts';
import { type Leader, type TeamParts, openLeader, readyOf } from '../engine/team.ts';
import { type FollowTask, followLeader } from './follow.ts';

// The pool loads its tasks from this very module.
export { followLeader } from './follow.ts';

/** Jobs that may wait for a thread of the pool. */
const POOL_QUEUE_MAX = 10_000;

/** A pool for what is here, to be closed by its owner. A team occupies one thread per follower. */
export function openTrainingPool(threads = availableParallelism()): Piscina {
  return new Piscina({
    filename: fileURLToPath(import.meta.url),
    minThreads: 0,
    maxThreads: threads,
    maxQueue: POOL_QUEUE_MAX,
  });
}

/**
 * Starts the followers and waits until they are there. Whoever calls `openLeader` then, on any thread, leads them.
 * @param pool   loads `followLeader` from its module, and has a free thread for every follower
 * @param memory the arena of `network` and of `team` (`planTeam`), which says how many workers there are
 * @returns `dismissed` settles when the leader has dismissed them all
 * @throws if a follower cannot start; others may be waiting for a leader then, and the pool is to be destroyed
 */
export async function startFollowers(
  pool: Piscina,
  memory: WebAssembly.Memory,
  { config, parts }: Network,
  team: TeamParts,
): Promise<{ dismissed: Promise<unknown> }> {
  const count = team.followers.length;
  assert(count <= pool.options.maxThreads, 'more followers than the pool has threads');
  const tasks = team.followers.map((_, index): Promise<void> => {
    const task: FollowTask = { config, parts, team, memory, worker: index + 1 };
    return pool.run(task, { name: followLeader.name });
  });
  const dismissed = Promise.all(tasks);
  const ready = readyOf(memory, team);
  for (let there = Atomics.load(ready, 0); there < count; there = Atomics.load(ready, 0)) {
    const wait = Atomics.waitAsync(ready, 0, there);
    if (wait.async) await Promise.race([wait.value, dismissed]);
  }
  return { dismissed };
}

export class LearningTeam {
  readonly #leader: Leader;
  readonly #followers: Promise<unknown>;

  /**
   * Starts the followers and waits until they are there.
   * @param pool   has a free thread for every follower
   * @param memory the arena of `network` and of `team` (`planTeam`), which says how many workers there are
   * @throws if a follower cannot start; others may be waiting for it then, and the pool is to be destroyed
   */
  static async open(
    pool: Piscina,
    memory: WebAssembly.Memory,
    network: Network,
    team: TeamParts,
  ): Promise<LearningTeam> {
    const followers = await startFollowers(pool, memory, network, team);
    return new LearningTeam(openLeader(memory, network, team), followers.dismissed);
  }

  private constructor(leader: Leader, followers: Promise<unknown>) {
    this.#leader = leader;
    this.#followers = followers;
  }

  /**
   * As `Kernels.learnMany`, and like it blocks until it is done.
   * @returns the number of steps learned; the others were skipped
   */
  learnMany(count: number, batch = 1): number {
    return this.#leader.learnMany(count, batch);
  }

  /** Gives the threads back to the pool. */
  async close(): Promise<void> {
    this.#leader.dismiss();
    await this.#followers;
  }
}

/** A share pays from so much work between two meetings: additions and multiplications of matrices. */
const SHARE_FLOP_MIN = 12_000;
/** The norm of the gradient has one order over all parameters, so every worker computes the whole of it. */
const CLIPPED_SHARE_FLOP_MIN = 30_000;
const CLIPPED_BATCH_MIN = 8;

/**
 * How many workers are worth it. Measured by `npm run bench:parallel` on two cores at 48 GF/s each, two workers over
 * one by minima of one run:
 *
 *     flop between meetings     3.6 k   10 k   15 k   19 k   26 k   37 k   97 k   104 k   390 k   410 k   4.4 M
 *     ratio, SGD                 1.14   1.12    .76    .83    .73    .79    .61     .62     .54     .57     .52
 *     ratio, SGD with clipNorm   1.29     -    1.01     -    1.03     -     .84     .70     .62     -       .58
 *
 * So a team is taken from 24 k on, with clipNorm from 60 k: there it saves a fifth and a seventh at least. Momentum
 * and Adam are as SGD in batches. With three and more workers a share is asked to be as large; that is not measured.
 * Where another program wants one of the cores a team loses: seen once, 1.17 at 784-128-10 batch 32, and 13 µs a
 * meeting at 64-64-8 one by one. It is for machines that have nothing else to do.
 * @param batch samples to a step
 * @param threads cores that are free for it
 * @returns 1 where a team does not pay
 */
export function workersFor(config: NetworkConfig, batch: number, threads = availableParallelism()): number {
  const { inputs: D, hidden: H, outputs: K } = config;
  const { outerProduct, clipNorm } = ruleOf(config);
  const clipped = clipNorm < Infinity;
  if (clipped && batch < CLIPPED_BATCH_MIN) return 1;
  const meetingsPerStep = outerProduct && batch === 1 ? 1 : 3;
  const flop = ((4 * D * H + 6 * H * K) * batch) / meetingsPerStep;
  const shares = Math.floor(flop / (clipped ? CLIPPED_SHARE_FLOP_MIN : SHARE_FLOP_MIN));
  return Math.max(1, Math.min(threads, shares, hiddenPadded(H) / PANEL));
}

/** A model to be trained by itself, from initial weights to parameters. */
export interface TrainingJob {
  /** `queueSamples` is how many samples are handed over at once; at least `batch`. Default: a few batches. */
  readonly config: NetworkConfig;
  /** Of the initial weights. */
  readonly seed: number;
  /** [n x D], row-major; in shared memory it is not copied. */
  readonly inputs: Float32Array;
  /** [n x K], row-major; for crossEntropy one-hot. */
  readonly targets: Float32Array;
  /** Samples to a step. */
  readonly batch: number;
  /** Times that all samples are learned, in the order given. */
  readonly epochs: number;
}

export interface TrainedModel {
  readonly parameters: Parameters;
  /** Mean over the samples of each epoch, every one before its step. */
  readonly losses: Float64Array;
  /** Steps that were left out because a value would not have stayed finite. */
  readonly skipped: number;
}

/**
 * Trains every job on a thread of the pool, as many at a time as it has.
 * @returns the models in the order of the jobs; the number of threads is no part of the result
 */
export function trainModels(pool: Piscina, jobs: readonly TrainingJob[]): Promise<TrainedModel[]> {
  return Promise.all(jobs.map((job): Promise<TrainedModel> => pool.run(job, { name: trainModel.name })));
}

/** Task of the pool. */
export function trainModel(job: TrainingJob): TrainedModel {
  const { inputs: D, outputs: K } = job.config;
  const samples = job.inputs.length / D;
  assert(Number.isInteger(samples), 'inputs are no whole samples');
  assert(job.targets.length === samples * K, 'there are not as many targets as inputs');
  const atOnce = Math.max(1, Math.floor((job.config.queueSamples ?? 128) / job.batch)) * job.batch;
  const config = { ...job.config, queueSamples: atOnce };
  const plan = new ArenaPlan();
  const parts = planNetwork(plan, config);
  const memory = plan.allocate();
  const network = openNetwork(memory.buffer, config, parts);
  const kernels = openKernels(memory, network);
  writeParameters(network, initialParameters(config, mulberry32(job.seed)));
  const losses = new Float64Array(job.epochs);
  let skipped = 0;
  for (let epoch = 0; epoch < job.epochs; epoch++) {
    for (let first = 0; first < samples; first += atOnce) {
      const count = Math.min(atOnce, samples - first);
      queueSamples(network, job, first, count);
      skipped += Math.ceil(count / job.batch) - kernels.learnMany(count, job.batch);
      for (let sample = 0; sample < count; sample++) losses[epoch] += network.queueLosses[sample];
    }
  }
  return { parameters: readParameters(network), losses: losses.map((sum) => sum / samples), skipped };
}

function queueSamples(
  network: Network,
  { inputs, targets }: TrainingJob,
  first: number,
  count: number,
): void {
  const { config, queueInputs, queueTargets, outputsPadded } = network;
  const { inputs: D, outputs: K } = config;
  queueInputs.set(inputs.subarray(first * D, (first + count) * D));
  for (let sample = 0; sample < count; sample++) {
    for (let k = 0; k < K; k++) {
      queueTargets[sample * outputsPadded + k] = targets[(first + sample) * K + k];
    }
  }
}
