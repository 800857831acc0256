/**
 * Several models that learn the same samples: networks that differ in their rate, a linear model, and the null model,
 * which knows only how often each class came (of numbers: nothing). All read one sample from shared inputs and
 * targets; race.ts decides which of them answers.
 *
 *     inputs [D] ──> network 0 ──> outputs [0][K]
 *            ├─────> network 1 ──> outputs [1][K]     ...
 *            ├─────> linear    ──> outputs [..][K]
 *            └─────> null      ──> outputs [..][K]
 *
 * Networks share one initialisation; the linear model starts at zero.
 */
import type { ArenaPlan, Part, Views } from '../engine/arena.ts';
import { viewsOf } from '../engine/arena.ts';
import { openKernels, openLinearKernels, type PacedKernels } from '../engine/kernels.ts';
import {
  type Activation,
  type Network,
  type NetworkConfig,
  PACE,
  initialParameters,
  openNetwork,
  planNetwork,
  writeParameters,
} from '../engine/network.ts';
import {
  forwardLinear,
  learnLinearPaced,
  learnPaced,
  linearConfig,
  openLinear,
  planLinear,
} from '../engine/paced.ts';
import { mulberry32 } from '../engine/random.ts';
import { LEARNED, forward } from '../engine/reference.ts';

/** An output beyond this is that of a network which has diverged. */
const OUTPUT_MAX = 1e6;

export type CandidateKind = 'network' | 'linear' | 'null';

export interface CandidateConfig {
  readonly kind: CandidateKind;
  /** η at the start; a scout changes it. */
  readonly rate: number;
  /** A scout follows the best network at a rate beside its own. */
  readonly scout: boolean;
  /** Whether it may answer; one that may not is there to be compared with. */
  readonly answers: boolean;
}

export interface CandidatesConfig {
  /** D */
  readonly inputs: number;
  /** H, of the networks. */
  readonly hidden: number;
  /** K: classes, or numbers to be predicted. */
  readonly outputs: number;
  readonly activation: Activation;
  readonly loss: 'crossEntropy' | 'halfSquared';
  /** Of the networks' initial weights. */
  readonly seed: number;
  /** Whether the rate of a step is capped by loss over gradient (engine/paced.ts). */
  readonly capped: boolean;
  readonly list: readonly CandidateConfig[];
}

type SharedParts = {
  /** What the candidates said to the newest sample [C][K]. */
  readonly outputs: Part<'float32'>;
  /** 1: it learns [C]. */
  readonly active: Part<'int32'>;
  /** Steps left out since a weight would not have stayed finite, and networks replaced since they diverged [2]. */
  readonly failures: Part<'float64'>;
};

export const FAILURES = { skipped: 0, replaced: 1 } as const;

export interface CandidatesParts {
  readonly shared: SharedParts;
  /** One a candidate; undefined for the null model. */
  readonly members: readonly (Network['parts'] | undefined)[];
}

/** Makes what computes: the kernels, or in tests the reference. */
export type EngineOf = (memory: WebAssembly.Memory, network: Network, linear: boolean) => PacedKernels;

export const kernelEngine: EngineOf = (memory, network, linear) =>
  linear ? openLinearKernels(memory, network) : openKernels(memory, network);

export const referenceEngine: EngineOf = (_memory, network, linear) =>
  linear
    ? { forward: () => forwardLinear(network), learnPaced: () => learnLinearPaced(network) }
    : { forward: () => forward(network), learnPaced: () => learnPaced(network) };

interface Member {
  readonly kind: CandidateKind;
  readonly scout: boolean;
  readonly answers: boolean;
  /** Of the null model there is none. */
  readonly network: Network | undefined;
  readonly engine: PacedKernels | undefined;
}

export interface Candidates extends Views<SharedParts> {
  readonly config: CandidatesConfig;
  readonly members: readonly Member[];
  /** x [D], t [K] and logit offsets [K], which all candidates read. */
  readonly inputs: Float32Array;
  readonly targets: Float32Array;
  readonly offsets: Float32Array;
}

function networkConfig(config: CandidatesConfig): NetworkConfig {
  const { inputs, hidden, outputs, activation: hiddenActivation, loss } = config;
  // A paced step has a rate of its own.
  return { inputs, hidden, outputs, loss, hiddenActivation, outputActivation: 'identity', learningRate: 0 };
}

export function planCandidates(plan: ArenaPlan, config: CandidatesConfig): CandidatesParts {
  const { list, outputs: K } = config;
  const shared = {
    outputs: plan.float32('candidates.outputs', list.length * K), // [C][K]
    active: plan.int32('candidates.active', list.length), //         [C]
    failures: plan.float64('candidates.failures', 2),
  };
  let first: Network['parts'] | undefined;
  const members = list.map(({ kind }) => {
    if (kind === 'null') return undefined;
    const own =
      kind === 'linear'
        ? planLinear(plan, linearConfig(config.inputs, K, config.loss))
        : planNetwork(plan, networkConfig(config));
    first ??= own;
    return { ...own, inputs: first.inputs, targets: first.targets, offsets: first.offsets };
  });
  return { shared, members };
}

/** Lays candidates over an arena, whose content it leaves as it is. At least one is no null model. */
export function openCandidates(
  memory: WebAssembly.Memory,
  config: CandidatesConfig,
  parts: CandidatesParts,
  engineOf: EngineOf,
): Candidates {
  const members = config.list.map(({ kind, scout, answers }, index): Member => {
    const own = parts.members[index];
    if (own === undefined) return { kind, scout, answers, network: undefined, engine: undefined };
    const linear = kind === 'linear';
    const network = linear
      ? openLinear(memory.buffer, linearConfig(config.inputs, config.outputs, config.loss), own)
      : openNetwork(memory.buffer, networkConfig(config), own);
    return { kind, scout, answers, network, engine: engineOf(memory, network, linear) };
  });
  const { inputs, targets, offsets } = members.find(({ network }) => network !== undefined)!.network!;
  return { ...viewsOf(memory.buffer, parts.shared), config, members, inputs, targets, offsets };
}

/** Draws the initial weights of a new arena and sets the rates. */
export function startCandidates(candidates: Candidates): void {
  const { config, members, active } = candidates;
  for (const [index, { network, kind }] of members.entries()) {
    active[index] = kind === 'null' ? 0 : 1;
    if (network === undefined) continue;
    network.pace[PACE.rate] = config.list[index].rate;
    network.pace[PACE.capped] = config.capped ? 1 : 0;
    network.pace[PACE.errorMax] = Infinity;
    if (kind === 'network') startNetwork(candidates, network);
    else network.parameterBound[0] = 1; // the linear model starts at zero
  }
}

function startNetwork({ config }: Candidates, network: Network): void {
  writeParameters(network, initialParameters(network.config, mulberry32(config.seed)));
}

/**
 * Every active candidate answers to `inputs`, into `outputs`.
 * @param known [K], what the null model says
 * @returns how many networks have diverged; `diverged` tells which
 */
export function predictCandidates(candidates: Candidates, known: Float32Array): number {
  const { members, outputs, active, config } = candidates;
  const K = config.outputs;
  let diverged = 0;
  for (let c = 0; c < members.length; c++) {
    const { network, engine } = members[c];
    const first = c * K;
    if (network === undefined || engine === undefined) {
      for (let k = 0; k < K; k++) outputs[first + k] = known[k];
    } else if (active[c] === 1) {
      engine.forward();
      for (let k = 0; k < K; k++) outputs[first + k] = network.outputs[k];
      if (hasDiverged(candidates, c)) diverged += 1;
    }
  }
  return diverged;
}

/** Whether an output of the newest prediction is enormous or not a number. */
export function hasDiverged({ outputs, config }: Candidates, candidate: number): boolean {
  const first = candidate * config.outputs;
  for (let at = first; at < first + config.outputs; at++) {
    if (!(Math.abs(outputs[at]) <= OUTPUT_MAX)) return true;
  }
  return false;
}

/** Computes the hidden units of all learning candidates for the sample in `inputs` anew. */
export function forwardCandidates({ members, active }: Candidates): void {
  for (let c = 0; c < members.length; c++) if (active[c] === 1) members[c].engine?.forward();
}

/** One step of every active candidate on inputs and targets, whose forward pass was just computed. */
export function learnCandidates({ members, active, failures }: Candidates): void {
  for (let c = 0; c < members.length; c++) {
    const { engine } = members[c];
    if (active[c] === 0 || engine === undefined) continue;
    if (engine.learnPaced() !== LEARNED) failures[FAILURES.skipped] += 1;
  }
}

/** Copies the weights of one network into another, which keeps its rate; from none: the initial weights. */
export function copyWeights(candidates: Candidates, from: number, to: number): void {
  const { members } = candidates;
  const target = members[to].network as Network;
  const source = from < 0 ? undefined : members[from].network;
  if (source === undefined) {
    startNetwork(candidates, target); // once in a blue moon: all networks diverged at once
    return;
  }
  target.parameters.set(source.parameters);
  target.parameterBound[0] = source.parameterBound[0];
}
