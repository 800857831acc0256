import { describe, expect, it } from 'vitest';
import { ArenaPlan } from '../../../src/engine/arena.ts';
import { mulberry32 } from '../../../src/engine/random.ts';
import {
  ANOMALY,
  type Detection,
  markDetectionGap,
  openDetection,
  planDetection,
  scoreAnomaly,
} from '../../../src/learn/scores/detection.ts';
import { RANKING_FADING_ROWS } from '../../../src/learn/scores/ranking.ts';
import { detectionReport } from '../../../src/learn/scores/report.ts';
import { heapBytesPerCall } from '../../support/heap.ts';

function open(): { scores: Detection; bytes: Uint8Array } {
  const plan = new ArenaPlan();
  const parts = planDetection(plan);
  const { buffer } = plan.allocate();
  return { scores: openDetection(buffer, parts), bytes: new Uint8Array(buffer) };
}

interface Row {
  score: number;
  alarm: number;
  isAnomaly: number;
  timeUs: number;
  gapBefore: boolean;
}

/** Windows of anomalies, scores that tell them apart to a degree, some rows of which nothing is known. */
function stream(seed: number, rows: number, scoreOf: (isAnomaly: number, noise: number) => number): Row[] {
  const random = mulberry32(seed);
  let isAnomaly = 0;
  let timeUs = 1e9;
  return Array.from({ length: rows }, () => {
    if (random() < (isAnomaly ? 0.05 : 0.005)) isAnomaly = 1 - isAnomaly;
    timeUs += 1000 + Math.floor(1000 * random());
    const noise = random() + random() + random() - 1.5;
    const score = scoreOf(isAnomaly, noise);
    const known = random() < 0.9;
    return {
      score,
      alarm: noise + isAnomaly > 0.9 ? 1 : 0,
      isAnomaly: known ? isAnomaly : ANOMALY.unknown,
      timeUs,
      gapBefore: random() < 0.01,
    };
  });
}

function feed(scores: Detection, rows: readonly Row[]): void {
  for (const { score, alarm, isAnomaly, timeUs, gapBefore } of rows) {
    if (gapBefore) markDetectionGap(scores);
    scoreAnomaly(scores, score, alarm, isAnomaly, timeUs);
  }
}

/** Over all pairs. */
function naiveArea(rows: readonly Row[], weights: readonly number[]): number {
  let right = 0;
  let pairs = 0;
  rows.forEach((yes, i) => {
    if (yes.isAnomaly !== ANOMALY.yes) return;
    rows.forEach((no, j) => {
      if (no.isAnomaly !== ANOMALY.no) return;
      const weight = weights[i] * weights[j];
      pairs += weight;
      right += weight * (yes.score > no.score ? 1 : yes.score === no.score ? 0.5 : 0);
    });
  });
  return right / pairs;
}

/** Windows as lists of rows, from the definition. */
function naiveWindows(rows: readonly Row[]): Row[][] {
  const windows: Row[][] = [];
  let openWindow: Row[] | undefined;
  for (const row of rows) {
    if (row.isAnomaly === ANOMALY.no) openWindow = undefined;
    if (row.isAnomaly !== ANOMALY.yes) continue;
    if (openWindow === undefined) windows.push((openWindow = []));
    openWindow.push(row);
  }
  return windows;
}

const SCORES: [string, (isAnomaly: number, noise: number) => number][] = [
  ['standardised scores of both signs', (isAnomaly, noise) => noise + 0.5 * isAnomaly],
  ['squared errors over decades', (isAnomaly, noise) => Math.exp(4 * (noise + 0.5 * isAnomaly))],
  ['tiny and huge scores', (isAnomaly, noise) => Math.exp(40 * (noise + 0.5 * isAnomaly))],
  ['scores with many ties', (isAnomaly, noise) => Math.floor(4 * (noise + 0.5 * isAnomaly))],
];

describe('the scores of an anomaly detector', () => {
  it.each(SCORES)('have the area under the ROC curve within the error they state: %s', (_, scoreOf) => {
    for (const seed of [1, 2, 3]) {
      const rows = stream(seed, 3000, scoreOf);
      const { scores } = open();
      feed(scores, rows);
      const { all, recent } = detectionReport(scores);
      const even = rows.map(() => 1);
      expect(Math.abs(all.rocAuc! - naiveArea(rows, even))).toBeLessThanOrEqual(all.rocAucErrorMax! + 1e-12);
      // Its window ages with each row of which something is known.
      let known = 0;
      const weights = rows
        .toReversed()
        .map(({ isAnomaly }) => (isAnomaly < 0 ? 0 : (1 - 1 / RANKING_FADING_ROWS) ** known++))
        .toReversed();
      expect(Math.abs(recent.rocAuc! - naiveArea(rows, weights))).toBeLessThanOrEqual(
        recent.rocAucErrorMax! + 1e-9,
      );
    }
  });

  it('state an error below 0.01 for a score as a detector has it, and are nearer than that', () => {
    const rows = stream(7, 4000, (isAnomaly, noise) => 2 * noise + 1.5 * isAnomaly);
    const { scores } = open();
    feed(scores, rows);
    const { rocAuc, rocAucErrorMax } = detectionReport(scores).all;
    expect(rocAucErrorMax).toBeLessThan(0.01);
    expect(rocAuc).toBeCloseTo(
      naiveArea(
        rows,
        rows.map(() => 1),
      ),
      3,
    );
  });

  it.each([1, 2, 3])('count alarms, hours, windows and delays as they are defined (seed %i)', (seed) => {
    const rows = stream(seed, 5000, (isAnomaly, noise) => noise + isAnomaly);
    const { scores } = open();
    feed(scores, rows);
    const { all, recent } = detectionReport(scores);
    const passed = rows.map(({ timeUs, gapBefore }, i) =>
      i === 0 || gapBefore ? 0 : timeUs - rows[i - 1].timeUs,
    );
    const sum = (of: (row: Row, i: number) => number): number =>
      rows.reduce((total, row, i) => total + of(row, i), 0);
    const began = ({ alarm }: Row, i: number): boolean => alarm === 1 && (i === 0 || rows[i - 1].alarm === 0);
    const hours = sum((_, i) => passed[i]) / 3.6e9;
    const alarms = sum((row, i) => (began(row, i) ? 1 : 0));
    const falseAlarms = sum((row, i) => (began(row, i) && row.isAnomaly === 0 ? 1 : 0));
    const normalHours = sum((row, i) => (row.isAnomaly === 0 ? passed[i] : 0)) / 3.6e9;
    expect(all.observedHours).toBeCloseTo(hours, 9);
    expect(all.alarms).toBe(alarms);
    expect(all.alarmsPerHour).toBeCloseTo(alarms / hours, 6);
    expect(all.falseAlarms).toBe(falseAlarms);
    expect(all.falseAlarmsPerHour).toBeCloseTo(falseAlarms / normalHours, 6);
    expect(all.anomalousRows).toBe(sum(({ isAnomaly }) => (isAnomaly === 1 ? 1 : 0)));
    const windows = naiveWindows(rows);
    const delays = windows.flatMap((window) => {
      const hit = window.find(({ alarm }) => alarm === 1);
      return hit === undefined ? [] : [hit.timeUs - window[0].timeUs];
    });
    expect(all.windows).toBe(windows.length);
    expect(all.windowsHit).toBe(delays.length);
    const delay = delays.reduce((total, us) => total + us, 0) / delays.length / 1e6;
    expect(all.delaySecondsMean).toBeCloseTo(delay, 9);
    const weighed = sum((row, i) =>
      began(row, i) ? (1 - 1 / RANKING_FADING_ROWS) ** (rows.length - 1 - i) : 0,
    );
    expect(recent.alarms).toBeCloseTo(weighed, 6);
    expect(recent.windowsHit).toBeLessThanOrEqual(recent.windows);
  });

  it('without labels give alarms per hour and no more', () => {
    const { scores } = open();
    for (let row = 0; row < 7200; row++)
      scoreAnomaly(scores, 1, row % 3600 === 100 ? 1 : 0, ANOMALY.unknown, 1e6 * row);
    const { all } = detectionReport(scores);
    expect(all.alarmsPerHour).toBeCloseTo(1, 2);
    expect(all).toMatchObject({ rocAuc: null, falseAlarmsPerHour: null, delaySecondsMean: null, windows: 0 });
  });

  it('count a score that is no number, and rank the rest', () => {
    const { scores } = open();
    scoreAnomaly(scores, NaN, 0, ANOMALY.yes, 0);
    scoreAnomaly(scores, 2, 0, ANOMALY.yes, 1);
    scoreAnomaly(scores, -0, 0, ANOMALY.no, 2);
    scoreAnomaly(scores, -Infinity, 0, ANOMALY.no, 3);
    expect(scores.ranking.unranked[0]).toBe(1);
    expect(detectionReport(scores).all.rocAuc).toBe(1);
  });

  it('keep their fading window when its weights are divided', () => {
    const { scores } = open();
    // An alarm every 10 rows, a row per second; the weights are divided after 222,000 rows.
    for (let row = 0; row < 500_000; row++)
      scoreAnomaly(scores, row % 2, row % 10 === 0 ? 1 : 0, row % 2, 1e6 * row);
    const { recent } = detectionReport(scores);
    expect(recent.rows).toBeCloseTo(RANKING_FADING_ROWS, 3);
    expect(recent.alarmsPerHour).toBeCloseTo(360, 0);
    expect(recent.rocAuc).toBe(1);
    expect(recent.windowsHit / recent.windows).toBeLessThan(1e-9);
  });

  it('go on from a copy of the arena with equal bytes', () => {
    const rows = stream(9, 2000, (isAnomaly, noise) => noise + isAnomaly);
    const original = open();
    feed(original.scores, rows.slice(0, 777));
    const copy = open();
    copy.bytes.set(original.bytes);
    for (const row of rows.slice(777)) {
      feed(original.scores, [row]);
      feed(copy.scores, [row]);
      if (Buffer.compare(original.bytes, copy.bytes) !== 0) expect.fail('the copy went another way');
    }
    expect(original.scores.sums[0]).toBe(2000);
  });

  it('leave nothing on the heap', () => {
    const { scores } = open();
    const rows = stream(10, 4096, (isAnomaly, noise) => noise + isAnomaly);
    const values = Float64Array.from(rows, ({ score }) => score);
    const times = Float64Array.from(rows, ({ timeUs }) => timeUs);
    let at = 0;
    const bytes = heapBytesPerCall(() => {
      at = (at + 1) & 4095;
      scoreAnomaly(scores, values[at], rows[at].alarm, rows[at].isAnomaly, times[at]);
    });
    expect(bytes).toBeLessThan(1);
  });
});
