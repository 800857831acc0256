import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EdgeloopError } from '../../src/errors.ts';
import {
  type Model,
  type ModelConfig,
  openModel,
  planModel,
  startModel,
  takeRecord,
} from '../../src/learn/model.ts';
import { RACES } from '../../src/learn/race.ts';
import { decodeSafetensors, encodeSafetensors } from '../../src/store/safetensors.ts';
import { type ModelIdentity, loadModel, saveModel } from '../../src/store/weights.ts';
import { RECORD } from '../../src/stream/ring.ts';
import { mulberry32 } from '../../src/engine/random.ts';

const CONFIG: ModelConfig & { kind: 'supervised' } = {
  kind: 'supervised',
  inputs: {
    columns: 2,
    windowRows: 1,
    hopRows: 1,
    features: [
      { column: 0, kind: 'newest' },
      { column: 1, kind: 'newest' },
    ],
    breakAtLabelChange: false,
    clip: 5,
  },
  supervised: {
    task: 'classify',
    outputs: 4,
    targets: [],
    delayRows: 0,
    delayUs: 0,
    waitingSamples: 0,
    candidates: { hidden: 3, activation: 'tanh', seed: 2, capped: true, list: RACES.full },
    rehearsalSamples: 8,
    respondToDrift: false,
  },
};
const IDENTITY: ModelIdentity = { config: CONFIG, columnNames: ['x', 'y'], inputNames: ['x', 'y'] };

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgeloop-weights-'));
});
afterAll(() => rm(folder, { recursive: true }));

function newModel({ config }: ModelIdentity = IDENTITY): Model {
  const plan = planModel(config);
  const model = openModel(plan, plan.arena.allocate());
  startModel(model);
  return model;
}

function withCandidates(changed: Partial<(typeof CONFIG)['supervised']['candidates']>): ModelIdentity {
  const candidates = { ...CONFIG.supervised.candidates, ...changed };
  return { ...IDENTITY, config: { ...CONFIG, supervised: { ...CONFIG.supervised, candidates } } };
}

/** Feeds rows that depend on the seed alone. */
function learnSome(model: Model, seed: number, rows: number): void {
  const random = mulberry32(seed);
  for (let row = 0; row < rows; row++) {
    const values = Float32Array.of(random(), 3 * random());
    takeRecord(model, RECORD.row, Math.floor(4 * random()), row, 0, row * 1000, values, 0);
  }
}

async function savedFile(name: string): Promise<string> {
  const path = join(folder, name);
  const model = newModel();
  learnSome(model, 1, 100);
  await saveModel(path, IDENTITY, model, ['a', 'b']);
  return path;
}

async function refusal(path: string, identity: ModelIdentity): Promise<EdgeloopError> {
  const before = await readFile(path);
  const model = newModel(identity);
  const bytes = model.bytes.slice();
  const error = await loadModel(path, identity, model).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(EdgeloopError);
  expect(await readFile(path), 'the file is left untouched').toEqual(before);
  expect(model.bytes, 'and so is the model').toEqual(bytes);
  return error as EdgeloopError;
}

describe('the weight file', () => {
  it('brings a model back whole: it goes on with the same bytes', async () => {
    const path = join(folder, 'back.safetensors');
    const original = newModel();
    learnSome(original, 5, 300);
    await saveModel(path, IDENTITY, original, ['off', 'on']);
    const back = newModel();
    expect(await loadModel(path, IDENTITY, back)).toEqual({
      classes: ['off', 'on'],
      learned: 300,
      isWhole: true,
    });
    learnSome(original, 6, 300);
    learnSome(back, 6, 300);
    expect(Buffer.compare(original.bytes, back.bytes)).toBe(0);
  });

  it('brings weights and statistics to a model that learns by another config', async () => {
    const path = await savedFile('rates.safetensors');
    const cheap = withCandidates({ list: RACES.cheap });
    const model = newModel(cheap);
    expect(await loadModel(path, cheap, model)).toMatchObject({ learned: 100, isWhole: false });
    const { tensors } = decodeSafetensors(await readFile(path), path);
    if (model.learner.kind !== 'supervised') expect.fail();
    const { members } = model.learner.supervised.candidates;
    expect([...members[1].network!.bias2.subarray(0, 4)]).toEqual([...tensors.get('layer2.bias')!.data]);
    expect([...model.learner.inputs.scaler.mean]).toEqual([...tensors.get('scaler.mean')!.data]);
  });

  it('brings the statistics of numbers to a model that learns by another config', async () => {
    const features = [{ column: 0, kind: 'newest' }] as const;
    const task = { task: 'regress', outputs: 1, targets: [1], rehearsalSamples: 0 } as const;
    const regress = (list: (typeof RACES)['full' | 'cheap']): ModelIdentity => {
      const candidates = { ...CONFIG.supervised.candidates, list };
      const config = {
        ...CONFIG,
        inputs: { ...CONFIG.inputs, features },
        supervised: { ...CONFIG.supervised, ...task, candidates },
      };
      return { config, columnNames: ['x', 'y'], inputNames: ['x'] };
    };
    const path = join(folder, 'numbers.safetensors');
    const model = newModel(regress(RACES.full));
    learnSome(model, 1, 200);
    await saveModel(path, regress(RACES.full), model, []);
    const other = newModel(regress(RACES.cheap));
    expect(await loadModel(path, regress(RACES.cheap), other)).toMatchObject({ isWhole: false });
    if (model.learner.kind !== 'supervised' || other.learner.kind !== 'supervised') expect.fail();
    expect(other.learner.supervised.targetMean).toEqual(model.learner.supervised.targetMean);
    expect(other.learner.supervised.targetM2[0]).toBeGreaterThan(1);
  });

  it('does not take an arena whose digest is wrong', async () => {
    const path = await savedFile('digest.safetensors');
    const good = decodeSafetensors(await readFile(path), path);
    const metadata = { ...good.metadata, 'edgeloop.arena.sha256': '0'.repeat(64) };
    await writeFile(path, encodeSafetensors({ tensors: good.tensors, metadata }));
    expect(await loadModel(path, IDENTITY, newModel())).toMatchObject({ isWhole: false });
  });

  it('is private, and absent is not an error', async () => {
    const path = await savedFile('private.safetensors');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await loadModel(join(folder, 'none'), IDENTITY, newModel())).toBeUndefined();
  });

  it('is refused with expected, got and remedy when the config has another size', async () => {
    const path = await savedFile('sizes.safetensors');
    const wider = withCandidates({ hidden: 5 });
    const error = await refusal(path, wider);
    expect(error.code).toBe('ELOOP_SHAPE');
    expect(error.message).toMatch(/layer1\.weight: expected shape \[5,2\], got \[3,2\].*--fresh/);
  });

  it('is refused when the columns or the activation differ', async () => {
    const path = await savedFile('columns.safetensors');
    const renamed = { ...IDENTITY, inputNames: ['x', 'z'] };
    expect((await refusal(path, renamed)).message).toMatch(/inputs: expected \["x","z"\], got \["x","y"\]/);
    const relu = withCandidates({ activation: 'relu' });
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
