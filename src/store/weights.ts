/**
 * A model's weight file: safetensors with PyTorch's names and shapes of two Linear layers, the running statistics
 * of the inputs, and in the metadata what the numbers mean. Layout: FORMAT.md, "Weight file".
 */
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type NetworkConfig, makeParameters, readParameters, writeParameters } from '../engine/network.ts';
import { EdgeloopError } from '../errors.ts';
import { type Learner, SCORE } from '../learn/learner.ts';
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
} as const;

/** What a model is, beyond its numbers. */
export interface ModelIdentity {
  readonly network: NetworkConfig;
  /** Names of the inputs, in order. */
  readonly inputNames: readonly string[];
}

/** What a weight file adds to a fresh learner. */
export interface LoadedModel {
  readonly classes: string[];
  /** Training steps behind these weights. */
  readonly learned: number;
}

/** Writes the learner's parameters and statistics; on return the file is whole and on the disk. */
export async function saveModel(
  path: string,
  identity: ModelIdentity,
  learner: Learner,
  classes: readonly string[],
  learnedBefore: number,
): Promise<void> {
  const bytes = encodeSafetensors(describeModel(identity, learner, classes, learnedBefore));
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((cause: NodeJS.ErrnoException) => {
    const remedy = 'Name another file with --weights, or see to the directory.';
    throw new EdgeloopError('ELOOP_STORE', `${path}: cannot make its directory (${cause.code}). ${remedy}`);
  });
  await replaceFile(path, bytes);
}

function describeModel(
  { network: config, inputNames }: ModelIdentity,
  { network, scaler, scores }: Learner,
  classes: readonly string[],
  learnedBefore: number,
): TensorFile {
  const { inputs: D, hidden: H, outputs: K } = config;
  const { weights1, bias1, weights2, bias2 } = readParameters(network);
  return {
    tensors: new Map<string, Tensor>([
      ['layer1.weight', { shape: [H, D], data: weights1 }],
      ['layer1.bias', { shape: [H], data: bias1 }],
      ['layer2.weight', { shape: [K, H], data: weights2 }],
      ['layer2.bias', { shape: [K], data: bias2 }],
      ['scaler.count', { shape: [D], data: scaler.count.slice() }],
      ['scaler.mean', { shape: [D], data: scaler.mean.slice() }],
      ['scaler.m2', { shape: [D], data: scaler.m2.slice() }],
    ]),
    metadata: {
      [KEY.format]: FORMAT_VERSION,
      [KEY.arithmetic]: ARITHMETIC_VERSION,
      [KEY.config]: JSON.stringify({ inputs: inputNames, ...meaningOf(config) }),
      [KEY.classes]: JSON.stringify(classes),
      [KEY.learned]: String(learnedBefore + scores[SCORE.learned]),
    },
  };
}

/** What must be the same for the weights to mean the same. */
function meaningOf({ hiddenActivation, outputActivation, loss }: NetworkConfig): Record<string, string> {
  return { hiddenActivation, outputActivation, loss };
}

/**
 * Reads a weight file into a fresh learner. Nothing is written unless everything fits.
 * @returns undefined if there is no such file
 * @throws EdgeloopError ELOOP_FORMAT or ELOOP_SHAPE: expected, got, remedy
 */
export async function loadModel(
  path: string,
  identity: ModelIdentity,
  learner: Learner,
): Promise<LoadedModel | undefined> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined;
    throw new EdgeloopError('ELOOP_STORE', `${path}: cannot read the weight file (${cause.code}). ${REMEDY}`);
  });
  if (bytes === undefined) return undefined;
  const file = decodeSafetensors(bytes, path);
  const fit = new ModelFit(path, file);
  const loaded = fit.checkMetadata(identity);
  const { inputs: D, hidden: H, outputs: K } = identity.network;
  const parameters = makeParameters(identity.network);
  parameters.weights1.set(fit.float32('layer1.weight', [H, D]));
  parameters.bias1.set(fit.float32('layer1.bias', [H]));
  parameters.weights2.set(fit.float32('layer2.weight', [K, H]));
  parameters.bias2.set(fit.float32('layer2.bias', [K]));
  const count = fit.notNegative('scaler.count', [D]);
  const mean = fit.float64('scaler.mean', [D]);
  const m2 = fit.notNegative('scaler.m2', [D]);
  writeParameters(learner.network, parameters);
  learner.scaler.count.set(count);
  learner.scaler.mean.set(mean);
  learner.scaler.m2.set(m2);
  return loaded;
}

const REMEDY = 'Give another file with --weights, or start anew with --fresh (the old file is kept aside).';

class ModelFit {
  readonly #path: string;
  readonly #file: TensorFile;

  constructor(path: string, file: TensorFile) {
    this.#path = path;
    this.#file = file;
  }

  checkMetadata({ network, inputNames }: ModelIdentity): LoadedModel {
    const { metadata } = this.#file;
    this.#expect('format version', FORMAT_VERSION, metadata[KEY.format]);
    this.#expect('arithmetic version', ARITHMETIC_VERSION, metadata[KEY.arithmetic]);
    const written = this.#json(KEY.config);
    const expected: Record<string, unknown> = { inputs: inputNames, ...meaningOf(network) };
    for (const [key, value] of Object.entries(expected)) {
      const got = typeof written === 'object' && written !== null ? Reflect.get(written, key) : undefined;
      this.#expect(key, JSON.stringify(value), JSON.stringify(got));
    }
    const classes = this.#json(KEY.classes);
    if (!isNameList(classes, network.outputs)) {
      return this.#differs('classes', `up to ${network.outputs} different names`, metadata[KEY.classes]);
    }
    const learned = Number(metadata[KEY.learned]);
    if (!Number.isSafeInteger(learned) || learned < 0)
      this.#expect('learned', 'a count', metadata[KEY.learned]);
    return { classes, learned };
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
