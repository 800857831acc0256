import { describe, expect, it } from 'vitest';
import { ArenaPlan } from '../../src/engine/arena.ts';
import { openKernels } from '../../src/engine/kernels.ts';
import { type NetworkConfig, initialParameters, writeParameters } from '../../src/engine/network.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import { forward, learn } from '../../src/engine/reference.ts';
import {
  type Engine,
  type Learner,
  SCORE,
  openLearner,
  planLearner,
  startScores,
  takeGap,
  takeRow,
} from '../../src/learn/learner.ts';
import { NO_LABEL } from '../../src/stream/ring.ts';

const CONFIG: NetworkConfig = {
  inputs: 3,
  hidden: 5,
  outputs: 3,
  hiddenActivation: 'tanh',
  outputActivation: 'identity',
  loss: 'crossEntropy',
  learningRate: 0.05,
};

interface Model {
  learner: Learner;
  engine: Engine;
  bytes: Uint8Array;
}

/** A learner over a new arena. */
function openModel(): Model {
  const plan = new ArenaPlan();
  const parts = planLearner(plan, CONFIG);
  const memory = plan.allocate();
  const learner = openLearner(memory.buffer, CONFIG, parts);
  return { learner, engine: openKernels(memory, learner.network), bytes: new Uint8Array(memory.buffer) };
}

function newModel(): Model {
  const model = openModel();
  writeParameters(model.learner.network, initialParameters(CONFIG, mulberry32(1)));
  startScores(model.learner);
  return model;
}

/** Rows whose class is told by the inputs, each class for a while; some values and some labels are missing. */
function stream(rows: number): { values: Float32Array; label: number }[] {
  const random = mulberry32(11);
  return Array.from({ length: rows }, (_, row) => {
    const label = Math.floor(row / 40) % 3;
    const values = Float32Array.from(
      { length: 3 },
      (_, column) => (column === label ? 1 : 0) + 0.3 * random(),
    );
    if (random() < 0.05) values[1] = NaN;
    return { values, label: random() < 0.1 ? NO_LABEL : label };
  });
}

function feed({ learner, engine }: Model, rows: { values: Float32Array; label: number }[]): void {
  for (const { values, label } of rows) takeRow(learner, engine, values, 0, label);
}

describe('learning on a stream', () => {
  it('goes on from a copy of the arena with the same bytes as the original, for ever after', () => {
    const rows = stream(2000);
    const original = newModel();
    feed(original, rows.slice(0, 777));
    takeGap(original.learner, 3);
    const copy = openModel();
    copy.bytes.set(original.bytes);
    for (const row of rows.slice(777)) {
      feed(original, [row]);
      feed(copy, [row]);
      if (Buffer.compare(original.bytes, copy.bytes) !== 0) expect.fail('the copy went another way');
    }
    expect(original.learner.scores[SCORE.learned]).toBeGreaterThan(1500);
  });

  it('gives the same weights and scores in the reference engine and in the kernels', () => {
    const rows = stream(1500);
    const fast = newModel();
    const plain = newModel();
    const { network } = plain.learner;
    plain.engine = { forward: () => forward(network), learn: () => learn(network) };
    feed(fast, rows);
    feed(plain, rows);
    expect(fast.learner.network.parameters).toEqual(network.parameters);
    expect(fast.learner.scores).toEqual(plain.learner.scores);
  });

  it('learns: accuracy well above both the most frequent class and chance', () => {
    const model = newModel();
    feed(model, stream(3000));
    const { scores } = model.learner;
    expect(scores[SCORE.correct] / scores[SCORE.labelled]).toBeGreaterThan(0.9);
    expect(scores[SCORE.majorityCorrect] / scores[SCORE.labelled]).toBeLessThan(0.5);
  });

  it('scores before it learns: the first row cannot be known, nor the first row of a class never seen', () => {
    const { learner, engine } = newModel();
    const row = Float32Array.of(1, 0, 0);
    takeRow(learner, engine, row, 0, 2);
    expect(learner.scores[SCORE.majorityCorrect]).toBe(0);
    expect(learner.scores[SCORE.lastLabelCorrect]).toBe(0);
    expect(learner.scores[SCORE.changes]).toBe(0);
    takeRow(learner, engine, row, 0, 2);
    expect(learner.scores[SCORE.majorityCorrect]).toBe(1);
    expect(learner.scores[SCORE.lastLabelCorrect]).toBe(1);
    takeRow(learner, engine, row, 0, 0);
    expect(learner.scores[SCORE.changes]).toBe(1);
    expect(learner.scores[SCORE.lastLabelCorrect]).toBe(1);
  });

  it('predicts and updates the statistics on a row without a label, and neither scores nor learns', () => {
    const { learner, engine } = newModel();
    const before = learner.network.weights1.slice();
    takeRow(learner, engine, Float32Array.of(1, 2, 3), 0, NO_LABEL);
    expect(learner.scores[SCORE.rows]).toBe(1);
    expect(learner.scores[SCORE.labelled]).toBe(0);
    expect([...learner.scaler.count]).toEqual([1, 1, 1]);
    expect(learner.network.weights1).toEqual(before);
  });

  it('does not take the first row after a gap for a change', () => {
    const { learner, engine } = newModel();
    const row = Float32Array.of(1, 0, 0);
    takeRow(learner, engine, row, 0, 0);
    takeGap(learner, 5);
    takeRow(learner, engine, row, 0, 1);
    expect(learner.scores[SCORE.changes]).toBe(0);
    expect(learner.scores[SCORE.gaps]).toBe(1);
    expect(learner.scores[SCORE.rowsLost]).toBe(5);
    takeRow(learner, engine, row, 0, 2);
    expect(learner.scores[SCORE.changes]).toBe(1);
  });

  it('skips a step that would not leave finite weights, counts it, and goes on', () => {
    const { learner, engine } = newModel();
    for (const { values, label } of stream(10)) takeRow(learner, engine, values, 0, label);
    learner.network.bias2[0] = Infinity;
    const before = learner.network.weights2.slice();
    takeRow(learner, engine, Float32Array.of(1, 0, 0), 0, 1);
    expect(learner.scores[SCORE.skipped]).toBe(1);
    expect(learner.network.weights2).toEqual(before);
    learner.network.bias2[0] = 0;
    takeRow(learner, engine, Float32Array.of(1, 0, 0), 0, 1);
    expect(learner.scores[SCORE.skipped]).toBe(1);
    expect(learner.network.weights2).not.toEqual(before);
  });
});
