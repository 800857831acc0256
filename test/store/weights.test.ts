import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArenaPlan } from '../../src/engine/arena.ts';
import { type NetworkConfig, initialParameters, writeParameters } from '../../src/engine/network.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import { forward, learn } from '../../src/engine/reference.ts';
import { EdgeloopError } from '../../src/errors.ts';
import {
  type Learner,
  SCORE,
  openLearner,
  planLearner,
  startScores,
  takeRow,
} from '../../src/learn/learner.ts';
import { decodeSafetensors, encodeSafetensors } from '../../src/store/safetensors.ts';
import { type ModelIdentity, loadModel, saveModel } from '../../src/store/weights.ts';

const NETWORK: NetworkConfig = {
  inputs: 2,
  hidden: 3,
  outputs: 4,
  hiddenActivation: 'tanh',
  outputActivation: 'identity',
  loss: 'crossEntropy',
  learningRate: 0.1,
};
const IDENTITY: ModelIdentity = { network: NETWORK, inputNames: ['x', 'y'] };

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgeloop-weights-'));
});
afterAll(() => rm(folder, { recursive: true }));

function newLearner({ network }: ModelIdentity = IDENTITY): Learner {
  const plan = new ArenaPlan();
  const parts = planLearner(plan, network);
  const learner = openLearner(plan.allocate().buffer, network, parts);
  writeParameters(learner.network, initialParameters(network, mulberry32(2)));
  startScores(learner);
  return learner;
}

/** Feeds rows that depend on the seed alone. */
function learnSome(learner: Learner, seed: number, rows: number): void {
  const random = mulberry32(seed);
  const { network } = learner;
  const engine = { forward: () => forward(network), learn: () => learn(network) };
  for (let row = 0; row < rows; row++) {
    takeRow(learner, engine, Float32Array.of(random(), 3 * random()), 0, Math.floor(4 * random()));
  }
}

async function savedFile(name: string): Promise<string> {
  const path = join(folder, name);
  const learner = newLearner();
  learnSome(learner, 1, 100);
  await saveModel(path, IDENTITY, learner, ['a', 'b'], 0);
  return path;
}

async function refusal(path: string, identity: ModelIdentity): Promise<EdgeloopError> {
  const before = await readFile(path);
  const learner = newLearner(identity);
  const weights = learner.network.weights1.slice();
  const error = await loadModel(path, identity, learner).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(EdgeloopError);
  expect(await readFile(path), 'the file is left untouched').toEqual(before);
  expect(learner.network.weights1, 'and so is the learner').toEqual(weights);
  return error as EdgeloopError;
}

describe('the weight file', () => {
  it('brings a learner back: it goes on with the same weights to the last bit', async () => {
    const path = join(folder, 'back.safetensors');
    const original = newLearner();
    learnSome(original, 5, 300);
    await saveModel(path, IDENTITY, original, ['off', 'on'], 1000);
    const back = newLearner();
    const loaded = await loadModel(path, IDENTITY, back);
    expect(loaded).toEqual({ classes: ['off', 'on'], learned: 1000 + original.scores[SCORE.learned] });
    learnSome(original, 6, 300);
    learnSome(back, 6, 300);
    for (const part of ['weights1', 'bias1', 'weights2', 'bias2'] as const) {
      expect(back.network[part], part).toEqual(original.network[part]);
    }
    expect(back.scaler.m2).toEqual(original.scaler.m2);
  });

  it('is private, and absent is not an error', async () => {
    const path = await savedFile('private.safetensors');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await loadModel(join(folder, 'none'), IDENTITY, newLearner())).toBeUndefined();
  });

  it('is refused with expected, got and remedy when the config has another size', async () => {
    const path = await savedFile('sizes.safetensors');
    const wider = { ...IDENTITY, network: { ...NETWORK, hidden: 5 } };
    const error = await refusal(path, wider);
    expect(error.code).toBe('ELOOP_SHAPE');
    expect(error.message).toMatch(/layer1\.weight: expected shape \[5,2\], got \[3,2\].*--fresh/);
  });

  it('is refused when the columns or the activation differ', async () => {
    const path = await savedFile('columns.safetensors');
    const renamed = { ...IDENTITY, inputNames: ['x', 'z'] };
    expect((await refusal(path, renamed)).message).toMatch(/inputs: expected \["x","z"\], got \["x","y"\]/);
    const relu: ModelIdentity = { ...IDENTITY, network: { ...NETWORK, hiddenActivation: 'relu' } };
    expect((await refusal(path, relu)).message).toMatch(/hiddenActivation: expected "relu", got "tanh"/);
  });

  it('is refused when it holds what is not finite, or comes from a later version, or is no such file', async () => {
    const path = await savedFile('damaged.safetensors');
    const good = decodeSafetensors(await readFile(path), path);
    const weights = good.tensors.get('layer1.weight')!;
    const tensors = new Map(good.tensors);
    tensors.set('layer1.weight', { shape: weights.shape, data: Float32Array.from(weights.data, () => NaN) });
    await writeFile(path, encodeSafetensors({ tensors, metadata: good.metadata }));
    expect((await refusal(path, IDENTITY)).message).toMatch(/layer1\.weight: expected finite numbers/);

    const later = { ...good.metadata, 'edgeloop.format': '2' };
    await writeFile(path, encodeSafetensors({ tensors: good.tensors, metadata: later }));
    expect((await refusal(path, IDENTITY)).message).toMatch(/format version: expected 1, got 2/);

    await writeFile(path, 'no weights at all');
    expect((await refusal(path, IDENTITY)).code).toBe('ELOOP_FORMAT');
  });
});
