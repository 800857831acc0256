/**
 * A model's weight file: safetensors with PyTorch's names and shapes of two Linear layers, the running statistics
 * of the inputs, and in the metadata what the numbers mean. Layout: FORMAT.md, "Weight file".
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Network, makeParameters, readParameters, writeParameters } from '../engine/network.ts';
import { EdgeloopError } from '../errors.ts';
import { COUNT as ANOMALY_COUNT } from '../learn/anomaly.ts';
import type { Model, ModelConfig } from '../learn/model.ts';
import { leadingNetwork } from '../learn/race.ts';
import { COUNT } from '../learn/supervised.ts';
import { replaceFile } from './replace-file.ts';
import {
  type Tensor,
  type TensorFile,
  decodeSafetensors,
  encodeSafetensors,
  printable,
} from './safetensors.ts';

/** Major version of the file's meaning; a reader refuses a higher one. */
const FORMAT_VERSION = '1';
/** Version of the engine's arithmetic (order of operations, polynomials). */
const ARITHMETIC_VERSION = '1';

const KEY = {
  format: 'edgeloop.format',
  arithmetic: 'edgeloop.arithmetic',
  config: 'edgeloop.config',
  classes: 'edgeloop.classes',
  learned: 'edgeloop.learned',
  model: 'edgeloop.model',
  arenaDigest: 'edgeloop.arena.sha256',
} as const;

/** The whole arena beside the weights, from which a model of the same config goes on exactly. */
const ARENA = 'edgeloop.arena';

/** What a model is, beyond its numbers. */
export interface ModelIdentity {
  readonly config: ModelConfig;
  /** Names of the row's columns, in order. */
  readonly columnNames: readonly string[];
  /** Names of the network's inputs, in order. */
  readonly inputNames: readonly string[];
}

/** What a weight file adds to a fresh model. */
export interface LoadedModel {
  readonly classes: string[];
  /** Samples learned that are behind these weights. */
  readonly learned: number;
  /** Everything came back: statistics, scores, the race. Otherwise only weights and statistics of the inputs. */
  readonly isWhole: boolean;
}

/** The network whose weights a file holds, and the statistics its inputs are standardised with. */
function partsOf({ learner }: Model): {
  network: Network;
  scaler: ScalerTensors | undefined;
  learned: number;
} {
  if (learner.kind === 'anomaly') {
    const { network, counts } = learner.detector;
    return { network, scaler: undefined, learned: counts[ANOMALY_COUNT.learned] };
  }
  const { supervised, inputs } = learner;
  const { candidates, race, counts } = supervised;
  const network = candidates.members[leadingNetwork(race, candidates)].network!;
  return { network, scaler: inputs.scaler, learned: counts[COUNT.learned] };
}

/** Of numbers: the statistics that bring an output into the user's units. */
function targetsOf({ learner }: Model): ScalerTensors | undefined {
  if (learner.kind === 'anomaly' || learner.supervised.config.task !== 'regress') return undefined;
  const { targetCount, targetMean, targetM2 } = learner.supervised;
  return { count: targetCount, mean: targetMean, m2: targetM2 };
}

type ScalerTensors = Readonly<Record<'count' | 'mean' | 'm2', Float64Array>>;

/** Writes weights, statistics and the whole arena; on return the file is whole and on the disk. */
export async function saveModel(
  path: string,
  identity: ModelIdentity,
  model: Model,
  classes: readonly string[],
): Promise<void> {
  const bytes = encodeSafetensors(describeModel(identity, model, classes));
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((cause: NodeJS.ErrnoException) => {
    const remedy = 'Name another file with --weights, or see to the directory.';
    throw new EdgeloopError('ELOOP_STORE', `${path}: cannot make its directory (${cause.code}). ${remedy}`);
  });
  await replaceFile(path, bytes);
}

function describeModel(identity: ModelIdentity, model: Model, classes: readonly string[]): TensorFile {
  const { network, scaler, learned } = partsOf(model);
  const { inputs: D, hidden: H, outputs: K } = network.config;
  const { weights1, bias1, weights2, bias2 } = readParameters(network);
  const words = model.bytes.slice();
  const tensors = new Map<string, Tensor>([
    ['layer1.weight', { shape: [H, D], data: weights1 }],
    ['layer1.bias', { shape: [H], data: bias1 }],
    ['layer2.weight', { shape: [K, H], data: weights2 }],
    ['layer2.bias', { shape: [K], data: bias2 }],
    [ARENA, { shape: [words.length / 4], data: new Int32Array(words.buffer) }],
  ]);
  for (const [kind, statistics] of Object.entries({ scaler, target: targetsOf(model) })) {
    if (statistics === undefined) continue;
    for (const name of ['count', 'mean', 'm2'] as const) {
      const data = statistics[name].slice();
      tensors.set(`${kind}.${name}`, { shape: [data.length], data });
    }
  }
  return {
    tensors,
    metadata: {
      [KEY.format]: FORMAT_VERSION,
      [KEY.arithmetic]: ARITHMETIC_VERSION,
      [KEY.config]: JSON.stringify(meaningOf(identity, network)),
      [KEY.classes]: JSON.stringify(classes),
      [KEY.learned]: String(learned),
      [KEY.model]: JSON.stringify(identity),
      [KEY.arenaDigest]: digestOf(words),
    },
  };
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** What must be the same for the weights to mean the same. */
function meaningOf({ inputNames }: ModelIdentity, { config }: Network): Record<string, unknown> {
  const { hiddenActivation, outputActivation, loss } = config;
  return { inputs: inputNames, hiddenActivation, outputActivation, loss };
}

/**
 * Reads a weight file into a fresh model: all of it if the file was written by the same config, else the weights, into
 * every network that races, and the statistics. Nothing is written unless everything fits.
 * @returns undefined if there is no such file
 * @throws EdgeloopError ELOOP_FORMAT or ELOOP_SHAPE: expected, got, remedy
 */
export async function loadModel(
  path: string,
  identity: ModelIdentity,
  model: Model,
): Promise<LoadedModel | undefined> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined;
    throw new EdgeloopError('ELOOP_STORE', `${path}: cannot read the weight file (${cause.code}). ${REMEDY}`);
  });
  if (bytes === undefined) return undefined;
  const file = decodeSafetensors(bytes, path);
  const fit = new ModelFit(path, file);
  const { network, scaler } = partsOf(model);
  const loaded = fit.checkMetadata(identity, network);
  const { inputs: D, hidden: H, outputs: K } = network.config;
  const parameters = makeParameters(network.config);
  parameters.weights1.set(fit.float32('layer1.weight', [H, D]));
  parameters.bias1.set(fit.float32('layer1.bias', [H]));
  parameters.weights2.set(fit.float32('layer2.weight', [K, H]));
  parameters.bias2.set(fit.float32('layer2.bias', [K]));
  const arena = fit.arena(identity, model);
  if (arena !== undefined) {
    model.bytes.set(arena);
    return { ...loaded, isWhole: true };
  }
  const targets = targetsOf(model);
  const statistics = [
    ...(scaler === undefined ? [] : fit.statistics('scaler', scaler)),
    ...(targets === undefined ? [] : fit.statistics('target', targets)),
  ];
  for (const each of networksOf(model)) writeParameters(each, parameters);
  for (const [to, from] of statistics) to.set(from);
  return { ...loaded, isWhole: false };
}

function networksOf({ learner }: Model): Network[] {
  if (learner.kind === 'anomaly') return [learner.detector.network];
  const { members } = learner.supervised.candidates;
  return members.flatMap(({ kind, network }) =>
    kind === 'network' && network !== undefined ? [network] : [],
  );
}

const REMEDY = 'Give another file with --weights, or start anew with --fresh (the old file is kept aside).';

class ModelFit {
  readonly #path: string;
  readonly #file: TensorFile;

  constructor(path: string, file: TensorFile) {
    this.#path = path;
    this.#file = file;
  }

  checkMetadata(identity: ModelIdentity, network: Network): Omit<LoadedModel, 'isWhole'> {
    const { metadata } = this.#file;
    this.#expect('format version', FORMAT_VERSION, metadata[KEY.format]);
    this.#expect('arithmetic version', ARITHMETIC_VERSION, metadata[KEY.arithmetic]);
    const written = this.#json(KEY.config);
    const expected = meaningOf(identity, network);
    for (const [key, value] of Object.entries(expected)) {
      const got = typeof written === 'object' && written !== null ? Reflect.get(written, key) : undefined;
      this.#expect(key, JSON.stringify(value), JSON.stringify(got));
    }
    const classes = this.#json(KEY.classes);
    if (!isNameList(classes, network.config.outputs)) {
      return this.#differs(
        'classes',
        `up to ${network.config.outputs} different names`,
        metadata[KEY.classes],
      );
    }
    const learned = Number(metadata[KEY.learned]);
    if (!Number.isSafeInteger(learned) || learned < 0)
      this.#expect('learned', 'a count', metadata[KEY.learned]);
    return { classes, learned };
  }

  /** @returns the arena of a model with just this config, if the file has one; its digest must be there and right */
  arena(identity: ModelIdentity, { bytes }: Model): Uint8Array | undefined {
    const { metadata, tensors } = this.#file;
    const data = tensors.get(ARENA)?.data;
    if (!(data instanceof Int32Array) || data.byteLength !== bytes.length) return undefined;
    if (metadata[KEY.model] !== JSON.stringify(identity)) return undefined;
    const arena = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return metadata[KEY.arenaDigest] === digestOf(arena) ? arena : undefined;
  }

  /** @returns what is to be copied where */
  statistics(kind: string, { count, mean, m2 }: ScalerTensors): [Float64Array, Float64Array][] {
    const shape = [count.length];
    return [
      [count, this.notNegative(`${kind}.count`, shape)],
      [mean, this.float64(`${kind}.mean`, shape)],
      [m2, this.notNegative(`${kind}.m2`, shape)],
    ];
  }

  float32(name: string, shape: readonly number[]): Float32Array {
    const { data } = this.#tensor(name, shape);
    if (!(data instanceof Float32Array)) this.#fail(`tensor ${name}: expected float32`);
    return data;
  }

  float64(name: string, shape: readonly number[]): Float64Array {
    const { data } = this.#tensor(name, shape);
    if (!(data instanceof Float64Array)) this.#fail(`tensor ${name}: expected float64`);
    return data;
  }

  notNegative(name: string, shape: readonly number[]): Float64Array {
    const data = this.float64(name, shape);
    if (data.some((value) => value < 0))
      this.#fail(`tensor ${name}: expected numbers from 0 up, got one below`);
    return data;
  }

  #tensor(name: string, shape: readonly number[]): Tensor {
    const tensor = this.#file.tensors.get(name);
    if (tensor === undefined) this.#fail(`tensor ${name}: expected one of shape [${shape}], got none`);
    if (tensor.shape.join() !== shape.join()) {
      throw new EdgeloopError(
        'ELOOP_SHAPE',
        `${this.#path}: tensor ${name}: expected shape [${shape}], got [${tensor.shape}]. ` +
          `Set the config to the file's sizes. ${REMEDY}`,
      );
    }
    if (!tensor.data.every((value) => Number.isFinite(value))) {
      this.#fail(`tensor ${name}: expected finite numbers, got NaN or Infinity`);
    }
    return tensor;
  }

  #json(key: string): unknown {
    const text = this.#file.metadata[key];
    try {
      return JSON.parse(text ?? '');
    } catch {
      return this.#fail(`metadata ${key}: expected JSON, got ${printable(text ?? '')}`);
    }
  }

  #expect(what: string, expected: string, got: string | undefined): void {
    if (got !== expected) this.#differs(what, expected, got);
  }

  #differs(what: string, expected: string, got: string | undefined): never {
    return this.#fail(`${what}: expected ${expected}, got ${got === undefined ? 'nothing' : printable(got)}`);
  }

  #fail(what: string): never {
    throw new EdgeloopError('ELOOP_FORMAT', `${this.#path}: ${what}. ${REMEDY}`);
  }
}

function isNameList(value: unknown, lengthMax: number): value is string[] {
  return (
    Array.isArray(value) &&
    value.length <= lengthMax &&
    value.every((item) => typeof item === 'string') &&
    new Set(value).size === value.length
  );
}
