/** What a model has done so far, as a plain document. Allocates: for readers of a snapshot, not for rows. */
import { PACE } from '../engine/network.ts';
import { ANSWER, COUNT as ANOMALY_COUNT, PHASE } from './anomaly.ts';
import { type AnomalyReport, reportAnomaly } from './anomaly-report.ts';
import { type CandidateKind, FAILURES } from './candidates.ts';
import { DRIFT_EVENT } from './drift.ts';
import { MODEL_COUNT, type Model } from './model.ts';
import { RACE_COUNT, RACE_STATE } from './race.ts';
import {
  type ScoreReport,
  classificationReport,
  detectionReport,
  regressionReport,
} from './scores/report.ts';
import { COUNT, type Supervised } from './supervised.ts';
import { lostWaiting } from './waiting.ts';

export interface ModelReport {
  readonly task: 'classify' | 'regress' | 'forecast' | 'anomaly';
  readonly rows: number;
  /** Answers given: windows that were full. */
  readonly samples: number;
  /** Samples whose label came. */
  readonly labelled: number;
  /** Samples learned, and steps left out because a weight would not have stayed finite. */
  readonly learned: number;
  readonly skipped: number;
  readonly gaps: number;
  readonly rowsLost: number;
  readonly scores: ScoreReport;
  readonly race: RaceReport | null;
  readonly drift: DriftReport | null;
  readonly anomaly: GuardReport | null;
}

export interface RaceReport {
  readonly answering: string;
  /** Times that another one took over. */
  readonly changes: number;
  readonly ended: boolean;
  /** Networks replaced since they had diverged. */
  readonly replaced: number;
  /** Samples given up since too many waited for their label. */
  readonly labelsTooLate: number;
  readonly candidates: readonly CandidateReport[];
}

export interface CandidateReport {
  readonly name: string;
  readonly kind: CandidateKind;
  readonly rate: number | null;
  /** Fading loss over about 2,000 labels: share of wrong answers, or mean squared error in deviations. */
  readonly loss: number | null;
  readonly learns: boolean;
}

export interface DriftReport {
  readonly count: number;
  /** Of the newest: samples since, and the mean loss before and after; null if there was none. */
  readonly samplesAgo: number | null;
  readonly lossBefore: number | null;
  readonly lossAfter: number | null;
}

export interface GuardReport {
  /** What was found usual; null while it learns. */
  readonly calibration: AnomalyReport | null;
  readonly phase: 'learn' | 'guard';
  readonly learnedRows: number;
  readonly learnRows: number;
  readonly alarms: number;
  readonly stuck: number;
  readonly gated: number;
}

/**
 * @param names         of the row's columns
 * @param rowsPerSecond of the stream, for alarms per day
 */
export function reportModel(model: Model, names: readonly string[], rowsPerSecond: number): ModelReport {
  const { counts, learner } = model;
  const common = {
    rows: counts[MODEL_COUNT.rows],
    samples: counts[MODEL_COUNT.samples],
    gaps: counts[MODEL_COUNT.gaps],
    rowsLost: counts[MODEL_COUNT.rowsLost],
  };
  if (learner.kind === 'supervised') {
    const { supervised } = learner;
    return { ...common, ...reportSupervised(supervised, names) };
  }
  const { detector, detection } = learner;
  const learned = detector.counts[ANOMALY_COUNT.learned];
  return {
    ...common,
    task: 'anomaly',
    labelled: 0,
    learned,
    skipped: detector.counts[ANOMALY_COUNT.skipped],
    scores: detectionReport(detection),
    race: null,
    drift: null,
    anomaly: {
      calibration: reportAnomaly(detector, names, rowsPerSecond) ?? null,
      phase: detector.answer[ANSWER.phase] === PHASE.guard ? 'guard' : 'learn',
      learnedRows: learned,
      learnRows: detector.config.learnRows,
      alarms: detector.counts[ANOMALY_COUNT.alarms],
      stuck: detector.counts[ANOMALY_COUNT.stuck],
      gated: detector.counts[ANOMALY_COUNT.gated],
    },
  };
}

function reportSupervised(model: Supervised, names: readonly string[]) {
  const { config, counts, candidates, classes, values, drift } = model;
  const targetNames = config.targets.map((column) => names[column]);
  const { event } = drift;
  const drifts = event[DRIFT_EVENT.count];
  return {
    task: config.task,
    labelled: counts[COUNT.labelled],
    learned: counts[COUNT.learned],
    skipped: candidates.failures[FAILURES.skipped],
    scores: classes ? classificationReport(classes) : regressionReport(values!, targetNames),
    race: reportRace(model),
    drift: {
      count: drifts,
      samplesAgo: drifts > 0 ? event[DRIFT_EVENT.rowsTaken] - event[DRIFT_EVENT.row] : null,
      lossBefore: drifts > 0 ? event[DRIFT_EVENT.lossBefore] : null,
      lossAfter: drifts > 0 ? event[DRIFT_EVENT.lossAfter] : null,
    },
    anomaly: null,
  };
}

/** S of a candidate is a sum of fading losses: divided by the sum of their weights it is a mean. */
function reportRace({ race, candidates, waiting }: Supervised): RaceReport {
  const { members, active, failures } = candidates;
  const { sums, counts, state, ways } = race;
  const learned = counts[RACE_COUNT.learned];
  let weight = 0;
  for (let n = 0, share = 1; n < learned && share > 1e-6; n++, share *= 0.9995) weight += share;
  const reports = members.map(({ kind, network, scout }, c): CandidateReport => {
    const rate = network === undefined ? null : network.pace[PACE.rate];
    const best = Math.min(...sums.subarray(c * ways, kind === 'null' ? c * ways + 1 : (c + 1) * ways));
    return {
      name: nameOf(kind, scout, rate),
      kind,
      rate,
      loss: weight > 0 ? best / weight : null,
      learns: active[c] === 1,
    };
  });
  return {
    answering: reports[state[RACE_STATE.answering]].name,
    changes: counts[RACE_COUNT.changes],
    ended: state[RACE_STATE.ended] === 1,
    replaced: failures[FAILURES.replaced],
    labelsTooLate: lostWaiting(waiting),
    candidates: reports,
  };
}

function nameOf(kind: CandidateKind, scout: boolean, rate: number | null): string {
  if (kind === 'network') return `network at rate ${Number(rate!.toPrecision(3))}${scout ? ' (scout)' : ''}`;
  return kind === 'linear' ? 'linear model' : 'most frequent or mean';
}
