/** What a run of scores and alarms is worth, given where the faults are. */
import { planThreshold, startThreshold, takeScore } from '../../../src/learn/anomaly/threshold.ts';
import { ArenaPlan, viewsOf } from '../../../src/engine/arena.ts';
import { FAULT_KINDS, type FaultKind, type FaultySeries } from './anomaly-faults.ts';

/** What one way of scoring said of every row. */
export interface Scored {
  /** NaN: not scored. */
  readonly scores: Float64Array;
  /** 1 where it gave alarm. */
  readonly alarms: Uint8Array;
}

export interface Worth {
  /** Per kind of fault, in %, over its rows against all good ones; NaN if there was no such fault. */
  readonly auc: { readonly [K in FaultKind]: number };
  /** Share of the faults in which there was an alarm, in %. */
  readonly hit: { readonly [K in FaultKind]: number };
  /** Rows from the beginning of a fault that was hit to its first alarm. */
  readonly delays: readonly number[];
  /** Alarms begun on good rows, and the number of those. */
  readonly falseAlarms: number;
  readonly goodRows: number;
}

/**
 * @param series what was scored; rows with a missing value count as neither good nor bad
 * @param first  the first row that counts
 * @param grace  rows after a fault that count as neither: the window still holds it
 */
export function judge({ scores, alarms }: Scored, series: FaultySeries, first: number, grace: number): Worth {
  const { faults } = series;
  const truth = new Uint8Array(scores.length); // 0 good, 1 in a fault, 2 neither
  series.values.forEach((value, at) => {
    if (Number.isNaN(value)) truth[Math.floor(at / series.columns)] = 2;
  });
  for (const { begin, end } of faults) {
    truth.fill(1, begin, end);
    truth.fill(2, end, end + grace);
  }
  const good: number[] = [];
  let falseAlarms = 0;
  for (let row = first; row < scores.length; row++) {
    if (truth[row] !== 0) continue;
    if (!Number.isNaN(scores[row])) good.push(scores[row]);
    if (alarms[row] === 1 && alarms[row - 1] === 0) falseAlarms += 1;
  }
  const delays: number[] = [];
  const auc = {} as { [K in FaultKind]: number };
  const hit = {} as { [K in FaultKind]: number };
  for (const kind of FAULT_KINDS) {
    const own = faults.filter((fault) => fault.kind === kind);
    const bad = own
      .flatMap(({ begin, end }) => [...scores.subarray(begin, end)])
      .filter((x) => !Number.isNaN(x));
    auc[kind] = 100 * rocAuc(good, bad);
    const firsts = own.map(({ begin, end }) => alarms.subarray(begin, end).indexOf(1));
    const found = firsts.filter((delay) => delay >= 0);
    hit[kind] = (100 * found.length) / own.length;
    delays.push(...found);
  }
  return { auc, hit, delays, falseAlarms, goodRows: good.length };
}

/** Chance that a bad row scores above a good one; ties count half. NaN without one of either. */
export function rocAuc(good: readonly number[], bad: readonly number[]): number {
  const all = [...good.map((score) => [score, 0]), ...bad.map((score) => [score, 1])].sort(
    (a, b) => a[0] - b[0],
  );
  let rankSum = 0;
  for (let first = 0; first < all.length;) {
    let end = first;
    while (end < all.length && all[end][0] === all[first][0]) end += 1;
    for (let i = first; i < end; i++) rankSum += all[i][1] * ((first + end + 1) / 2);
    first = end;
  }
  return (rankSum - (bad.length * (bad.length + 1)) / 2) / (good.length * bad.length);
}

/** Alarms of any score under the detector's own threshold: usual is what it was in rows calibrateFrom .. guardFrom. */
export function alarmsOf(
  scores: Float64Array,
  calibrateFrom: number,
  guardFrom: number,
  budgetRows: number,
): Uint8Array {
  const usual = [...scores.subarray(calibrateFrom, guardFrom)].filter((score) => !Number.isNaN(score));
  const mean = usual.reduce((sum, score) => sum + score, 0) / usual.length;
  const deviation = Math.sqrt(usual.reduce((sum, score) => sum + (score - mean) ** 2, 0) / usual.length);
  const plan = new ArenaPlan();
  const part = planThreshold(plan);
  const { state } = viewsOf(plan.allocate().buffer, { state: part });
  startThreshold(state, mean, deviation);
  const alarms = new Uint8Array(scores.length);
  for (let row = guardFrom; row < scores.length; row++) {
    if (!Number.isNaN(scores[row])) alarms[row] = takeScore(state, scores[row], budgetRows);
  }
  return alarms;
}
