import { describe, expect, it } from 'vitest';
import { scoreWords } from '../../src/cli/score-words.ts';
import { ArenaPlan } from '../../src/engine/arena.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import {
  NO_ANSWER,
  openClassification,
  planClassification,
  scoreClass,
} from '../../src/learn/scores/classification.ts';
import { openDetection, planDetection, scoreAnomaly } from '../../src/learn/scores/detection.ts';
import { openRegression, planRegression, scoreValue } from '../../src/learn/scores/regression.ts';
import { classificationReport, detectionReport, regressionReport } from '../../src/learn/scores/report.ts';

/** Three classes for `length` rows each, answered right with this skill. */
function classWords(rows: number, skill: number, length: number): string {
  const plan = new ArenaPlan();
  const parts = planClassification(plan, 3);
  const scores = openClassification(plan.allocate().buffer, 3, parts);
  const random = mulberry32(1);
  let label = 0;
  for (let row = 0; row < rows; row++) {
    if (random() < 1 / length) label = Math.floor(3 * random());
    const predicted = random() < skill ? label : (label + 1) % 3;
    scoreClass(scores, predicted, label, 0.5, NO_ANSWER);
  }
  return scoreWords(classificationReport(scores));
}

describe('scores in words', () => {
  it('say that the last label wins where it does', () => {
    const words = classWords(20_000, 0.97, 200);
    expect(words).toMatch(/The last label wins: 99\.\d % beside 9[67]\.\d %\./);
    expect(words).toMatch(/last label {6}99\.\d %: no better than the baseline \(-2\.\d\d points, /);
  });

  it('say "better" only where it is shown for every baseline', () => {
    expect(classWords(20_000, 0.97, 2)).toContain('Better than every baseline.');
    const early = classWords(200, 0.97, 2);
    expect(early).toContain('not yet better: too few rows to tell');
    expect(early).toContain('no interval yet');
    expect(early).toContain('Not shown to be better than: most frequent, last label.');
  });

  it('have no number where there is none', () => {
    expect(classWords(0, 1, 2)).toBe('  No labelled row was scored yet.\n');
    const plan = new ArenaPlan();
    const parts = planDetection(plan);
    const scores = openDetection(plan.allocate().buffer, parts);
    expect(scoreWords(detectionReport(scores))).toBe('  No row was scored yet.\n');
    scoreAnomaly(scores, 1, 0, -1, 0);
    expect(scoreWords(detectionReport(scores))).toContain('Nothing is known about which rows are anomalous');
    scoreAnomaly(scores, 1, 1, 1, 3.6e9);
    const words = scoreWords(detectionReport(scores));
    expect(words).toContain('1 in 1 hours: 1 per hour');
    expect(words).toContain('windows hit       1 of 1, after 0 s on average');
    expect(words).not.toMatch(/NaN|undefined|null/);
  });

  it('name the target, its error beside persistence, and answers that were not finite', () => {
    const plan = new ArenaPlan();
    const parts = planRegression(plan, 1);
    const scores = openRegression(plan.allocate().buffer, 1, parts);
    const random = mulberry32(2);
    let value = 20;
    for (let row = 0; row < 5000; row++) {
      const before = value;
      value += random() - 0.5;
      scoreValue(scores, 0, value + 2 * random() - 1, value, NaN, before);
    }
    scoreValue(scores, 0, NaN, value, NaN, value);
    const words = scoreWords(regressionReport(scores, ['temperature']));
    expect(words).toMatch(/temperature: RMSE 0\.5\d+, MAE 0\.5\d*, R² /);
    expect(words).toMatch(/The value before wins: 0\.2\d+ beside 0\.5\d+\./);
    expect(words).toContain('Rows without a finite answer: 1');
    expect(words).not.toMatch(/NaN|undefined|null|linear/);
  });
});
