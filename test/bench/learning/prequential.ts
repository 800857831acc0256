/** One pass over a public set: predict, score, then learn, by the model that live streams have. A task of the pool. */
import type { Activation } from '../../../src/engine/network.ts';
import {
  type ModelConfig,
  answeredClass,
  answeredNumbers,
  openModel,
  planModel,
  startModel,
  takeRecord,
} from '../../../src/learn/model.ts';
import { RACES, withoutRace } from '../../../src/learn/race.ts';
import { reportModel } from '../../../src/learn/report.ts';
import { CLIP } from '../../../src/stream/scaler.ts';
import { NO_LABEL, RECORD } from '../../../src/stream/ring.ts';
import { type SensorSet, type SetName, loadSet } from './sets.ts';

export interface PrequentialTask {
  readonly set: SetName;
  readonly hidden: number;
  readonly activation: Activation;
  readonly seed: number;
  /** A race of this kind, or plain SGD at this rate. */
  readonly learner: keyof typeof RACES | number;
  readonly rehearsalSamples: number;
  /** Rows by which labels come late. */
  readonly lateRows: number;
}

export interface PrequentialResult {
  /** Accuracy in percent, or RMSE in the set's unit. */
  readonly metric: number;
  readonly linear: number;
  /** Of the first 500, 1,000 and 2,000 rows. */
  readonly curve: readonly number[];
  readonly usPerRow: number;
  readonly skipped: number;
  readonly replaced: number;
  readonly answering: string;
  /** The label before, or the value before; NaN where the protocol has none. */
  readonly before: number;
  /** Whether all weights are finite. */
  readonly finite: boolean;
}

/** The protocol scores regression from this row on. */
const FIRST_SCORED_ROW = 10;
/** A forecast looks back on so many rows. */
const WINDOW_ROWS = 24;
const CURVE_ROWS = [500, 1000, 2000];

function configOf(set: SensorSet, task: PrequentialTask): ModelConfig {
  const forecast = set.task === 'forecast';
  const all = Array.from({ length: set.columns }, (_, column) => column);
  const others = all.filter((column) => !set.targets.includes(column));
  const newest = others.map((column) => ({ column, kind: 'newest' as const }));
  const past = set.targets.map((column) => ({ column, kind: 'raw' as const }));
  const raced = typeof task.learner !== 'number';
  return {
    kind: 'supervised',
    inputs: {
      columns: set.columns,
      windowRows: forecast ? WINDOW_ROWS : 1,
      hopRows: 1,
      features: forecast ? [...past, ...newest] : newest,
      breakAtLabelChange: false,
      clip: CLIP,
    },
    supervised: {
      task: set.task,
      outputs: set.task === 'classify' ? set.classes : 1,
      targets: set.targets,
      delayRows: forecast ? set.horizonRows : task.lateRows,
      delayUs: 0,
      waitingSamples: 0,
      candidates: {
        hidden: task.hidden,
        activation: task.activation,
        seed: task.seed,
        capped: raced,
        list: typeof task.learner === 'number' ? withoutRace(task.learner) : RACES[task.learner],
      },
      rehearsalSamples: set.task === 'classify' ? task.rehearsalSamples : 0,
      respondToDrift: false,
    },
  };
}

const sets = new Map<SetName, SensorSet>();

/** Task of the pool. */
export function runPrequential(task: PrequentialTask): PrequentialResult {
  const set = sets.get(task.set) ?? loadSet(task.set);
  sets.set(task.set, set);
  const plan = planModel(configOf(set, task));
  const model = openModel(plan, plan.arena.allocate());
  startModel(model);
  const rows = set.values.length / set.columns;
  const answers = new Float64Array(rows);
  const start = performance.now();
  for (let row = 0; row < rows; row++) {
    const label = row < task.lateRows ? NO_LABEL : set.labels[row - task.lateRows];
    const first = row * set.columns;
    const is = takeRecord(model, RECORD.row, label, row, 0, row * 1000, set.values, first);
    answers[row] =
      is === 0 ? NaN : set.task === 'classify' ? answeredClass(model) : answeredNumbers(model)[0];
  }
  const usPerRow = (1000 * (performance.now() - start)) / rows;
  const report = reportModel(model, Array.from({ length: set.columns }, String), 1);
  const { scores, race } = report;
  const classify = scores.task === 'classify';
  const values = scores.task === 'regress' ? scores.targets[0].all : undefined;
  if (model.learner.kind !== 'supervised') throw new Error('unreachable');
  const { members } = model.learner.supervised.candidates;
  return {
    metric: metricOf(set, answers, rows),
    linear: classify
      ? 100 * (scores.all.beside.linear?.accuracy ?? NaN)
      : (values?.beside.linear?.rmse ?? NaN),
    before: classify
      ? 100 * (scores.all.beside.lastLabel.accuracy ?? NaN)
      : (values?.beside.persistence?.rmse ?? NaN),
    curve: CURVE_ROWS.map((until) => metricOf(set, answers, until)),
    usPerRow,
    skipped: report.skipped,
    replaced: race!.replaced,
    answering: race!.answering,
    finite: members.every(({ network }) => network?.parameters.every(Number.isFinite) ?? true),
  };
}

/** Of the answers to the first `until` rows, by the protocol. */
function metricOf(
  { task, labels, values, columns, targets, horizonRows }: SensorSet,
  answers: Float64Array,
  until: number,
): number {
  let scored = 0;
  let sum = 0;
  const from = task === 'regress' ? FIRST_SCORED_ROW : 0;
  for (let row = from; row < until; row++) {
    if (task === 'classify') {
      scored += 1;
      if (answers[row] === labels[row]) sum += 1;
      continue;
    }
    const actual = values[(row + horizonRows) * columns + targets[0]];
    if (Number.isNaN(answers[row]) || actual === undefined) continue;
    scored += 1;
    sum += (answers[row] - actual) ** 2;
  }
  return task === 'classify' ? (100 * sum) / scored : Math.sqrt(sum / scored);
}
