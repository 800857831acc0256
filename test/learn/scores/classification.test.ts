import { describe, expect, it } from 'vitest';
import { ArenaPlan } from '../../../src/engine/arena.ts';
import { mulberry32 } from '../../../src/engine/random.ts';
import {
  type Classification,
  LOG_LOSS_MAX,
  NO_ANSWER,
  markClassGap,
  openClassification,
  planClassification,
  scoreClass,
} from '../../../src/learn/scores/classification.ts';
import { FADING_ROWS } from '../../../src/learn/scores/fading.ts';
import { type ClassShares, classificationReport } from '../../../src/learn/scores/report.ts';
import { heapBytesPerCall } from '../../support/heap.ts';

const K = 5;

function open(): { scores: Classification; bytes: Uint8Array } {
  const plan = new ArenaPlan();
  const parts = planClassification(plan, K);
  const { buffer } = plan.allocate();
  return { scores: openClassification(buffer, K, parts), bytes: new Uint8Array(buffer) };
}

interface Row {
  predicted: number;
  label: number;
  logLoss: number;
  linear: number;
  gapBefore: boolean;
}

/** Labels that persist, answers of different skill; class 4 never comes but is answered. */
function stream(seed: number, rows: number): Row[] {
  const random = mulberry32(seed);
  let label = 0;
  return Array.from({ length: rows }, () => {
    if (random() < 0.1) label = Math.floor(random() * (K - 1));
    const answer = (skill: number): number => (random() < skill ? label : Math.floor(random() * K));
    return {
      predicted: answer(0.7),
      label,
      logLoss: 2 * random(),
      linear: answer(0.5),
      gapBefore: random() < 0.02,
    };
  });
}

function feed(scores: Classification, rows: readonly Row[]): void {
  for (const { predicted, label, logLoss, linear, gapBefore } of rows) {
    if (gapBefore) markClassGap(scores);
    scoreClass(scores, predicted, label, logLoss, linear);
  }
}

/** What each reference answers, kept in the plainest way. */
function naiveAnswers(
  rows: readonly Row[],
): Record<'network' | 'majority' | 'lastLabel' | 'linear', number[]> {
  const majority = rows.map((_, index) => {
    const counts = Array.from(
      { length: K },
      (__, k) => rows.slice(0, index).filter((r) => r.label === k).length,
    );
    return index === 0 ? NO_ANSWER : counts.indexOf(Math.max(...counts));
  });
  return {
    network: rows.map(({ predicted }) => predicted),
    majority,
    lastLabel: rows.map((_, index) => (index === 0 ? NO_ANSWER : rows[index - 1].label)),
    linear: rows.map(({ linear }) => linear),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Shares from the definitions, each row with its weight. */
function naiveShares(
  rows: readonly Row[],
  answers: readonly number[],
  weights: readonly number[],
): ClassShares {
  const weigh = (chosen: (index: number) => boolean): number =>
    weights.reduce((sum, weight, index) => sum + (chosen(index) ? weight : 0), 0);
  const all = weigh(() => true);
  const right = (index: number): boolean => answers[index] === rows[index].label;
  const classes = Array.from({ length: K }, (_, k) => k);
  const came = classes.map((k) => weigh((i) => rows[i].label === k));
  const said = classes.map((k) => weigh((i) => answers[i] === k));
  const hit = classes.map((k) => weigh((i) => right(i) && rows[i].label === k));
  const changed = (i: number): boolean => i > 0 && rows[i].label !== rows[i - 1].label && !rows[i].gapBefore;
  const accuracy = weigh(right) / all;
  const chance = classes.reduce((sum, k) => sum + (came[k] * said[k]) / (all * all), 0);
  // Precision and recall by name, F1 as their harmonic mean.
  const f1 = classes.map((k) => {
    if (came[k] + said[k] === 0) return null;
    const precision = said[k] > 0 ? hit[k] / said[k] : 0;
    const recall = came[k] > 0 ? hit[k] / came[k] : 0;
    return precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall);
  });
  return {
    accuracy,
    balancedAccuracy: mean(classes.filter((k) => came[k] > 0).map((k) => hit[k] / came[k])),
    kappa: (accuracy - chance) / (1 - chance),
    f1Macro: mean(classes.filter((k) => came[k] > 0).map((k) => f1[k] ?? 0)),
    f1PerClass: f1,
    accuracyAtChanges: weigh((i) => changed(i) && right(i)) / weigh(changed),
  };
}

function expectShares(actual: ClassShares, expected: ClassShares): void {
  for (const key of ['accuracy', 'balancedAccuracy', 'kappa', 'f1Macro', 'accuracyAtChanges'] as const) {
    expect(actual[key], key).toBeCloseTo(expected[key]!, 9);
  }
  actual.f1PerClass.forEach((value, k) => {
    if (expected.f1PerClass[k] === null) expect(value).toBeNull();
    else expect(value).toBeCloseTo(expected.f1PerClass[k], 9);
  });
}

describe('the scores of a classifier', () => {
  it.each([1, 2, 3])('are those of the definitions, for each competitor and window (seed %i)', (seed) => {
    const rows = stream(seed, 1500);
    const { scores } = open();
    feed(scores, rows);
    const report = classificationReport(scores);
    const answers = naiveAnswers(rows);
    const even = rows.map(() => 1);
    const fading = rows.map((_, index) => (1 - 1 / FADING_ROWS) ** (rows.length - 1 - index));
    for (const [window, weights] of [
      [report.all, even],
      [report.recent, fading],
    ] as const) {
      expectShares(window, naiveShares(rows, answers.network, weights));
      for (const name of ['majority', 'lastLabel', 'linear'] as const) {
        expectShares(window.beside[name]!, naiveShares(rows, answers[name], weights));
      }
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      expect(window.rows).toBeCloseTo(total, 6);
      const loss = rows.reduce((sum, { logLoss }, index) => sum + logLoss * weights[index], 0) / total;
      expect(window.logLossNats).toBeCloseTo(loss, 9);
      const shares = [0, 1, 2, 3].map(
        (k) => weights.filter((_, i) => rows[i].label === k).reduce((sum, weight) => sum + weight, 0) / total,
      );
      const entropy = -shares.reduce((sum, share) => sum + share * Math.log(share), 0);
      expect(window.logLossOfFrequenciesNats).toBeCloseTo(entropy, 9);
      const cell = rows.reduce((sum, r, i) => sum + (r.label === 1 && r.predicted === 2 ? weights[i] : 0), 0);
      expect(window.confusion[1][2]).toBeCloseTo(cell, 8);
    }
    expect(report.against.lastLabel.rows).toBe(1500);
    expect(report.against.lastLabel.gainPoints).toBeCloseTo(
      100 * (report.all.accuracy! - report.all.beside.lastLabel.accuracy!),
      9,
    );
  });

  it('keep their fading window when its weights are divided, and forget what is long ago', () => {
    const rows = stream(4, 70_000); // divided three times
    const { scores } = open();
    feed(scores, rows);
    const { recent } = classificationReport(scores);
    expect(recent.rows).toBeCloseTo(FADING_ROWS, 3);
    const newest = rows.slice(-20_000);
    const weights = newest.map((_, index) => (1 - 1 / FADING_ROWS) ** (newest.length - 1 - index));
    expect(recent.accuracy).toBeCloseTo(
      naiveShares(
        newest,
        newest.map(({ predicted }) => predicted),
        weights,
      ).accuracy!,
      6,
    );
  });

  it('leave out a linear model that never answers, and say nothing of no rows', () => {
    const { scores } = open();
    const empty = classificationReport(scores);
    expect(empty.all.accuracy).toBeNull();
    expect(empty.against.majority).toMatchObject({ rows: 0, gainPoints: null, verdict: 'notYet' });
    expect(JSON.stringify(empty)).not.toContain('NaN');
    scoreClass(scores, 0, 0, 0.1, NO_ANSWER);
    expect(classificationReport(scores).all.beside.linear).toBeNull();
    expect(classificationReport(scores).against.linear).toBeNull();
  });

  it('count the first row as wrong for those who need one before, and an answer of nothing as wrong', () => {
    const { scores } = open();
    scoreClass(scores, NO_ANSWER, 0, 1, 0);
    const { all } = classificationReport(scores);
    expect(all.accuracy).toBe(0);
    expect(all.beside.majority.accuracy).toBe(0);
    expect(all.beside.lastLabel.accuracy).toBe(0);
    expect(all.beside.linear!.accuracy).toBe(1);
    expect(all.confusion[0]).toEqual([0, 0, 0, 0, 0]);
  });

  it('bound the loss of a label that got no probability', () => {
    const { scores } = open();
    scoreClass(scores, 0, 0, Infinity, NO_ANSWER);
    scoreClass(scores, 0, 0, NaN, NO_ANSWER);
    scoreClass(scores, 0, 0, 0, NO_ANSWER);
    expect(classificationReport(scores).all.logLossNats).toBeCloseTo((2 * LOG_LOSS_MAX) / 3, 9);
  });

  it('go on from a copy of the arena with equal bytes', () => {
    const rows = stream(5, 3000);
    const original = open();
    feed(original.scores, rows.slice(0, 1234));
    markClassGap(original.scores);
    const copy = open();
    copy.bytes.set(original.bytes);
    for (const row of rows.slice(1234)) {
      feed(original.scores, [row]);
      feed(copy.scores, [row]);
      if (Buffer.compare(original.bytes, copy.bytes) !== 0) expect.fail('the copy went another way');
    }
    expect(original.scores.totals[0]).toBe(3000);
  });

  it('leave nothing on the heap', () => {
    const { scores } = open();
    const rows = stream(6, 4096);
    const losses = Float32Array.from(rows, ({ logLoss }) => logLoss);
    let at = 0;
    const bytes = heapBytesPerCall(() => {
      at = (at + 1) & 4095;
      scoreClass(scores, rows[at].predicted, rows[at].label, losses[at], rows[at].linear);
    });
    expect(bytes).toBeLessThan(1);
  });
});
