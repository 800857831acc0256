import { describe, expect, it } from 'vitest';
import { PACE } from '../../src/engine/network.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import { type EngineOf, kernelEngine, referenceEngine } from '../../src/learn/candidates.ts';
import {
  type Model,
  type ModelConfig,
  answeredClass,
  answeredNumbers,
  openModel,
  planModel,
  startModel,
  takeRecord,
} from '../../src/learn/model.ts';
import { RACES, RACE_STATE, withoutRace } from '../../src/learn/race.ts';
import { reportModel } from '../../src/learn/report.ts';
import { COUNT, type SupervisedConfig } from '../../src/learn/supervised.ts';
import { FREEZE, NO_LABEL, RECORD } from '../../src/stream/ring.ts';
import { heapBytesPerCall } from '../support/heap.ts';

const COLUMNS = 4;

type Supervised = Extract<ModelConfig, { kind: 'supervised' }>;

function config(changed: Partial<SupervisedConfig> = {}, windowRows = 1): Supervised {
  const task = changed.task ?? 'classify';
  const targets = task === 'classify' ? [] : [3];
  const columns = task === 'regress' ? [0, 1, 2] : [0, 1, 2, 3];
  return {
    kind: 'supervised',
    inputs: {
      columns: COLUMNS,
      windowRows,
      hopRows: 1,
      features: columns.map((column) => ({ column, kind: windowRows === 1 ? 'newest' : 'raw' })),
      breakAtLabelChange: false,
      clip: 5,
    },
    supervised: {
      task,
      outputs: task === 'classify' ? 3 : 1,
      targets,
      delayRows: 0,
      delayUs: 0,
      waitingSamples: 64,
      candidates: { hidden: 8, activation: 'tanh', seed: 1, capped: true, list: RACES.full },
      rehearsalSamples: task === 'classify' ? 32 : 0,
      respondToDrift: true,
      ...changed,
    },
  };
}

const ANOMALY: ModelConfig = {
  kind: 'anomaly',
  anomaly: {
    columns: COLUMNS,
    windowRows: 4,
    hidden: 4,
    learnRows: 400,
    budgetRows: 500,
    rate: 0.003,
    seed: 1,
    guardedNetwork: 'gated',
    guardedScaler: 'fading',
  },
};

const CONFIGS: Readonly<Record<string, ModelConfig>> = {
  classify: config(),
  'classify, late labels': config({ delayRows: 7 }),
  'classify, labels late by time': config({ delayUs: 5_500 }),
  'classify by windows': config({}, 5),
  'classify without a race': config({
    candidates: { hidden: 8, activation: 'relu', seed: 3, capped: false, list: withoutRace(0.05) },
    rehearsalSamples: 0,
  }),
  regress: config({ task: 'regress' }),
  forecast: config({ task: 'forecast', delayRows: 3 }, 6),
  anomaly: ANOMALY,
};

function makeModel(of: ModelConfig, engineOf: EngineOf = kernelEngine): Model {
  const plan = planModel(of);
  return openModel(plan, plan.arena.allocate(), engineOf);
}

function newModel(of: ModelConfig, engineOf: EngineOf = kernelEngine): Model {
  const model = makeModel(of, engineOf);
  startModel(model);
  return model;
}

interface Item {
  readonly kind: number;
  readonly datum: number;
  readonly values: Float32Array;
}

const NO_VALUES = new Float32Array(COLUMNS);

/** Classes that last for a while and show in the values; column 3 follows the others. All kinds of records. */
function stream(rows: number, controls = true): Item[] {
  const random = mulberry32(11);
  const items: Item[] = [];
  for (let row = 0; row < rows; row++) {
    const label = Math.floor(row / 150) % 3;
    const values = Float32Array.from({ length: COLUMNS }, (_, column) => {
      return (column === label ? 1 : 0) + 0.3 * random();
    });
    values[3] = Math.fround(values[0] - values[1] + 0.1 * random());
    if (random() < 0.03) values[1] = NaN;
    items.push({ kind: RECORD.row, datum: random() < 0.1 ? NO_LABEL : label, values });
    if (!controls || row % 97 !== 96) continue;
    const kind = [RECORD.gap, RECORD.label, RECORD.freeze, RECORD.freeze, RECORD.undo][
      Math.floor(row / 97) % 5
    ];
    const datum = kind === RECORD.freeze ? Math.floor(8 * random()) % 4 : kind === RECORD.label ? label : 2;
    items.push({ kind, datum, values: NO_VALUES });
  }
  return items;
}

function feed(model: Model, items: readonly Item[], from = 0): number {
  let answers = 0;
  for (const [index, { kind, datum, values }] of items.entries()) {
    answers += takeRecord(model, kind, datum, from + index, 0, (from + index) * 1000, values, 0);
  }
  return answers;
}

function supervisedOf({ learner }: Model) {
  if (learner.kind !== 'supervised') return expect.fail('no supervised learner');
  return learner.supervised;
}

describe.each(Object.entries(CONFIGS))('a model of the task %s', (_, of) => {
  it('goes on from a copy of its arena with the same bytes as the original', () => {
    const items = stream(1500);
    const original = newModel(of);
    feed(original, items.slice(0, 777));
    const copy = makeModel(of);
    copy.bytes.set(original.bytes);
    for (const [index, item] of items.slice(777).entries()) {
      feed(original, [item], 777 + index);
      feed(copy, [item], 777 + index);
      if (Buffer.compare(original.bytes, copy.bytes) !== 0)
        expect.fail(`another way from record ${777 + index}`);
    }
  });

  it('gives the same answers and the same weights in the reference engine and in the kernels', () => {
    const fast = newModel(of);
    const plain = newModel(of, referenceEngine);
    for (const [index, item] of stream(1500).entries()) {
      feed(fast, [item], index);
      feed(plain, [item], index);
      expect(answeredClass(fast)).toBe(answeredClass(plain));
      expect(answeredNumbers(fast)).toEqual(answeredNumbers(plain));
    }
    for (const model of [fast, plain]) expect(reportModel(model, ['a', 'b', 'c', 'd'], 1)).toBeDefined();
    expect(reportModel(fast, ['a', 'b', 'c', 'd'], 1)).toEqual(reportModel(plain, ['a', 'b', 'c', 'd'], 1));
  });

  it('allocates next to nothing per row', () => {
    const model = newModel(of);
    const items = stream(3000);
    for (let round = 0; round < 8; round++) feed(model, items);
    let at = 0;
    const bytes = heapBytesPerCall(() => {
      const { kind, datum, values } = items[at++ % items.length];
      takeRecord(model, kind, datum, 3000, 0, 3_000_000, values, 0);
    });
    // Of a model, not of a kernel: what happens every 250 samples may still be interpreted.
    expect(bytes).toBeLessThan(8);
  });
});

function labelRecord(datum: number): Item {
  return { kind: RECORD.label, datum, values: NO_VALUES };
}

/** Three classes one after the other, then all in turn without labels. @returns the share that is right then */
function learnPhases(rehearsalSamples: number): number {
  const model = newModel(config({ rehearsalSamples, respondToDrift: false }));
  const random = mulberry32(9);
  const row = (label: number, datum: number): Item => {
    const values = Float32Array.from({ length: COLUMNS }, () => 2 * random() - 1);
    values[0] = Math.fround(label - 1 + 0.4 * random());
    return { kind: RECORD.row, datum, values };
  };
  for (let at = 0; at < 2400; at++) feed(model, [row(Math.floor(at / 800), Math.floor(at / 800))], at);
  let correct = 0;
  for (let turn = 0; turn < 360; turn++) {
    feed(model, [row(turn % 3, NO_LABEL)]);
    // What came last is expected to go on for a while.
    if (turn >= 60 && answeredClass(model) === turn % 3) correct += 1;
  }
  return correct / 300;
}

describe('a classifier', () => {
  it('learns without any rate given: well above the most frequent class', () => {
    const model = newModel(config());
    feed(model, stream(3000, false));
    const { scores } = reportModel(model, [], 1);
    if (scores.task !== 'classify') expect.fail();
    expect(scores.all.accuracy).toBeGreaterThan(0.95);
    expect(scores.all.beside.majority.accuracy).toBeLessThan(0.6);
    expect(scores.against.majority.verdict).toBe('better');
  });

  it('predicts a row without a label, and neither scores nor learns', () => {
    const model = newModel(config());
    const supervised = supervisedOf(model);
    const before = supervised.candidates.members[0].network!.parameters.slice();
    expect(feed(model, [{ kind: RECORD.row, datum: NO_LABEL, values: Float32Array.of(1, 2, 3, 4) }])).toBe(1);
    expect(supervised.counts[COUNT.labelled]).toBe(0);
    expect(supervised.candidates.members[0].network!.parameters).toEqual(before);
    expect(answeredNumbers(model)[0]).toBeGreaterThan(1 / 3);
  });

  it('gives rows the label that was set, until it is taken away', () => {
    const model = newModel(config());
    const row = { kind: RECORD.row, datum: NO_LABEL, values: Float32Array.of(1, 0, 0, 0) };
    feed(model, [row, labelRecord(1), row, row, labelRecord(NO_LABEL), row]);
    expect(supervisedOf(model).counts[COUNT.labelled]).toBe(2);
  });

  it('learns a late label with the sample that it is of', () => {
    const late = newModel(config({ delayRows: 4 }));
    const random = mulberry32(5);
    const labels = Array.from({ length: 3000 }, () => Math.floor(3 * random()));
    const rows = labels.map((label, row) => {
      const values = Float32Array.from({ length: COLUMNS }, (_, column) => (column === label ? 1 : 0));
      return { kind: RECORD.row, datum: row < 4 ? NO_LABEL : labels[row - 4], values };
    });
    feed(late, rows);
    const { scores } = reportModel(late, [], 1);
    if (scores.task !== 'classify') expect.fail();
    expect(scores.all.accuracy).toBeGreaterThan(0.95);
  });

  it('keeps its weights while they are frozen, and its statistics while those are', () => {
    const model = newModel(config());
    const rows = stream(600, false);
    feed(model, rows.slice(0, 300));
    const { candidates } = supervisedOf(model);
    const weights = candidates.members[1].network!.parameters.slice();
    const both = FREEZE.network + FREEZE.scaler;
    if (model.learner.kind !== 'supervised') expect.fail();
    const mean = model.learner.inputs.scaler.mean.slice();
    feed(model, [{ kind: RECORD.freeze, datum: both, values: NO_VALUES }, ...rows.slice(300, 400)]);
    expect(candidates.members[1].network!.parameters).toEqual(weights);
    expect(model.learner.inputs.scaler.mean).toEqual(mean);
    feed(model, [{ kind: RECORD.freeze, datum: 0, values: NO_VALUES }, ...rows.slice(400)]);
    expect(candidates.members[1].network!.parameters).not.toEqual(weights);
    expect(model.learner.inputs.scaler.mean).not.toEqual(mean);
  });

  it('ends the race when the winner is frozen: only who answers goes on learning', () => {
    const model = newModel(config());
    const rows = stream(900, false);
    feed(model, rows.slice(0, 600));
    feed(model, [{ kind: RECORD.freeze, datum: FREEZE.winner, values: NO_VALUES }]);
    const { race, candidates } = supervisedOf(model);
    const answering = race.state[RACE_STATE.answering];
    const before = candidates.members.map(({ network }) => network?.parameters.slice());
    feed(model, rows.slice(600));
    expect(race.state[RACE_STATE.answering]).toBe(answering);
    for (const [c, { kind, network }] of candidates.members.entries()) {
      if (kind !== 'network') continue;
      if (c === answering) expect(network!.parameters).not.toEqual(before[c]);
      else expect(network!.parameters).toEqual(before[c]);
    }
  });

  it('moves scouts to rates beside the best one, and leaves the anchors alone', () => {
    const model = newModel(config());
    feed(model, stream(1200, false));
    const rates = supervisedOf(model).candidates.members.map(({ network }) => network?.pace[PACE.rate]);
    expect(rates.slice(0, 2)).toEqual([0.0316, 0.1]);
    expect(new Set(rates.slice(2, 4))).not.toEqual(new Set([0.0158, 0.0316]));
  });

  it('replaces a network that has diverged, counts it, and goes on', () => {
    const model = newModel(config());
    const rows = stream(900, false);
    feed(model, rows.slice(0, 500));
    const { candidates } = supervisedOf(model);
    candidates.members[1].network!.bias2.fill(1e7);
    feed(model, rows.slice(500));
    const { race } = reportModel(model, [], 1);
    expect(race!.replaced).toBe(1);
    for (const { network } of candidates.members) {
      expect(network?.parameters.every((value) => Math.abs(value) < 1e3)).not.toBe(false);
    }
  });

  it('does not forget a class that has not come for long', () => {
    expect(learnPhases(64)).toBeGreaterThan(0.95);
    expect(learnPhases(0)).toBeLessThan(0.7);
  });
});

describe('numbers', () => {
  it('are foretold in the units of the column, better than by the value before', () => {
    const model = newModel(config({ task: 'regress' }));
    feed(model, stream(3000, false));
    const { scores } = reportModel(model, ['a', 'b', 'c', 'd'], 1);
    if (scores.task !== 'regress') expect.fail();
    const [{ target, all, against }] = scores.targets;
    expect(target).toBe('d');
    expect(all.rmse).toBeLessThan(0.15);
    expect(against.persistence!.verdict).toBe('better');
  });

  it('of a forecast are those of the row so far ahead', () => {
    const model = newModel(config({ task: 'forecast', delayRows: 2 }, 12));
    const rows = Array.from({ length: 4000 }, (_, row) => {
      const wave = [0, 1, 2, 1][row % 4];
      return { kind: RECORD.row, datum: NO_LABEL, values: Float32Array.of(0, 0, 0, wave) };
    });
    feed(model, rows);
    const { scores } = reportModel(model, ['a', 'b', 'c', 'd'], 1);
    if (scores.task !== 'regress') expect.fail();
    expect(scores.targets[0].recent.rmse).toBeLessThan(0.1);
    expect(scores.targets[0].all.beside.persistence!.rmse).toBeGreaterThan(1);
    expect(answeredNumbers(model)[0]).toBeCloseTo([0, 1, 2, 1][(3999 + 2) % 4], 0);
  });
});
