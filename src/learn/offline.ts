/**
 * Learning from rows that are all there: epochs of shuffled minibatches, a part of the rows kept for validation, and
 * the weights of the best epoch kept.
 *
 *     rows     | row numbers to learn from ......... | to validate with .... |     Int32
 *     epoch e  shuffle of the first part by seed·1000 + e, batch after batch; an incomplete last batch is left out
 *
 * Inputs are standardised with mean and deviation (population) of the rows to learn from; a missing value is 0, the
 * mean. So are the targets of `regress`. After each epoch the loss of the validation part decides whether these weights
 * are the best so far; after `patience` epochs without better ones it is enough. Without a validation part the last
 * weights count.
 *
 * The result is a function of data, config and seed alone; who takes the steps, one thread or a team, is no part of it.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../engine/arena.ts';
import { exp, log } from '../engine/arithmetic.ts';
import { type Kernels, openKernels } from '../engine/kernels.ts';
import {
  type Network,
  type NetworkConfig,
  initialParameters,
  openNetwork,
  planNetwork,
  writeParameters,
} from '../engine/network.ts';
import { mulberry32 } from '../engine/random.ts';
import { type Scaler, openScaler, planScaler, updateScaler } from '../stream/scaler.ts';

/** Samples that are handed over at once, about. */
const QUEUE_SAMPLES = 256;

/** So the seeds of the epochs of one run and the next are apart. */
const SEEDS_PER_RUN = 1000;

export interface OfflineConfig {
  /** crossEntropy: classes; halfSquared: numbers, K of them. `queueSamples` is set by `offlineConfig`. */
  readonly network: NetworkConfig;
  /** Samples to a step. */
  readonly batch: number;
  readonly epochs: number;
  /** Epochs without better weights after which it is enough; Infinity: all epochs are gone through. */
  readonly patience: number;
  /** Standardised inputs are cut off at ± this; Infinity: not at all. */
  readonly clip: number;
  /** Of the initial weights and the shuffles. */
  readonly seed: number;
}

/** What to learn from; in shared memory, so that no thread needs a copy. */
export interface OfflineData {
  /** [n x D], row-major, NaN where a value is missing. `standardise` overwrites them. */
  readonly inputs: Float32Array;
  /** [n] class of each row; empty for numbers. */
  readonly labels: Int32Array;
  /** [n x K]; empty for classes. `standardise` overwrites them. */
  readonly targets: Float32Array;
  /** Row numbers, those to learn from first. */
  readonly rows: Int32Array;
  /** How many of them are learned from. */
  readonly trainRows: number;
}

/** Slots of `progress`, which another thread may look at. */
export const PROGRESS = {
  epochs: 0,
  /** Samples learned, over all epochs. */
  samples: 1,
  /** Mean loss of the last whole epoch, each before its step, and of the validation part after it; NaN if none. */
  trainLoss: 2,
  validationLoss: 3,
  bestLoss: 4,
  /** Of the weights kept, from 1; 0: none. */
  bestEpoch: 5,
  /** Steps left out because a weight would not have stayed finite. */
  skipped: 6,
} as const;
const PROGRESS_SLOTS = 7;

type OwnParts = {
  /** The best parameters, in the network's layout. */
  readonly best: Part<'float32'>;
  /** Row numbers in the order of the epoch [trainRows]. */
  readonly order: Part<'int32'>;
  readonly progress: Part<'float64'>;
  /** [1]: not 0 asks for an end after the present samples. */
  readonly stop: Part<'int32'>;
};

export interface OfflineParts {
  readonly network: ReturnType<typeof planNetwork>;
  readonly scaler: ReturnType<typeof planScaler>;
  /** Of the targets; no columns for classes. */
  readonly targetScaler: ReturnType<typeof planScaler>;
  readonly own: OwnParts;
}

export interface Offline extends Views<OwnParts> {
  readonly config: OfflineConfig;
  readonly network: Network;
  readonly scaler: Scaler;
  readonly targetScaler: Scaler;
  readonly kernels: Kernels;
}

/** The config with whole batches that fit the rows, and a queue for them. */
export function offlineConfig(config: OfflineConfig, trainRows: number): OfflineConfig {
  const batch = Math.min(config.batch, trainRows);
  const queueSamples = batch * Math.max(1, Math.floor(QUEUE_SAMPLES / batch));
  return { ...config, batch, network: { ...config.network, queueSamples } };
}

/** @param config of `offlineConfig` */
export function planOffline(plan: ArenaPlan, { network }: OfflineConfig, trainRows: number): OfflineParts {
  const parts = planNetwork(plan, network);
  return {
    network: parts,
    scaler: planScaler(plan, network.inputs),
    targetScaler: planScaler(plan, network.loss === 'crossEntropy' ? 0 : network.outputs),
    own: {
      best: plan.float32('offline.best', parts.parameters.length),
      order: plan.int32('offline.order', trainRows),
      progress: plan.float64('offline.progress', PROGRESS_SLOTS),
      stop: plan.int32('offline.stop', 1),
    },
  };
}

/** Lays it over a planned arena, whose content it leaves as it is. */
export function openOffline(memory: WebAssembly.Memory, config: OfflineConfig, parts: OfflineParts): Offline {
  const network = openNetwork(memory.buffer, config.network, parts.network);
  return {
    ...viewsOf(memory.buffer, parts.own),
    config,
    network,
    scaler: openScaler(memory.buffer, parts.scaler),
    targetScaler: openScaler(memory.buffer, parts.targetScaler),
    kernels: openKernels(memory, network),
  };
}

/** Draws the initial weights. */
export function startOffline({ config, network, progress }: Offline): void {
  writeParameters(network, initialParameters(config.network, mulberry32(config.seed)));
  progress.fill(0);
  progress[PROGRESS.trainLoss] = NaN;
  progress[PROGRESS.validationLoss] = NaN;
  progress[PROGRESS.bestLoss] = Infinity;
}

/** Takes the statistics of the rows to learn from, then standardises all rows in place. */
export function standardise({ config, scaler, targetScaler }: Offline, data: OfflineData): void {
  standardiseColumns(scaler, data.inputs, data, config.clip);
  standardiseColumns(targetScaler, data.targets, data, Infinity);
}

function standardiseColumns(scaler: Scaler, values: Float32Array, data: OfflineData, clip: number): void {
  const columns = scaler.count.length;
  for (let i = 0; i < data.trainRows; i++) updateScaler(scaler, values, data.rows[i] * columns);
  const deviations = scaler.m2.map((m2, column) => Math.sqrt(m2 / scaler.count[column]));
  for (let at = 0; at < values.length; at += columns) {
    for (let column = 0; column < columns; column++) {
      const z = (values[at + column] - scaler.mean[column]) / deviations[column];
      // NaN and infinite: missing, or a column that never changed.
      values[at + column] = z - z === 0 ? Math.min(Math.max(z, -clip), clip) : 0;
    }
  }
}

/** Takes the steps on the samples queued; as `Kernels.learnMany`. */
export type LearnMany = (count: number, batch: number) => number;

/**
 * Learns until it is enough, or until `stop` is set; then the network has the best weights.
 * @param data standardised
 */
export function trainOffline(offline: Offline, data: OfflineData, learnMany: LearnMany): void {
  const { config, network, progress, stop, best } = offline;
  const validates = data.trainRows < data.rows.length;
  for (let epoch = 0; epoch < config.epochs; epoch++) {
    learnEpoch(offline, data, epoch, learnMany);
    const stopped = Atomics.load(stop, 0) !== 0;
    if (!stopped) progress[PROGRESS.epochs] = epoch + 1;
    // Of an epoch that was cut short the weights may be the best as well.
    const loss = validates ? validationLoss(offline, data) : -epoch;
    progress[PROGRESS.validationLoss] = validates ? loss : NaN;
    if (loss < progress[PROGRESS.bestLoss]) {
      progress[PROGRESS.bestLoss] = loss;
      progress[PROGRESS.bestEpoch] = epoch + 1;
      best.set(network.parameters);
    }
    if (stopped || epoch + 1 - progress[PROGRESS.bestEpoch] >= config.patience) break;
  }
  if (progress[PROGRESS.bestEpoch] > 0) network.parameters.set(best);
}

/** @param epoch from 0 */
function learnEpoch(offline: Offline, data: OfflineData, epoch: number, learnMany: LearnMany): void {
  const { config, network, order, progress, stop } = offline;
  const samples = data.trainRows - (data.trainRows % config.batch);
  const atOnce = network.config.queueSamples ?? 0;
  shuffleRows(order, data.rows, mulberry32(config.seed * SEEDS_PER_RUN + epoch));
  let losses = 0;
  for (let first = 0; first < samples; first += atOnce) {
    if (Atomics.load(stop, 0) !== 0) return;
    const count = Math.min(atOnce, samples - first);
    queueRows(network, data, order, first, count);
    progress[PROGRESS.skipped] += count / config.batch - learnMany(count, config.batch);
    for (let sample = 0; sample < count; sample++) losses += network.queueLosses[sample];
    progress[PROGRESS.samples] += count;
  }
  progress[PROGRESS.trainLoss] = losses / samples;
}

/**
 * Puts the first order.length of `rows` into `order` as the shuffle leaves them.
 * @param random uniform in [0, 1)
 */
export function shuffleRows(order: Int32Array, rows: Int32Array, random: () => number): void {
  for (let i = 0; i < order.length; i++) order[i] = rows[i];
  for (let i = order.length - 1; i >= 1; i--) {
    const j = Math.floor(random() * (i + 1));
    const row = order[i];
    order[i] = order[j];
    order[j] = row;
  }
}

/** Queues inputs and targets of the rows at order[first .. first + count). */
function queueRows(
  network: Network,
  { inputs, labels, targets }: OfflineData,
  order: Int32Array,
  first: number,
  count: number,
): void {
  const { config, queueInputs, queueTargets, outputsPadded } = network;
  const { inputs: D, outputs: K } = config;
  if (labels.length > 0) queueTargets.fill(0);
  for (let sample = 0; sample < count; sample++) {
    const row = order[first + sample];
    for (let d = 0; d < D; d++) queueInputs[sample * D + d] = inputs[row * D + d];
    if (labels.length > 0) queueTargets[sample * outputsPadded + labels[row]] = 1;
    else for (let k = 0; k < K; k++) queueTargets[sample * outputsPadded + k] = targets[row * K + k];
  }
}

/**
 * Predicts the rows at rows[first ..].
 * @param data    standardised
 * @param outputs [rows x K], overwritten: standardised numbers, or for classes what softmax makes probabilities of
 */
export function predictRows(
  { network, kernels }: Offline,
  data: OfflineData,
  first: number,
  outputs: Float32Array,
): void {
  const { outputs: K, queueSamples: atOnce = 0 } = network.config;
  const { queueOutputs, outputsPadded } = network;
  const rows = outputs.length / K;
  for (let done = 0; done < rows; done += atOnce) {
    const count = Math.min(atOnce, rows - done);
    queueRows(network, data, data.rows, first + done, count);
    kernels.forwardMany(count);
    for (let sample = 0; sample < count; sample++) {
      for (let k = 0; k < K; k++) {
        outputs[(done + sample) * K + k] = queueOutputs[sample * outputsPadded + k];
      }
    }
  }
}

/** Mean over the validation part. */
function validationLoss(offline: Offline, data: OfflineData): number {
  const { outputs: K } = offline.network.config;
  const rows = data.rows.length - data.trainRows;
  const outputs = new Float32Array(rows * K);
  predictRows(offline, data, data.trainRows, outputs);
  let sum = 0;
  for (let i = 0; i < rows; i++) sum += lossOf(data, data.rows[data.trainRows + i], outputs, i * K, K);
  return sum / rows;
}

/** Loss of the row whose outputs are outputs[first .. first + K). */
function lossOf(data: OfflineData, row: number, outputs: Float32Array, first: number, K: number): number {
  if (data.labels.length > 0) return logLossOf(outputs, first, K, data.labels[row]);
  let sum = 0;
  for (let k = 0; k < K; k++) sum += (outputs[first + k] - data.targets[row * K + k]) ** 2;
  return 0.5 * sum;
}

/** −log softmax(outputs[first .. first + K))[label] */
export function logLossOf(
  outputs: Float32Array | Float64Array,
  first: number,
  K: number,
  label: number,
): number {
  let largest = outputs[first];
  for (let k = 1; k < K; k++) largest = Math.max(largest, outputs[first + k]);
  let sum = 0;
  for (let k = 0; k < K; k++) sum += exp(outputs[first + k] - largest);
  return log(sum) + largest - outputs[first + label];
}
