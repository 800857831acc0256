/**
 * Learning and scoring of loaded rows as tasks of a pool, since both take long. They work in the arena and in the data,
 * which are shared, one after the other.
 */
import { type TeamParts, openLeader } from '../engine/team.ts';
import {
  type Offline,
  type OfflineConfig,
  type OfflineData,
  type OfflineParts,
  logLossOf,
  openOffline,
  predictRows,
  standardise,
  trainOffline,
} from './offline.ts';
import { fitClasses, fitNumbers, predictLinear } from './offline-linear.ts';
import {
  type ClassScores,
  type Comparison,
  type ValueScores,
  compareErrors,
  indexOfLargest,
  scoreClasses,
  scoreValues,
} from './offline-scores.ts';

// A team's followers run on the same pool.
export { followLeader } from './follow.ts';

export interface OfflineTask {
  readonly config: OfflineConfig;
  readonly parts: OfflineParts;
  readonly memory: WebAssembly.Memory;
  readonly data: OfflineData;
  /** Its followers are there and wait; undefined: one thread. */
  readonly team: TeamParts | undefined;
}

/** Task of the pool: standardises the data and learns from it. The arena has the result. */
export function learnOffline({ config, parts, memory, data, team }: OfflineTask): void {
  const offline = openOffline(memory, config, parts);
  const leader = team && openLeader(memory, offline.network, team);
  try {
    standardise(offline, data);
    trainOffline(offline, data, leader ? leader.learnMany : offline.kernels.learnMany);
  } finally {
    leader?.dismiss();
  }
}

export interface ScoreTask extends OfflineTask {
  /** The validation part follows the rest in time: what was before is a reference, too. */
  readonly inTime: boolean;
  /** Takes some seconds with many rows. */
  readonly withLinear: boolean;
}

/** `previous`: the label, or the value, of the row before. `constant`: the most frequent class, or the mean. */
export type Reference = 'constant' | 'previous' | 'linear';

/** Of the network or of a reference, over the validation part. */
export interface Scores {
  /** Of classes. */
  readonly classes?: ClassScores;
  /** Of what gives probabilities. */
  readonly logLoss?: number;
  /** Of each target of numbers. */
  readonly targets?: readonly ValueScores[];
}

export interface OfflineScores {
  readonly rows: number;
  readonly network: Scores;
  /** Each with what the network's errors are below its own: wrong answers, or squared standardised distances. */
  readonly references: Readonly<Partial<Record<Reference, Scores & { readonly comparison: Comparison }>>>;
  /** Classes of the validation part that the rest has not: nothing can have learned them. */
  readonly unseen: readonly number[];
}

/** Task of the pool, after `learnOffline`: scores of the validation part. */
export function scoreOffline(task: ScoreTask): OfflineScores {
  const { config, parts, memory, data } = task;
  const offline = openOffline(memory, config, parts);
  return data.labels.length > 0 ? scoreAllClasses(offline, task) : scoreAllValues(offline, task);
}

// --- Classes -----------------------------------------------------------------------------------------------------

function scoreAllClasses(offline: Offline, { data, config, inTime, withLinear }: ScoreTask): OfflineScores {
  const { inputs: D, outputs: K } = config.network;
  const labels = Int32Array.from(data.rows.subarray(data.trainRows), (row) => data.labels[row]);
  const counts = new Float64Array(K);
  for (let i = 0; i < data.trainRows; i++) counts[data.labels[data.rows[i]]] += 1;
  const outputs = new Float32Array(labels.length * K);
  predictRows(offline, data, data.trainRows, outputs);
  const own = answersOf(outputs, K);
  const errors = mistakes(own, labels);
  const beside = (answers: Int32Array, logLoss?: number): Scores & { comparison: Comparison } => ({
    classes: scoreClasses(answers, labels, K),
    ...(logLoss === undefined ? {} : { logLoss }),
    comparison: compareErrors(errors, mistakes(answers, labels)),
  });
  const references: {
    -readonly [key in keyof OfflineScores['references']]: OfflineScores['references'][key];
  } = {
    constant: beside(labels.map(() => indexOfLargest(counts, 0, K))),
  };
  if (inTime) {
    references.previous = beside(labels.map((_, i) => data.labels[data.rows[data.trainRows + i - 1]]));
  }
  if (withLinear) {
    const linear = new Float64Array(outputs.length);
    predictLinear(fitClasses(data, D, K, config.seed), data, data.trainRows, linear);
    references.linear = beside(answersOf(linear, K), meanLogLoss(linear, labels, K));
  }
  return {
    rows: labels.length,
    network: { classes: scoreClasses(own, labels, K), logLoss: meanLogLoss(outputs, labels, K) },
    references,
    unseen: [...new Set(labels)].filter((label) => counts[label] === 0).toSorted((a, b) => a - b),
  };
}

function answersOf(outputs: Float32Array | Float64Array, K: number): Int32Array {
  return Int32Array.from({ length: outputs.length / K }, (_, row) => indexOfLargest(outputs, row * K, K));
}

function mistakes(answers: Int32Array, labels: Int32Array): Float64Array {
  return Float64Array.from(answers, (answer, row) => Number(answer !== labels[row]));
}

function meanLogLoss(outputs: Float32Array | Float64Array, labels: Int32Array, K: number): number {
  let sum = 0;
  for (let row = 0; row < labels.length; row++) sum += logLossOf(outputs, row * K, K, labels[row]);
  return sum / labels.length;
}

// --- Numbers -----------------------------------------------------------------------------------------------------

function scoreAllValues(offline: Offline, { data, config, inTime, withLinear }: ScoreTask): OfflineScores {
  const { inputs: D, outputs: K } = config.network;
  const rows = data.rows.length - data.trainRows;
  // All standardised, as they were learned; in the user's unit only for the scores.
  const valuesFrom = (first: number): Float64Array => {
    const values = new Float64Array(rows * K);
    for (let i = 0; i < values.length; i++) {
      values[i] = data.targets[data.rows[first + Math.floor(i / K)] * K + (i % K)];
    }
    return values;
  };
  const values = valuesFrom(data.trainRows);
  const inUnits = toUnits(offline, values);
  const outputs = new Float32Array(rows * K);
  predictRows(offline, data, data.trainRows, outputs);
  const own = Float64Array.from(outputs);
  const errors = squaredErrors(own, values, K);
  const score = (answers: Float64Array): Scores => {
    const answersInUnits = toUnits(offline, answers);
    return {
      targets: Array.from({ length: K }, (_, k) => scoreValues(answersInUnits, inUnits, K, k)),
    };
  };
  const beside = (answers: Float64Array): Scores & { comparison: Comparison } => ({
    ...score(answers),
    comparison: compareErrors(errors, squaredErrors(answers, values, K)),
  });
  const references: {
    -readonly [key in keyof OfflineScores['references']]: OfflineScores['references'][key];
  } = {
    constant: beside(new Float64Array(rows * K)),
  };
  if (inTime) references.previous = beside(valuesFrom(data.trainRows - 1));
  if (withLinear) {
    const linear = new Float64Array(rows * K);
    predictLinear(fitNumbers(data, D, K), data, data.trainRows, linear);
    references.linear = beside(linear);
  }
  return { rows, network: score(own), references, unseen: [] };
}

function toUnits({ targetScaler }: Offline, standardised: Float64Array): Float64Array {
  const { count, mean, m2 } = targetScaler;
  const K = count.length;
  return standardised.map((value, i) => mean[i % K] + value * Math.sqrt(m2[i % K] / count[i % K]));
}

function squaredErrors(answers: Float64Array, values: Float64Array, K: number): Float64Array {
  const errors = new Float64Array(values.length / K);
  for (let i = 0; i < values.length; i++) errors[Math.floor(i / K)] += (answers[i] - values[i]) ** 2;
  return errors;
}
