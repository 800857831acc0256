/** What `edgeloop train` says, and its document. */
import { PROGRESS } from '../learn/offline.ts';
import type { OfflineScores, Reference, Scores } from '../learn/offline-task.ts';
import type { Comparison } from '../learn/offline-scores.ts';
import type { OfflineSession } from '../learn/offline-session.ts';
import type { TrainingData } from './train-data.ts';
import type { TrainOptions } from './train-options.ts';

const count = (value: number): string => value.toLocaleString('en-US');
const percent = (share: number): string => (share === share ? `${(100 * share).toFixed(1)} %` : '-');
const number = (value: number): string => (value === value ? String(Number(value.toPrecision(4))) : '-');

/** What was read, and what is going to be learned from it. */
export function startText(path: string, { task, data, notes, dropped }: TrainingData): string {
  const inputs = data.inputNames.length;
  const names = data.inputNames.slice(0, 8).join(', ') + (inputs > 8 ? ', ...' : '');
  const what =
    task === 'classify'
      ? `${data.classes.length} classes: ${data.classes.slice(0, 8).join(', ')}${data.classes.length > 8 ? ', ...' : ''}`
      : data.targetNames.join(', ');
  const lines = [
    `${path}: ${count(data.rows)} rows. ${task === 'classify' ? 'Classify' : 'Regress'}: ${what}; ` +
      `from ${inputs} input${inputs === 1 ? '' : 's'}: ${names}.`,
    ...notes,
  ];
  if (data.unanswered > 0)
    lines.push(`${count(data.unanswered)} rows have nothing to be predicted and are left out.`);
  const drops = Object.entries(dropped).map(
    ([reason, { rows, firstLine }]) =>
      `${count(rows)} ${reason}${firstLine === undefined ? '' : ` (first in line ${firstLine})`}`,
  );
  if (drops.length > 0) lines.push(`Dropped: ${drops.join(', ')}.`);
  return `${lines.join('\n')}\n`;
}

/** How the network looks and which rows it learns from. */
export function planText(
  options: TrainOptions,
  session: OfflineSession,
  rows: number,
  trainRows: number,
): string {
  const { network, batch, epochs } = session.offline.config;
  const { inputs, hidden, outputs, hiddenActivation, optimiser, learningRate } = network;
  const kept = rows - trainRows;
  const which = options.split === 'tail' ? `the last ${count(kept)}` : `${count(kept)} drawn by lot`;
  return (
    `${inputs} inputs -> ${hidden} hidden (${hiddenActivation}) -> ${outputs} outputs; ${optimiser} ${learningRate}, ` +
    `batches of ${batch}, up to ${epochs} epochs; ${Math.ceil(session.arenaBytes / 1024)} KiB, ` +
    `${session.workers} thread${session.workers === 1 ? '' : 's'}.\n` +
    `Learning from ${count(trainRows)} rows; ${kept > 0 ? `${which} are kept for validation` : 'none are kept'}.\n`
  );
}

export interface Trained {
  readonly seconds: number;
  readonly stopped: boolean;
  readonly weights: string;
  /** undefined: no rows were kept. */
  readonly scores: OfflineScores | undefined;
}

export function endText(
  { data, task }: TrainingData,
  session: OfflineSession,
  { seconds, stopped, scores }: Trained,
): string {
  const { progress } = session;
  const epochs = progress[PROGRESS.epochs];
  const best = progress[PROGRESS.bestEpoch];
  const skipped = progress[PROGRESS.skipped];
  const rate = progress[PROGRESS.samples] / seconds;
  const lines = [
    `${stopped ? 'Stopped' : 'Done'} after ${count(epochs)} epochs in ${seconds.toFixed(1)} s (${count(Math.floor(rate))} samples/s); ` +
      (best === 0 ? 'the weights are the initial ones.' : `the weights are those of epoch ${best}.`),
  ];
  if (skipped > 0) {
    lines.push(
      `${count(skipped)} steps were left out since a weight would not have stayed finite: try a lower --rate.`,
    );
  }
  if (scores === undefined) lines.push('Not scored: no rows were kept for it.');
  else
    lines.push(
      ...(task === 'classify' ? classLines(scores, data.classes) : valueLines(scores, data.targetNames)),
    );
  return `${lines.join('\n')}\n`;
}

function classLines(
  { rows, network, references, unseen }: OfflineScores,
  classes: readonly string[],
): string[] {
  const own = network.classes!;
  const lines = [
    `On the ${count(rows)} rows kept, which also chose the epoch:`,
    `  right                    ${percent(own.accuracy)}   balanced ${percent(own.balancedAccuracy)}, ` +
      `kappa ${number(own.kappa)}, F1 ${number(own.f1)}, log loss ${number(network.logLoss ?? NaN)}`,
  ];
  const names: Record<Reference, string> = {
    constant: 'the most frequent class',
    previous: 'the label before',
    linear: 'a linear model',
  };
  for (const [reference, scores] of besides(references)) {
    const shown = percent(scores.classes!.accuracy);
    lines.push(`  ${names[reference].padEnd(24)} ${shown}   ${verdictWords(scores.comparison, 'points')}`);
  }
  if (unseen.length > 0) {
    const missing = unseen.map((label) => classes[label]).join(', ');
    lines.push(`Classes that came only in the rows kept: ${missing}. Try --split shuffled.`);
  }
  return lines;
}

function valueLines({ rows, network, references }: OfflineScores, targets: readonly string[]): string[] {
  const lines = [`On the ${count(rows)} rows kept, which also chose the epoch:`];
  const names: Record<Reference, string> = {
    constant: 'the mean',
    previous: 'the value before',
    linear: 'a linear model',
  };
  targets.forEach((target, k) => {
    const own = network.targets![k];
    lines.push(
      `  ${`${target}, RMSE`.padEnd(24)} ${number(own.rmse)}   MAE ${number(own.mae)}, R² ${number(own.r2)}`,
    );
    for (const [reference, scores] of besides(references)) {
      const verdict = k === targets.length - 1 ? verdictWords(scores.comparison, 'squared') : '';
      lines.push(
        `  ${names[reference].padEnd(24)} ${number(scores.targets![k].rmse)}   ${verdict}`.trimEnd(),
      );
    }
  });
  return lines;
}

function besides(references: OfflineScores['references']) {
  return Object.entries(references) as [Reference, Scores & { comparison: Comparison }][];
}

/** The network beside a reference: points of accuracy, or percent of its squared error. */
function verdictWords({ verdict, gain, low, high, error }: Comparison, kind: 'points' | 'squared'): string {
  if (gain !== gain) return 'too few rows to say which is better';
  const scale = kind === 'points' ? 100 : 100 / error;
  const unit = kind === 'points' ? 'points' : '% less squared error';
  const digits = (value: number): string => (scale * value).toFixed(1);
  const words = {
    better: 'the network is better',
    notYet: 'not shown to be better',
    noBetter: 'the network is no better',
  };
  return `${words[verdict]}: ${digits(gain)} ${unit} (${digits(low)} to ${digits(high)})`;
}

/** The line that sets a live learner on these weights. */
export function liveText({ data, task }: TrainingData, session: OfflineSession, weights: string): string {
  const { hidden, outputs, hiddenActivation } = session.offline.network.config;
  if (task === 'regress') return `Weights: ${weights}\n`;
  return (
    `Weights: ${weights}\n` +
    `To go on live from here: edgeloop run --weights ${weights}, with hidden = ${hidden}, classes = ${outputs}, ` +
    `activation = "${hiddenActivation}" under [network] and the columns ${data.inputNames.join(', ')}.\n`
  );
}

// --- The document ------------------------------------------------------------------------------------------------

const CLASS_NAMES: Record<Reference, string> = {
  constant: 'majority',
  previous: 'lastLabel',
  linear: 'linear',
};
const VALUE_NAMES: Record<Reference, string> = {
  constant: 'mean',
  previous: 'persistence',
  linear: 'linear',
};

/** Of --json. Shares are 0..1; null is what cannot be said. */
export function trainDocument(
  { data, task, dropped }: TrainingData,
  session: OfflineSession,
  options: TrainOptions,
  { seconds, stopped, weights, scores }: Trained,
  trainRows: number,
): Record<string, unknown> {
  const { progress, workers, arenaBytes } = session;
  const { network, batch } = session.offline.config;
  return {
    task,
    rows: { train: trainRows, validation: data.rows - trainRows, unanswered: data.unanswered },
    dropped,
    inputs: data.inputNames,
    ...(task === 'classify' ? { classes: data.classes } : { targets: data.targetNames }),
    network: {
      hidden: network.hidden,
      outputs: network.outputs,
      activation: network.hiddenActivation,
      optimiser: network.optimiser,
      learningRate: network.learningRate,
      batch,
      seed: options.seed,
    },
    split: options.split,
    epochs: progress[PROGRESS.epochs],
    bestEpoch: progress[PROGRESS.bestEpoch],
    stopped,
    skipped: progress[PROGRESS.skipped],
    seconds,
    workers,
    arenaBytes,
    validation: scores === undefined ? null : scoresDocument(scores, task, data.targetNames),
    weights,
  };
}

function scoresDocument(
  { rows, network, references, unseen }: OfflineScores,
  task: TrainingData['task'],
  targets: readonly string[],
): Record<string, unknown> {
  const names = task === 'classify' ? CLASS_NAMES : VALUE_NAMES;
  const flat = ({ classes, logLoss, targets: values }: Scores): Record<string, unknown> => ({
    ...classes,
    ...(logLoss === undefined ? {} : { logLoss }),
    ...(values === undefined ? {} : { targets: values.map((one, k) => ({ target: targets[k], ...one })) }),
  });
  return {
    rows,
    network: flat(network),
    beside: Object.fromEntries(
      besides(references).map(([reference, { comparison, ...scores }]) => [
        names[reference],
        { ...flat(scores), gain: comparison },
      ]),
    ),
    ...(unseen.length > 0 ? { unseenClasses: unseen } : {}),
  };
}
