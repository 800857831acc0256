import { describe, expect, it } from 'vitest';
import { ArenaPlan } from '../../src/engine/arena.ts';
import { openKernels } from '../../src/engine/kernels.ts';
import { learnPaced } from '../../src/engine/paced.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import { forward } from '../../src/engine/reference.ts';
import { reportAnomaly } from '../../src/learn/anomaly-report.ts';
import {
  ANSWER,
  type Anomaly,
  type AnomalyConfig,
  type AnomalyEngine,
  COUNT,
  PHASE,
  STUCK,
  breakAnomaly,
  budgetRows,
  defaultAnomaly,
  engineOf,
  holdAnomaly,
  openAnomaly,
  planAnomaly,
  relearn,
  takeAnomalyRow,
} from '../../src/learn/anomaly.ts';
import { THRESHOLD } from '../../src/learn/anomaly/threshold.ts';
import { HeapMeter } from '../../src/learn/heap-meter.ts';

const COLUMNS = 3;
const LEARN_ROWS = 800;

interface Model {
  detector: Anomaly;
  engine: AnomalyEngine;
  bytes: Uint8Array;
}

function configOf(changes: Partial<AnomalyConfig> = {}): AnomalyConfig {
  return { ...defaultAnomaly(COLUMNS, 1, 1), learnRows: LEARN_ROWS, budgetRows: 500, ...changes };
}

/** A detector over a new arena, which is all zeros. */
function openModel(config = configOf(), plain = false): Model {
  const plan = new ArenaPlan();
  const parts = planAnomaly(plan, config);
  const memory = plan.allocate();
  const detector = openAnomaly(memory.buffer, config, parts);
  const { network } = detector;
  const steps = plain
    ? {
        forward: () => forward(network),
        learnPaced: () => learnPaced(network),
      }
    : openKernels(memory, network);
  return { detector, engine: engineOf(detector, steps), bytes: new Uint8Array(memory.buffer) };
}

function newModel(config = configOf(), plain = false): Model {
  const model = openModel(config, plain);
  relearn(model.detector);
  return model;
}

/** A slow wave, the same with noise and another size, and noise that remembers. */
function streamOf(seed: number): (values: Float32Array) => void {
  const random = mulberry32(seed);
  let [row, memory] = [0, 0];
  return (values) => {
    const wave = Math.sin(row / 9);
    memory = 0.8 * memory + random() - 0.5;
    values[0] = 20 + wave + 0.1 * random();
    values[1] = 1000 - 50 * wave + 10 * random();
    values[2] = memory;
    row += 1;
  };
}

/** Feeds `rows` rows of the stream after `change`. @returns alarms that were on, row by row */
function feed(
  { detector, engine }: Model,
  stream: (values: Float32Array) => void,
  rows: number,
  change: (values: Float32Array, row: number) => void = () => {},
): Uint8Array {
  const values = new Float32Array(COLUMNS);
  return Uint8Array.from({ length: rows }, (_, row) => {
    stream(values);
    change(values, row);
    takeAnomalyRow(detector, engine, values, 0);
    return detector.answer[ANSWER.alarm];
  });
}

/** A model that guards, and its stream. */
function guardingModel(config = configOf()): { model: Model; stream: (values: Float32Array) => void } {
  const model = newModel(config);
  const stream = streamOf(7);
  feed(model, stream, LEARN_ROWS + config.windowRows + 100);
  expect(model.detector.answer[ANSWER.phase]).toBe(PHASE.guard);
  return { model, stream };
}

/** Changes of a stream that several rows below have in common. */
const shifted = (values: Float32Array) => (values[1] += 300);
const still = (values: Float32Array) => values.fill(1);
const absentAndStill = (values: Float32Array) => {
  values[1] = NaN;
  values[2] = 5;
};

const share = (alarms: Uint8Array): number => alarms.reduce((sum, alarm) => sum + alarm, 0) / alarms.length;

describe('anomalies: learn, then guard', () => {
  it('says nothing but its phase while it learns, and guards after as many windows as were asked for', () => {
    const model = newModel();
    const stream = streamOf(1);
    const { answer, counts } = model.detector;
    feed(model, stream, LEARN_ROWS + model.detector.config.windowRows - 2);
    expect(answer[ANSWER.phase]).toBe(PHASE.learn);
    expect(answer[ANSWER.score]).toBeNaN();
    expect(answer[ANSWER.threshold]).toBeNaN();
    expect(answer[ANSWER.column]).toBe(-1);
    feed(model, stream, 1);
    expect(answer[ANSWER.phase]).toBe(PHASE.guard);
    expect(counts[COUNT.learned]).toBe(LEARN_ROWS);
    feed(model, stream, 1);
    expect(Number.isFinite(answer[ANSWER.score])).toBe(true);
    expect(Number.isFinite(answer[ANSWER.threshold])).toBe(true);
  });

  const faults: [string, number, (values: Float32Array, row: number) => void][] = [
    ['offset', 1, (values) => (values[1] += 150)],
    ['spike', 0, (values, row) => (values[0] += row === 5 ? 8 : 0)],
    ['drift', 0, (values, row) => (values[0] += 0.1 * row)],
    ['noise', 1, (values, row) => (values[1] += row % 2 === 0 ? 60 : -60)],
    ['gain', 0, (values) => (values[0] = 20 + 3.5 * (values[0] - 20))],
    ['stuck', 2, (values) => (values[2] = 0.123)],
    ['silent', 2, (values) => (values[2] = NaN)],
  ];
  for (const [kind, column, change] of faults) {
    it(`gives alarm for a fault of the kind "${kind}", and names the channel`, () => {
      const { model, stream } = guardingModel();
      const named: number[] = [];
      const values = new Float32Array(COLUMNS);
      for (let row = 0; row < 60; row++) {
        stream(values);
        change(values, row);
        takeAnomalyRow(model.detector, model.engine, values, 0);
        const { answer } = model.detector;
        if (answer[ANSWER.alarm] === 1) named.push(answer[ANSWER.column]);
      }
      expect(named.length).toBeGreaterThan(0);
      expect(named.filter((one) => one === column).length).toBeGreaterThan(named.length / 2);
    });
  }

  it('tells a channel that repeats itself from one that is silent, and is calm once it moves again', () => {
    const { model, stream } = guardingModel();
    const { answer, counts } = model.detector;
    feed(model, stream, 40, (values) => (values[2] = 0.123));
    expect(answer[ANSWER.stuck]).toBe(STUCK.repeats);
    feed(model, stream, 1);
    expect(answer[ANSWER.stuck]).toBe(STUCK.no);
    feed(model, stream, 40, (values) => (values[2] = NaN));
    expect(answer[ANSWER.stuck]).toBe(STUCK.silent);
    expect(counts[COUNT.stuck]).toBe(2);
  });

  it('keeps to the budget where nothing happens', () => {
    const counts = [200, 2000].map((budget) => {
      const model = newModel(configOf({ budgetRows: budget }));
      const random = mulberry32(1);
      // Long tails: single values far out are a part of what is usual.
      const stream = (values: Float32Array) => {
        for (let c = 0; c < COLUMNS; c++) values[c] = (random() < 0.5 ? -1 : 1) * Math.log(1 - random());
      };
      feed(model, stream, 41_000);
      return model.detector.counts[COUNT.alarms];
    });
    expect(counts[0]).toBeLessThanOrEqual(200);
    expect(counts[1]).toBeLessThanOrEqual(20 + 2);
    expect(Math.min(...counts)).toBeGreaterThan(0);
  });

  it('holds an alarm until three calm rows, raises the threshold, and is armed again', () => {
    const { model, stream } = guardingModel();
    const { threshold, counts } = model.detector;
    const before = threshold[THRESHOLD.value];
    const alarms = feed(model, stream, 60, (values, row) => (values[1] += row < 10 ? 200 : 0));
    const first = alarms.indexOf(1);
    const last = alarms.lastIndexOf(1);
    expect(first).toBeLessThan(10);
    expect(share(alarms.subarray(first, last + 1))).toBe(1);
    expect(last).toBeGreaterThanOrEqual(11);
    expect(threshold[THRESHOLD.alarm]).toBe(0);
    expect(threshold[THRESHOLD.value] - before).toBeGreaterThan(0.4 * threshold[THRESHOLD.deviation]);
    expect(counts[COUNT.alarms]).toBe(1);
    expect(share(feed(model, stream, 10, (values) => (values[1] += 400)))).toBeGreaterThan(0);
    expect(counts[COUNT.alarms]).toBe(2);
  });

  it('does not learn a fault that lasts, unless it is told to keep learning', () => {
    const errors = (['gated', 'learning'] as const).map((guardedNetwork) => {
      const { model, stream } = guardingModel(configOf({ guardedNetwork }));
      feed(model, stream, 3000, (values) => (values[1] = 2000 - values[1]));
      return model.detector.answer[ANSWER.error];
    });
    expect(errors[0]).toBeGreaterThan(3 * errors[1]);
  });

  it('takes missing values for the last ones, counts no step wrong, and stays finite', () => {
    const model = newModel();
    const random = mulberry32(5);
    const stream = streamOf(5);
    const lose = (values: Float32Array) => {
      for (let c = 0; c < COLUMNS; c++) if (random() < 0.1) values[c] = c === 0 ? Infinity : NaN;
    };
    feed(model, stream, LEARN_ROWS + 200, lose);
    const { detector } = model;
    expect(Number.isFinite(detector.answer[ANSWER.score])).toBe(true);
    expect(detector.scaler.count[1]).toBeLessThan(0.95 * detector.counts[COUNT.rows]);
    expect(share(feed(model, stream, 500, lose))).toBeLessThan(0.05);
    expect(detector.counts[COUNT.skipped]).toBe(0);
  });

  it('copes with channels that never come or never move, and sees the latter move', () => {
    const model = newModel();
    const stream = streamOf(2);
    const alarms = feed(model, stream, LEARN_ROWS + 500, absentAndStill);
    expect(share(alarms.subarray(LEARN_ROWS))).toBeLessThan(0.05);
    const moved = feed(model, stream, 5, (values) => {
      absentAndStill(values);
      values[2] = 5.01;
    });
    expect(moved[0]).toBe(1);
    expect(model.detector.answer[ANSWER.column]).toBe(2);
  });

  it('gives alarm when a stream that was constant altogether moves', () => {
    const model = newModel();
    expect(share(feed(model, still, LEARN_ROWS + 200))).toBe(0);
    expect(share(feed(model, (values) => values.fill(2), 3))).toBeGreaterThan(0);
  });

  it('begins a new window at a gap: no reconstruction until it is full, but the distance of each row', () => {
    const { model, stream } = guardingModel();
    const { answer, counts, config } = model.detector;
    breakAnomaly(model.detector);
    expect(counts[COUNT.gaps]).toBe(1);
    feed(model, stream, config.windowRows - 1);
    expect(answer[ANSWER.reconstruction]).toBeNaN();
    expect(Number.isFinite(answer[ANSWER.score])).toBe(true);
    feed(model, stream, 1);
    expect(Number.isFinite(answer[ANSWER.reconstruction])).toBe(true);
    breakAnomaly(model.detector);
    expect(share(feed(model, stream, 3, (values) => (values[1] += 300)))).toBeGreaterThan(0);
  });

  it('ends an alarm at a gap', () => {
    const { model, stream } = guardingModel();
    feed(model, stream, 5, (values) => (values[1] += 300));
    expect(model.detector.threshold[THRESHOLD.alarm]).toBe(1);
    breakAnomaly(model.detector);
    expect(model.detector.threshold[THRESHOLD.alarm]).toBe(0);
  });

  it('learns anew on demand, and then takes the new state for usual, as a new detector would', () => {
    const { model, stream } = guardingModel();
    expect(share(feed(model, stream, 20, shifted))).toBeGreaterThan(0.5);
    relearn(model.detector);
    const fresh = newModel();
    const rows = LEARN_ROWS + 100;
    const record: Float32Array[] = [];
    feed(model, stream, rows, (values) => {
      shifted(values);
      record.push(values.slice());
    });
    for (const row of record) takeAnomalyRow(fresh.detector, fresh.engine, row, 0);
    expect(model.detector.network.parameters).toEqual(fresh.detector.network.parameters);
    expect(model.detector.answer).toEqual(fresh.detector.answer);
    expect(share(feed(model, stream, 200, shifted))).toBeLessThan(0.1);
    expect(model.detector.counts[COUNT.learnPhases]).toBe(2);
  });

  it('stands still where it is held: network, scaler, learn phase', () => {
    const { model, stream } = guardingModel();
    const { network, scaler } = model.detector;
    const before = { weights: network.parameters.slice(), mean: scaler.mean.slice() };
    holdAnomaly(model.detector, 1, 1);
    feed(model, stream, 50);
    expect(network.parameters).toEqual(before.weights);
    expect(scaler.mean).toEqual(before.mean);
    holdAnomaly(model.detector, 0, 0);
    feed(model, stream, 50);
    expect(network.parameters).not.toEqual(before.weights);
    expect(scaler.mean).not.toEqual(before.mean);
    relearn(model.detector);
    holdAnomaly(model.detector, 1, 0);
    feed(model, stream, 50);
    expect(model.detector.counts[COUNT.learned]).toBe(0);
  });

  it('goes on from a copy of the arena with the same bytes as the original, in both phases', () => {
    const stream = streamOf(9);
    const original = newModel();
    const values = new Float32Array(COLUMNS);
    for (const rows of [333, LEARN_ROWS]) {
      feed(original, stream, rows);
      breakAnomaly(original.detector);
      feed(original, stream, 30, (row) => (row[1] += 200));
      const copy = openModel();
      copy.bytes.set(original.bytes);
      for (let row = 0; row < 300; row++) {
        stream(values);
        if (row % 50 === 7) values[0] = NaN;
        if (row % 100 > 90) values[2] = 3;
        for (const { detector, engine } of [original, copy]) takeAnomalyRow(detector, engine, values, 0);
        if (Buffer.compare(original.bytes, copy.bytes) !== 0) expect.fail('the copy went another way');
      }
    }
    expect(original.detector.answer[ANSWER.phase]).toBe(PHASE.guard);
    expect(original.detector.counts[COUNT.alarms]).toBeGreaterThan(0);
  });

  it('gives the same weights, scores and alarms in the reference engine and in the kernels', () => {
    const fast = newModel();
    const plain = newModel(configOf(), true);
    const fault = (values: Float32Array, row: number) => {
      if (row > LEARN_ROWS + 100 && row % 100 > 90) values[1] += 200;
      if (row % 40 === 0) values[0] = NaN;
    };
    const alarms = feed(fast, streamOf(4), LEARN_ROWS + 400, fault);
    expect(feed(plain, streamOf(4), LEARN_ROWS + 400, fault)).toEqual(alarms);
    expect(plain.detector.network.parameters).toEqual(fast.detector.network.parameters);
    expect(plain.detector.answer).toEqual(fast.detector.answer);
    expect(plain.detector.threshold).toEqual(fast.detector.threshold);
    expect(alarms).toContain(1);
  });

  it('allocates nothing per row once it guards', () => {
    const { model, stream } = guardingModel();
    const values = new Float32Array(512 * COLUMNS);
    for (let row = 0; row < 512; row++) stream(values.subarray(row * COLUMNS, (row + 1) * COLUMNS));
    const take = (rows: number) => {
      for (let row = 0; row < rows; row++) {
        takeAnomalyRow(model.detector, model.engine, values, (row % 512) * COLUMNS);
      }
    };
    take(300_000);
    const meter = new HeapMeter();
    const slices = Array.from({ length: 3 }, () => {
      meter.start();
      take(50_000);
      return meter.stop().allocatedBytes / 50_000;
    });
    expect(Math.min(...slices)).toBeLessThan(1);
  });
});

describe('the defaults', () => {
  it('have about 64 values in a window, whatever the number of channels', () => {
    const shapes = [1, 3, 8, 64, 100].map((columns) => {
      const { windowRows, hidden } = defaultAnomaly(columns, 1, 10);
      return [columns, windowRows, hidden];
    });
    expect(shapes).toEqual([
      [1, 64, 16],
      [3, 21, 15],
      [8, 8, 16],
      [64, 1, 16],
      [100, 1, 25],
    ]);
  });

  it('turn alarms per day into rows per alarm', () => {
    expect(budgetRows(1, 10)).toBe(864_000);
    expect(budgetRows(24, 1 / 300)).toBe(12);
    expect(budgetRows(1000, 1 / 300)).toBe(1);
  });
});

describe('the report at the end of the learn phase', () => {
  it('says what was learned, what to expect, and which columns are of no use', () => {
    const config = { ...defaultAnomaly(5, 1, 10), learnRows: 1000 };
    const model = newModel(config);
    const random = mulberry32(8);
    const values = new Float32Array(5);
    expect(reportAnomaly(model.detector, [], 10)).toBeUndefined();
    for (let row = 0; row < 1000 + config.windowRows; row++) {
      values.set([
        Math.sin(row / 9),
        row % 700 === 0 ? 2 : 1,
        random(),
        row % 10 === 0 ? NaN : Math.cos(row / 9),
        NaN,
      ]);
      takeAnomalyRow(model.detector, model.engine, values, 0);
    }
    const report = reportAnomaly(model.detector, ['current', 'pressure', 'hiss', 'flow', 'spare'], 10)!;
    expect(report.words).toBe(
      'learned 1,000 rows; expect about one false alarm a day; "pressure" hardly varies; ' +
        '"hiss" is mostly noise; "flow" is often missing; "spare" never came',
    );
    expect(report.alarmsPerDay).toBeCloseTo(1);
    expect(report.columns[0]).toMatchObject({ verdict: 'good', missing: 0 });
    expect(report.columns[0].roughness).toBeLessThan(0.1);
    expect(report.columns[2].roughness).toBeCloseTo(1, 1);
    expect(report.columns[3].missing).toBeCloseTo(0.1, 2);
    expect(report.columns[4].mean).toBeNaN();
  });

  it('has words for many alarms a day and for one in many days', () => {
    const words = [20, 0.1].map((alarmsPerDay) => {
      const model = newModel({ ...configOf(), budgetRows: budgetRows(alarmsPerDay, 10) });
      feed(model, streamOf(3), LEARN_ROWS + 50);
      return reportAnomaly(model.detector, ['a', 'b', 'c'], 10)!.words.split('; ')[1];
    });
    expect(words).toEqual(['expect about 20 false alarms a day', 'expect about one false alarm in 10 days']);
  });
});
