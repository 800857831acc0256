/**
 * One suite over the reference and the kernels: both run the same samples on arenas of their own, and after every
 * call everything that is promised must be the same to the bit, with the sign of zero; NaN is NaN.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Piscina } from 'piscina';
import { ArenaPlan } from '../../src/engine/arena.ts';
import { openKernels, openLinearKernels } from '../../src/engine/kernels.ts';
import {
  ACTIVATIONS,
  type Activation,
  LOSSES,
  type Loss,
  type Network,
  type NetworkConfig,
  OPTIMISERS,
  type Optimiser,
  initialParameters,
  openNetwork,
  planNetwork,
  writeParameters,
} from '../../src/engine/network.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import * as paced from '../../src/engine/paced.ts';
import * as reference from '../../src/engine/reference.ts';
import { type TeamParts, planTeam } from '../../src/engine/team.ts';
import { LearningTeam } from '../../src/learn/parallel.ts';

/**
 * - `single`: `forward` and `learn`, sample by sample, against one call of the reference for all
 * - `queued`: `learnMany`, in calls of different lengths, so that fused and unfused steps meet
 * - `turns`: `queued`, but reference and kernels take turns on one arena
 */
export type Calls = 'single' | 'queued' | 'turns';

/**
 * Samples: well-behaved; some values not finite, subnormal or enormous; well-behaved with an enormous parameter;
 * zeros of both signs, parameters of −0.
 */
export type Data = 'random' | 'extreme' | 'huge' | 'zeros';

export type Limits = 'none' | 'decay' | 'clipValue' | 'clipNorm' | 'all';

export interface Case {
  readonly shape: readonly [number, number, number];
  readonly hiddenActivation: Activation;
  readonly outputActivation: Activation;
  readonly loss: Loss;
  readonly optimiser: Optimiser;
  readonly limits: Limits;
  readonly batch: number;
  readonly calls: Calls;
  readonly data: Data;
}

const SHAPES: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [2, 2, 2],
  [3, 3, 3],
  [4, 4, 4],
  [5, 5, 5],
  [7, 7, 7],
  [16, 16, 16],
  [17, 17, 17],
  [33, 33, 33],
  [6, 16, 2],
  [6, 16, 3],
  [6, 16, 5],
  [1, 33, 1],
  [33, 1, 2],
  [3, 4, 1],
  [4, 3, 2],
  [5, 4, 4],
  [2, 16, 4],
  [64, 15, 10],
  [7, 31, 6],
  [9, 20, 9],
  [12, 48, 8],
  [40, 65, 3],
  [8, 2, 17],
];

/** What a case may be made of, the shape first; `single` goes with batch 1 only. */
export const FACTORS: { readonly [F in keyof Case]: readonly Case[F][] } = {
  shape: SHAPES,
  hiddenActivation: ACTIVATIONS,
  outputActivation: ACTIVATIONS,
  loss: LOSSES,
  optimiser: OPTIMISERS,
  limits: ['none', 'decay', 'clipValue', 'clipNorm', 'all'],
  batch: [1, 2, 5, 32],
  calls: ['single', 'queued', 'turns'],
  data: ['random', 'extreme', 'huge', 'zeros'],
};

const NAMES = Object.keys(FACTORS) as (keyof Case)[];

/** A call of `single` is one sample: there is no batch. */
function possible({ calls, batch }: Case): boolean {
  return calls !== 'single' || batch === 1;
}

/**
 * Every combination of all factors but the shape, each with `shapesEach` shapes in rotation.
 * @param shapesEach at most SHAPES.length, which is every combination of every factor
 */
export function* fullGrid(shapesEach: number): Generator<Case> {
  let turn = 0;
  for (const combination of combinations(1, { shape: SHAPES[0] })) {
    if (!possible(combination)) continue;
    for (let each = 0; each < shapesEach; each++) {
      yield { ...combination, shape: SHAPES[turn++ % SHAPES.length] };
    }
  }
}

/** `chosen` with every combination of the factors from NAMES[depth] on. */
function* combinations(depth: number, chosen: Partial<Case>): Generator<Case> {
  if (depth === NAMES.length) {
    yield chosen as Case;
    return;
  }
  const name = NAMES[depth];
  for (const value of FACTORS[name]) yield* combinations(depth + 1, { ...chosen, [name]: value });
}

/** Few cases in which every two values of two factors meet: always the best of some random cases. */
export function pairwiseGrid(seed = 1): Case[] {
  const random = mulberry32(seed);
  const uncovered = allPairs();
  const cases: Case[] = [];
  while (uncovered.size > 0) {
    let best: Case | undefined;
    let bestCount = 0;
    for (let attempt = 0; attempt < 200; attempt++) {
      const candidate = randomCase(random);
      const count = pairsOf(candidate).filter((pair) => uncovered.has(pair)).length;
      if (count > bestCount) [best, bestCount] = [candidate, count];
    }
    if (best === undefined) continue;
    cases.push(best);
    for (const pair of pairsOf(best)) uncovered.delete(pair);
  }
  return cases;
}

function randomCase(random: () => number): Case {
  const chosen = NAMES.map((name) => {
    const values = FACTORS[name];
    return [name, values[Math.floor(random() * values.length)]];
  });
  const result = Object.fromEntries(chosen) as Case;
  return possible(result) ? result : { ...result, batch: 1 };
}

function pairsOf(of: Case): string[] {
  return NAMES.flatMap((first, index) =>
    NAMES.slice(index + 1).map((second) => `${first}=${of[first]} ${second}=${of[second]}`),
  );
}

function allPairs(): Set<string> {
  const pairs = new Set<string>();
  for (const [index, first] of NAMES.entries()) {
    for (const second of NAMES.slice(index + 1)) {
      for (const one of FACTORS[first]) {
        for (const other of FACTORS[second]) pairs.add(`${first}=${one} ${second}=${other}`);
      }
    }
  }
  for (const batch of FACTORS.batch) if (batch !== 1) pairs.delete(`batch=${batch} calls=single`);
  return pairs;
}

const LIMITS: Record<Limits, Partial<NetworkConfig>> = {
  none: {},
  decay: { weightDecay: 0.01 },
  clipValue: { clipValue: 0.05 },
  clipNorm: { clipNorm: 0.3 },
  all: { weightDecay: 0.001, clipValue: 0.1, clipNorm: 0.5 },
};

const QUEUE_SAMPLES = 40;
/** Lengths of calls, in turn: odd ones leave smaller last batches. */
const CALL_LENGTHS = [QUEUE_SAMPLES, 1, 7, 33, 2];

function configOf(of: Case): NetworkConfig {
  const [inputs, hidden, outputs] = of.shape;
  const { hiddenActivation, outputActivation, loss, optimiser } = of;
  return {
    inputs,
    hidden,
    outputs,
    hiddenActivation,
    outputActivation,
    loss,
    learningRate: 0.05,
    optimiser,
    queueSamples: QUEUE_SAMPLES,
    ...LIMITS[of.limits],
  };
}

/** Memory for one network after the other: WebAssembly memories are too dear to take one per case. */
const ARENA_PAGES = 32;
const memories = [0, 1].map(() => {
  return new WebAssembly.Memory({ initial: ARENA_PAGES, maximum: ARENA_PAGES, shared: true });
});

/** @param planMore what else is to lie in the memory */
function openIn(
  memory: WebAssembly.Memory,
  config: NetworkConfig,
  planMore: (plan: ArenaPlan) => unknown = () => {},
): Network {
  const plan = new ArenaPlan();
  const parts = planNetwork(plan, config);
  planMore(plan);
  assert(plan.sizeBytes <= memory.buffer.byteLength);
  new Uint8Array(memory.buffer).fill(0);
  return openNetwork(memory.buffer, config, parts);
}

const SUBNORMAL = 2 ** -149;
const EXTREMES = [NaN, Infinity, -Infinity, 3.4e38, -3.4e38, 1e38, 1e19, SUBNORMAL, -1e-40, -0, 1e-38];

function drawValue(random: () => number, extremes: number): number {
  if (random() < extremes) return EXTREMES[Math.floor(random() * EXTREMES.length)];
  return 4 * random() - 2;
}

/** Fills the queue of both networks with the same samples. Half of the extreme calls are harmless. */
function drawSamples(networks: readonly Network[], { data }: Case, random: () => number): void {
  const [{ config, queueInputs, queueTargets, outputsPadded }] = networks;
  const draw = (share: number): number => {
    if (data === 'zeros') return random() < 0.5 ? 0 : -0;
    return drawValue(random, share);
  };
  const extremes = data === 'extreme' && random() < 0.5 ? 0.3 / config.inputs : 0;
  for (let i = 0; i < queueInputs.length; i++) queueInputs[i] = draw(extremes);
  queueTargets.fill(0);
  for (let first = 0; first < queueTargets.length; first += outputsPadded) {
    if (config.loss === 'crossEntropy') {
      queueTargets[first + Math.floor(random() * config.outputs)] = 1;
    } else {
      for (let k = 0; k < config.outputs; k++) queueTargets[first + k] = draw(extremes / 4);
    }
  }
  for (const network of networks.slice(1)) {
    network.queueInputs.set(queueInputs);
    network.queueTargets.set(queueTargets);
  }
}

/**
 * Of `huge` one parameter is so large that the bounds trip at every step: the checked path must find that most steps
 * are fine.
 */
function setParameters(network: Network, { data }: Case): void {
  const parameters = initialParameters(network.config, mulberry32(5));
  if (data === 'huge') parameters.bias1[0] = 2e38;
  if (data === 'zeros') for (const values of Object.values(parameters)) values.fill(-0);
  writeParameters(network, parameters);
}

const COMPARED = [
  'parameters',
  'moment1',
  'moment2',
  'momentBounds',
  'biasCorrections',
  'parameterBound',
  'queueOutputs',
  'queueLosses',
  'loss',
] as const;

/** @returns bytes compared. @throws AssertionError that names the first difference */
function compare(expected: Network, actual: Network, where: () => string): number {
  let bytes = 0;
  for (const name of COMPARED) {
    const [left, right] = [expected[name], actual[name]];
    for (let i = 0; i < left.length; i++) {
      if (!Object.is(left[i], right[i])) {
        assert.fail(`${where()}: ${name}[${i}] is ${right[i]}, the reference says ${left[i]}`);
      }
    }
    bytes += left.byteLength;
  }
  return bytes;
}

export interface Outcome {
  bytes: number;
  learned: number;
  skipped: number;
}

/** Runs a case over at least `samples` samples. @throws AssertionError at the first difference */
export function runCase(of: Case, samples: number): Outcome {
  const config = configOf(of);
  const [expected, actual] = memories.map((memory) => openIn(memory, config));
  const kernels = openKernels(memories[1], actual);
  return runBoth(of, samples, expected, actual, (count) => {
    return of.calls === 'single' ? learnSingly(actual, kernels, count) : kernels.learnMany(count, of.batch);
  });
}

/** The same by a team of so many workers. @param pool has a free thread for all of them but one */
export async function runTeamCase(
  of: Case,
  samples: number,
  workers: number,
  pool: Piscina,
): Promise<Outcome> {
  const config = configOf(of);
  const expected = openIn(memories[0], config);
  let parts: TeamParts | undefined;
  const actual = openIn(memories[1], config, (plan) => (parts = planTeam(plan, config, workers)));
  const team = await LearningTeam.open(pool, memories[1], actual, parts as TeamParts);
  try {
    return runBoth(of, samples, expected, actual, (count) => team.learnMany(count, of.batch));
  } finally {
    await team.close();
  }
}

/** @param learn on `actual`: so many queued samples; returns the steps learned */
function runBoth(
  of: Case,
  samples: number,
  expected: Network,
  actual: Network,
  learn: (count: number) => number,
): Outcome {
  for (const network of [expected, actual]) setParameters(network, of);
  const random = mulberry32(11);
  const outcome: Outcome = { bytes: 0, learned: 0, skipped: 0 };
  for (let taken = 0, call = 0; taken < samples; call++) {
    const count = CALL_LENGTHS[call % CALL_LENGTHS.length];
    drawSamples([expected, actual], of, random);
    const learned = reference.learnMany(expected, count, of.batch);
    const ownTurn = of.calls !== 'turns' || call % 2 === 0;
    const also = ownTurn ? learn(count) : reference.learnMany(actual, count, of.batch);
    const where = (): string => `${JSON.stringify(of)}, call ${call}`;
    assert.equal(also, learned, `${where()}: steps learned`);
    outcome.bytes += compare(expected, actual, where);
    outcome.learned += learned;
    outcome.skipped += Math.ceil(count / of.batch) - learned;
    taken += count;
  }
  return outcome;
}

/** What `learnMany` does, by `forward` and `learn`. */
function learnSingly(network: Network, kernels: ReturnType<typeof openKernels>, count: number): number {
  const { inputs, targets, outputs, loss, outputsPadded } = network;
  let learned = 0;
  for (let sample = 0; sample < count; sample++) {
    for (let d = 0; d < inputs.length; d++) {
      inputs[d] = network.queueInputs[sample * inputs.length + d];
    }
    for (let k = 0; k < outputsPadded; k++) {
      targets[k] = network.queueTargets[sample * outputsPadded + k];
    }
    kernels.forward();
    for (let k = 0; k < outputsPadded; k++) {
      network.queueOutputs[sample * outputsPadded + k] = outputs[k];
    }
    learned += kernels.learn();
    network.queueLosses[sample] = loss[0];
  }
  return learned;
}

/** What PACE names, in turn. */
const PACES = [
  [0.1, 0, Infinity],
  [0.5, 1, Infinity],
  [0.05, 1, 0.4],
  [1, 0, 0.01],
] as const;

/**
 * Paced steps of a network, or of the linear model with as many outputs, against the reference, sample by sample;
 * with crossEntropy under random offsets.
 */
export function runPacedCase(of: Case, samples: number, linear: boolean): Outcome {
  const config = { ...configOf({ ...of, optimiser: 'sgd', limits: 'none' }) };
  const [expected, actual] = memories.map((memory) => {
    return linear ? openLinearIn(memory, config) : openIn(memory, config);
  });
  for (const network of [expected, actual]) setParameters(network, of);
  const kernels = linear ? openLinearKernels(memories[1], actual) : openKernels(memories[1], actual);
  const forward = linear ? paced.forwardLinear : reference.forward;
  const learn = linear ? paced.learnLinearPaced : paced.learnPaced;
  const random = mulberry32(13);
  const outcome: Outcome = { bytes: 0, learned: 0, skipped: 0 };
  for (let sample = 0; sample < samples; sample++) {
    if (sample % QUEUE_SAMPLES === 0) drawSamples([expected, actual], of, random);
    const at = sample % QUEUE_SAMPLES;
    for (let k = 0; k < expected.offsets.length; k++) {
      expected.offsets[k] = k < config.outputs ? 4 * random() - 4 : 0;
    }
    actual.offsets.set(expected.offsets);
    for (const network of [expected, actual]) takeSample(network, at);
    forward(expected);
    kernels.forward();
    for (const network of [expected, actual]) network.pace.set(PACES[sample % PACES.length]);
    const learned = learn(expected);
    const where = (): string => `${JSON.stringify(of)}, ${linear ? 'linear' : 'paced'}, sample ${sample}`;
    assert.equal(kernels.learnPaced(), learned, where());
    outcome.bytes += compare(expected, actual, where);
    if (learned === reference.LEARNED) outcome.learned += 1;
    else outcome.skipped += 1;
  }
  return outcome;
}

function openLinearIn(memory: WebAssembly.Memory, { inputs, outputs, loss }: NetworkConfig): Network {
  const config = { ...paced.linearConfig(inputs, outputs, loss), queueSamples: QUEUE_SAMPLES };
  const plan = new ArenaPlan();
  const parts = paced.planLinear(plan, config);
  assert(plan.sizeBytes <= memory.buffer.byteLength);
  new Uint8Array(memory.buffer).fill(0);
  return paced.openLinear(memory.buffer, config, parts);
}

function takeSample(
  { inputs, targets, outputsPadded, queueInputs, queueTargets }: Network,
  at: number,
): void {
  inputs.set(queueInputs.subarray(at * inputs.length, (at + 1) * inputs.length));
  targets.set(queueTargets.subarray(at * outputsPadded, (at + 1) * outputsPadded));
}

/** Runs cases one after the other and adds up. */
export function runCases(cases: Iterable<Case>, samples: number): Outcome & { cases: number } {
  const sum = { cases: 0, bytes: 0, learned: 0, skipped: 0 };
  for (const each of cases) {
    const outcome = runCase(each, samples);
    sum.cases++;
    sum.bytes += outcome.bytes;
    sum.learned += outcome.learned;
    sum.skipped += outcome.skipped;
  }
  return sum;
}

/** Runs of the hash: every optimiser, loss and activation; fused, unfused and batched. */
const LONG_RUNS: readonly Case[] = [
  {
    shape: [17, 33, 7],
    hiddenActivation: 'tanh',
    outputActivation: 'identity',
    loss: 'crossEntropy',
    optimiser: 'sgd',
    limits: 'none',
    batch: 1,
    calls: 'queued',
    data: 'extreme',
  },
  {
    shape: [6, 16, 3],
    hiddenActivation: 'sigmoid',
    outputActivation: 'sigmoid',
    loss: 'halfSquared',
    optimiser: 'sgd',
    limits: 'none',
    batch: 1,
    calls: 'queued',
    data: 'random',
  },
  {
    shape: [3, 4, 2],
    hiddenActivation: 'sigmoid',
    outputActivation: 'tanh',
    loss: 'meanSquared',
    optimiser: 'sgd',
    limits: 'none',
    batch: 1,
    calls: 'queued',
    data: 'extreme',
  },
  {
    shape: [5, 7, 4],
    hiddenActivation: 'relu',
    outputActivation: 'identity',
    loss: 'halfSquared',
    optimiser: 'momentum',
    limits: 'clipNorm',
    batch: 1,
    calls: 'queued',
    data: 'extreme',
  },
  {
    shape: [12, 20, 5],
    hiddenActivation: 'tanh',
    outputActivation: 'identity',
    loss: 'crossEntropy',
    optimiser: 'adam',
    limits: 'all',
    batch: 8,
    calls: 'queued',
    data: 'random',
  },
];

const LONG_RUN_SAMPLES = 4_000;

/**
 * SHA-256 of parameters, moments, outputs and losses through long runs. The same on every machine, with the
 * kernels or with the reference; a change of it is a change of the arithmetic.
 */
export function longRunHash(by: 'kernels' | 'reference'): string {
  const hash = createHash('sha256');
  for (const of of LONG_RUNS) {
    const network = openIn(memories[0], configOf(of));
    setParameters(network, of);
    const kernels = openKernels(memories[0], network);
    const random = mulberry32(3);
    for (let taken = 0; taken < LONG_RUN_SAMPLES; taken += QUEUE_SAMPLES) {
      drawSamples([network], of, random);
      if (by === 'kernels') kernels.learnMany(QUEUE_SAMPLES, of.batch);
      else reference.learnMany(network, QUEUE_SAMPLES, of.batch);
      for (const name of COMPARED) hash.update(canonicalBytes(network[name]));
    }
  }
  return hash.digest('hex');
}

/** A copy in which every NaN has the same bits. */
function canonicalBytes(values: Float32Array | Float64Array): Uint8Array {
  const copy = values.slice();
  for (let i = 0; i < copy.length; i++) if (Number.isNaN(copy[i])) copy[i] = NaN;
  return new Uint8Array(copy.buffer);
}
