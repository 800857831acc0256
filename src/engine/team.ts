/**
 * A team of kernels: several threads take the steps of `learnMany` together, each on its panels of hidden units. The
 * bytes are those of one thread, for any number of workers: no sum is split but where its order says so (lane sums by
 * panel), and what is a maximum is the same in any order.
 *
 *     leader    learnMany ──call──> share of the work, meeting by meeting ──> returns
 *     follower  follow ─────waits────> share of the work ──> waits ...          until dismissed
 *
 * Meetings are a few words of shared memory; a call allocates nothing, but for 24 bytes when it has to sleep at one. What a worker computes for itself, such as the
 * deltas of the outputs, a follower keeps in parts of its own; the leader uses the network's.
 */
import assert from 'node:assert/strict';
import type { ArenaPlan, Part } from './arena.ts';
import { instantiate } from './kernels.ts';
import { type Network, type NetworkConfig, hiddenPadded, outputsPadded } from './network.ts';

/** Bytes between words that different threads write: more than a line of any cache. */
const APART_BYTES = 128;
/** Words that the meetings need, and two slots per worker: see src/engine/kernels/team.ts. */
const CONTROL_WORDS = 4;
const SLOTS_PER_WORKER = 2;

export interface TeamParts {
  readonly control: Part<'int32'>;
  /** [2][P][K padded][4] */
  readonly lanes: Part<'float32'>;
  /** How many followers are there. */
  readonly ready: Part<'int32'>;
  /** Of every worker but the leader. */
  readonly followers: readonly FollowerParts[];
}

type FollowerParts = ReturnType<typeof planFollower>;

/** Adds to the plan what a team of so many workers needs besides its network; nothing in the network moves. */
export function planTeam(plan: ArenaPlan, config: NetworkConfig, workers: number): TeamParts {
  const slots = CONTROL_WORDS + SLOTS_PER_WORKER * workers;
  return {
    control: plan.int32('team.control', (slots * APART_BYTES) / 4),
    lanes: plan.float32('team.lanes', 2 * (hiddenPadded(config.hidden) / 4) * outputsPadded(config.outputs)),
    ready: plan.int32('team.ready', 1),
    followers: Array.from({ length: workers - 1 }, (_, index) => planFollower(plan, config, index + 1)),
  };
}

function planFollower(plan: ArenaPlan, { outputs: K }: NetworkConfig, worker: number) {
  const outputs = (name: string): Part<'float32'> => plan.float32(`team.${worker}.${name}`, outputsPadded(K));
  const parts = {
    bias2: outputs('bias2'),
    outputs: outputs('outputs'),
    probabilities: outputs('probabilities'),
    delta2: outputs('delta2'),
    step2: outputs('step2'),
    loss: plan.float32(`team.${worker}.loss`, 1),
    parameterBound: plan.float64(`team.${worker}.parameterBound`, 1),
    momentBounds: plan.float64(`team.${worker}.momentBounds`, 2),
    biasCorrections: plan.float64(`team.${worker}.biasCorrections`, 2),
  };
  plan.int32(`team.${worker}.apart`, APART_BYTES / 4);
  return parts;
}

export interface Leader {
  /** As `Kernels.learnMany`, with the same bytes; the followers must be following. */
  learnMany(count: number, batch?: number): number;
  /** Lets the followers return. The team is of no use afterwards. */
  dismiss(): void;
}

/** @param memory the arena that `network` and `team` lie in */
export function openLeader(memory: WebAssembly.Memory, network: Network, team: TeamParts): Leader {
  const exports = openWorker(memory, network, team, 0);
  const capacity = network.config.queueSamples ?? 0;
  return {
    learnMany(count, batch = 1) {
      if (!(count >= 0 && count <= capacity)) assert.fail('more samples than the queue has');
      if (!(batch >= 1)) assert.fail('a batch has at least one sample');
      return exports.lead(count, batch);
    },
    dismiss: exports.dismiss,
  };
}

/**
 * Says that worker 1, 2, ... is there and does its share in all that the leader does. To be called on a thread of its
 * own.
 * @returns when the leader dismisses the team
 */
export function follow(memory: WebAssembly.Memory, network: Network, team: TeamParts, worker: number): void {
  const exports = openWorker(memory, network, team, worker);
  const ready = readyOf(memory, team);
  Atomics.add(ready, 0, 1);
  Atomics.notify(ready, 0);
  exports.follow();
}

/** One number: the followers that are there. */
export function readyOf(memory: WebAssembly.Memory, { ready }: TeamParts): Int32Array {
  return new Int32Array(memory.buffer, ready.offset, ready.length);
}

function openWorker(memory: WebAssembly.Memory, network: Network, team: TeamParts, worker: number) {
  const { parts } = network;
  const { bias2, ...own } = worker === 0 ? { bias2: parts.bias2 } : team.followers[worker - 1];
  const exports = instantiate(memory, network, { ...parts, ...own });
  const workers = team.followers.length + 1;
  exports.setTeam(worker, workers, team.control.offset, team.lanes.offset, bias2.offset);
  exports.setLeader(parts.parameterBound.offset, parts.momentBounds.offset, parts.biasCorrections.offset);
  return exports;
}
