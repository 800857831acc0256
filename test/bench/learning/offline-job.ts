/** One network of the offline table: learned on one thread of the pool, then tested. */
import { ArenaPlan } from '../../../src/engine/arena.ts';
import {
  type OfflineData,
  PROGRESS,
  offlineConfig,
  openOffline,
  planOffline,
  predictRows,
  standardise,
  startOffline,
  trainOffline,
} from '../../../src/learn/offline.ts';
import { indexOfLargest } from '../../../src/learn/offline-scores.ts';
import { type OfflineSet, type ReferenceCell, loadSet } from './offline-sets.ts';

export interface OfflineJob {
  readonly cell: Pick<ReferenceCell, 'task' | 'act' | 'H' | 'epochs' | 'batch' | 'n_train'>;
  readonly learningRate: number;
  readonly seed: number;
}

/** By test: share right, or root of the mean squared error in the unit of the target. */
export interface OfflineJobResult {
  readonly scores: Readonly<Record<string, number>>;
  readonly skipped: number;
  readonly samples: number;
}

/** The last set that this thread needed. */
let loaded: { task: string; set: OfflineSet } | undefined;

/** Task of the pool. @throws Error if the set is not the one that the reference was made with */
export function offlineJob({ cell, learningRate, seed }: OfflineJob): OfflineJobResult {
  if (loaded?.task !== cell.task) loaded = { task: cell.task, set: loadSet(cell.task) };
  const { set } = loaded;
  const { trainRows } = set.data;
  if (trainRows !== cell.n_train)
    throw new Error(`${cell.task}: ${trainRows} rows, reference ${cell.n_train}`);
  const isClasses = set.data.labels.length > 0;
  const config = offlineConfig(
    {
      network: {
        inputs: set.inputs,
        hidden: cell.H,
        outputs: set.outputs,
        hiddenActivation: cell.act,
        outputActivation: 'identity',
        loss: isClasses ? 'crossEntropy' : 'halfSquared',
        learningRate,
      },
      batch: cell.batch,
      epochs: cell.epochs,
      patience: Infinity,
      clip: Infinity,
      seed,
    },
    trainRows,
  );
  const plan = new ArenaPlan();
  const parts = planOffline(plan, config, trainRows);
  const offline = openOffline(plan.allocate(), config, parts);
  // Standardised in place, so in a copy; and without the test rows, which would be taken for a validation part.
  const all: OfflineData = {
    ...set.data,
    inputs: set.data.inputs.slice(),
    targets: set.data.targets.slice(),
  };
  startOffline(offline);
  if (set.unit === undefined) standardise(offline, all);
  trainOffline(offline, { ...all, rows: all.rows.slice(0, trainRows) }, offline.kernels.learnMany);
  const { count, m2 } = offline.targetScaler;
  const unit = set.unit ?? (isClasses ? 1 : Math.sqrt(m2[0] / count[0]));
  const scores: Record<string, number> = {};
  for (const { name, first, end } of set.tests) {
    const outputs = new Float32Array((end - first) * set.outputs);
    predictRows(offline, all, first, outputs);
    scores[name] = scoreOf(all, first, outputs, set.outputs, unit);
  }
  const { progress } = offline;
  return { scores, skipped: progress[PROGRESS.skipped], samples: progress[PROGRESS.samples] };
}

function scoreOf(
  { labels, targets, rows }: OfflineData,
  first: number,
  outputs: Float32Array,
  K: number,
  unit: number,
): number {
  const count = outputs.length / K;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const row = rows[first + i];
    if (labels.length > 0) sum += indexOfLargest(outputs, i * K, K) === labels[row] ? 1 : 0;
    else sum += (outputs[i] - targets[row]) ** 2;
  }
  return labels.length > 0 ? sum / count : unit * Math.sqrt(sum / count);
}
