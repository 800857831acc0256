/** `edgeloop train`: learns from a file, keeps the best weights and says how good they are. */
import { access, constants, mkdir, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { mulberry32 } from '../engine/random.ts';
import { EXIT, EdgeloopError } from '../errors.ts';
import type { DataSet } from '../files/data-set.ts';
import { type OfflineConfig, type OfflineData, PROGRESS, shuffleRows } from '../learn/offline.ts';
import { OfflineSession } from '../learn/offline-session.ts';
import { saveTrainedModel } from '../store/trained-weights.ts';
import { CLIP } from '../stream/scaler.ts';
import { Ending } from './ending.ts';
import { Progress } from './progress.ts';
import { Interrupted, type TrainingData, loadTrainingData, usage } from './train-data.ts';
import { TRAIN_HELP, type TrainOptions, parseTrainOptions } from './train-options.ts';
import { endText, liveText, planText, startText, trainDocument } from './train-words.ts';

const PROGRESS_EVERY_MS = 100;

/** Fewer rows teach nothing, and a validation part of them says nothing. */
const ROWS_MIN = 10;

/**
 * @returns the exit status: 0 also when the user ended it and the weights so far are saved
 * @throws EdgeloopError: a bad argument, a file that cannot be read or has nothing to learn
 */
export async function train(args: string[]): Promise<number> {
  const options = parseTrainOptions(args);
  if (options === 'help') {
    process.stdout.write(TRAIN_HELP);
    return EXIT.ok;
  }
  const ending = new Ending(undefined);
  try {
    return await trainFrom(options, ending);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    process.stderr.write('Stopped while reading; nothing was learned.\n');
    return EXIT.failed;
  } finally {
    ending.dispose();
  }
}

async function trainFrom(options: TrainOptions, ending: Ending): Promise<number> {
  const say = (text: string): void => {
    (options.json ? process.stderr : process.stdout).write(text);
  };
  let isEnded = false;
  void ending.reason.then(() => (isEnded = true));
  const loaded = await loadTrainingData(options.path, options.asked, {
    newProgress: (about) => new Progress(process.stderr, about),
    isEnded: () => isEnded,
  });
  say(startText(options.path, loaded));
  checkRows(options, loaded);
  if (isSorted(loaded.data) && options.split === 'tail' && options.validation > 0) {
    say('The rows are sorted by class, so the last ones are no fair test: see --split shuffled.\n');
  }
  await checkPlace(options.weights);
  const { data } = loaded;
  const { rows, trainRows } = splitRows(data.rows, options);
  const offlineData: OfflineData = {
    inputs: data.inputs,
    labels: data.labels,
    targets: data.targets,
    rows,
    trainRows,
  };
  const session = await OfflineSession.start(configOf(options, loaded), offlineData);
  try {
    say(planText(options, session, data.rows, trainRows));
    void ending.reason.then(() => session.stop());
    const startedMs = performance.now();
    await showUntilLearned(session, trainRows);
    const seconds = (performance.now() - startedMs) / 1000;
    const stopped = isEnded;
    await save(options.weights, loaded, session);
    const scores =
      trainRows < data.rows ? await session.score(options.split === 'tail', !stopped) : undefined;
    const trained = { seconds, stopped, weights: options.weights, scores };
    say(endText(loaded, session, trained));
    say(liveText(loaded, session, options.weights));
    if (options.json) {
      const document = trainDocument(loaded, session, options, trained, trainRows);
      process.stdout.write(`${JSON.stringify(document)}\n`);
    }
    return EXIT.ok;
  } finally {
    await session.close();
  }
}

function checkRows({ path, classes }: TrainOptions, { task, data }: TrainingData): void {
  const fail = (sentence: string): never => {
    throw new EdgeloopError('ELOOP_FORMAT', `${path}: ${sentence}.`);
  };
  if (data.rows < ROWS_MIN) {
    fail(`expected at least ${ROWS_MIN} rows with what is to be predicted, got ${data.rows}`);
  }
  if (task === 'regress') return;
  if (data.classes.length < 2) fail(`expected at least two classes, got only "${data.classes[0]}"`);
  if (classes !== undefined && classes < data.classes.length) {
    throw usage(`--classes: expected at least the ${data.classes.length} that ${path} has, got ${classes}`);
  }
}

/** Every class comes in one stretch of rows. */
function isSorted({ labels, classes }: DataSet): boolean {
  let stretches = 1;
  for (let row = 1; row < labels.length; row++) if (labels[row] !== labels[row - 1]) stretches += 1;
  return classes.length > 1 && stretches === classes.length;
}

/** Row numbers, those to learn from first. */
function splitRows(count: number, { validation, split, seed }: TrainOptions) {
  const inOrder = Int32Array.from({ length: count }, (_, row) => row);
  const rows = new Int32Array(new SharedArrayBuffer(4 * count));
  if (split === 'shuffled') shuffleRows(rows, inOrder, mulberry32(seed));
  else rows.set(inOrder);
  return { rows, trainRows: count - Math.floor(count * validation) };
}

function configOf(options: TrainOptions, { task, data }: TrainingData): OfflineConfig {
  const outputs = task === 'classify' ? (options.classes ?? data.classes.length) : data.targetNames.length;
  return {
    network: {
      inputs: data.inputNames.length,
      hidden: options.hidden,
      outputs,
      hiddenActivation: options.activation,
      outputActivation: 'identity',
      loss: task === 'classify' ? 'crossEntropy' : 'halfSquared',
      learningRate: options.learningRate,
      optimiser: options.optimiser,
    },
    batch: options.batch,
    epochs: options.epochs,
    patience: options.patience,
    clip: CLIP, // as live, where these weights may go on
    seed: options.seed,
  };
}

async function showUntilLearned(session: OfflineSession, trainRows: number): Promise<void> {
  const { batch, epochs } = session.offline.config;
  const total = epochs * (trainRows - (trainRows % batch));
  const progress = new Progress(process.stderr, { what: 'training', unit: 'samples', total });
  const show = (): void => progress.update(session.progress[PROGRESS.samples], noteOf(session.progress));
  const timer = setInterval(show, PROGRESS_EVERY_MS);
  try {
    await session.learned;
  } finally {
    clearInterval(timer);
    progress.end();
  }
}

function noteOf(progress: Float64Array): string {
  const epochs = progress[PROGRESS.epochs];
  if (epochs === 0) return '';
  const validation = progress[PROGRESS.validationLoss];
  const trainLoss = progress[PROGRESS.trainLoss].toPrecision(3);
  const losses =
    validation === validation
      ? `loss ${trainLoss}, on the rows kept ${validation.toPrecision(3)}, best ${progress[PROGRESS.bestLoss].toPrecision(3)}`
      : `loss ${trainLoss}`;
  return `epoch ${epochs}  ${losses}`;
}

/** Before hours of learning, not after. @throws EdgeloopError ELOOP_STORE if the weights cannot be written there */
async function checkPlace(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await access(dirname(path), constants.W_OK);
  } catch (cause) {
    throw storeError(path, 'cannot write in its directory', cause);
  }
}

function storeError(path: string, what: string, cause: unknown): EdgeloopError {
  const { code } = cause as NodeJS.ErrnoException;
  return new EdgeloopError('ELOOP_STORE', `${path}: ${what} (${code}). Name another file with --out.`);
}

async function save(path: string, { task, data }: TrainingData, session: OfflineSession): Promise<void> {
  const { network, scaler, targetScaler, progress } = session.offline;
  await rename(path, `${path}.old`).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw storeError(path, 'cannot set the old weights aside', cause);
  });
  await saveTrainedModel(path, {
    network,
    inputNames: data.inputNames,
    scaler,
    classes: data.classes,
    ...(task === 'regress' ? { targets: { names: data.targetNames, statistics: targetScaler } } : {}),
    learned: progress[PROGRESS.samples],
  });
}
