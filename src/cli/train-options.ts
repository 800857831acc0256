/** The arguments of `edgeloop train`. */
import { basename, extname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ACTIVATIONS, type Activation, OPTIMISERS, type Optimiser } from '../engine/network.ts';
import { EdgeloopError } from '../errors.ts';
import { type Asked, usage } from './train-data.ts';

export const TRAIN_HELP = `edgeloop train FILE.csv|RECORDING --label NAME [options]

  Learns from a CSV file with a header, or from a recording (edgeloop record), in epochs, and says how good the result
  is on rows that were kept aside, beside what needs no network. Ctrl-C ends it with the best weights so far.

  --label NAME         the column to be predicted: classes if it holds texts or up to 20 integers, else a number
  --target A,B         columns of numbers to be predicted
  --columns A,B,C      inputs (every other column of numbers; of a recording without names: the cells of a line)
  --task T             classify or regress, instead of what the column looks like

  --hidden N           hidden units (32)
  --activation F       of the hidden units: tanh, relu, sigmoid (tanh)
  --classes N          outputs, to leave room for classes that come later, live (as many as the file has)
  --epochs N           most epochs (200)
  --batch N            rows to a step (32)
  --optimiser O        adam, momentum, sgd (adam)
  --rate X             learning rate (adam 0.001, momentum 0.01, sgd 0.05)
  --validation SHARE   of the rows, kept for scores and for choosing the epoch; 0: none (0.2)
  --split S            which rows are kept: tail, the last ones, or shuffled (tail)
  --patience N         epochs without an improvement after which it ends (10)
  --seed N             of the initial weights and the shuffles (1)

  --out FILE           weight file (the name of the data with .safetensors); an old one is kept as FILE.old
  --json               print one JSON object on standard output, and the words on standard error
`;

export const SPLITS = ['tail', 'shuffled'] as const;
const TASKS = ['classify', 'regress'] as const;
const RATES: Readonly<Record<Optimiser, number>> = { adam: 0.001, momentum: 0.01, sgd: 0.05 };

const HIDDEN_MAX = 4096;
const OUTPUTS_MAX = 256;
const EPOCHS_MAX = 1_000_000;
const BATCH_MAX = 65_536;

const OPTIONS = {
  label: { type: 'string' },
  target: { type: 'string' },
  columns: { type: 'string' },
  task: { type: 'string' },
  hidden: { type: 'string', default: '32' },
  activation: { type: 'string', default: 'tanh' },
  classes: { type: 'string' },
  epochs: { type: 'string', default: '200' },
  batch: { type: 'string', default: '32' },
  optimiser: { type: 'string', default: 'adam' },
  rate: { type: 'string' },
  validation: { type: 'string', default: '0.2' },
  split: { type: 'string', default: 'tail' },
  patience: { type: 'string', default: '10' },
  seed: { type: 'string', default: '1' },
  out: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

export interface TrainOptions {
  readonly path: string;
  readonly asked: Asked;
  readonly hidden: number;
  readonly activation: Activation;
  /** undefined: as many as there are. */
  readonly classes: number | undefined;
  readonly epochs: number;
  readonly batch: number;
  readonly optimiser: Optimiser;
  readonly learningRate: number;
  readonly validation: number;
  readonly split: (typeof SPLITS)[number];
  readonly patience: number;
  readonly seed: number;
  /** Absolute. */
  readonly weights: string;
  readonly json: boolean;
}

/** @throws EdgeloopError ELOOP_CONFIG */
export function parseTrainOptions(args: string[]): TrainOptions | 'help' {
  const { values, positionals } = parse(args);
  if (values.help) return 'help';
  if (positionals.length !== 1) {
    const got = positionals.length === 0 ? 'none' : positionals.join(' ');
    throw usage(`expected one CSV file or recording, got ${got}`);
  }
  const [path] = positionals;
  const optimiser = oneOf('optimiser', values.optimiser, OPTIMISERS);
  const integer = (
    name: 'hidden' | 'epochs' | 'batch' | 'patience' | 'seed',
    min: number,
    max: number,
  ): number => number(name, values[name], min, max, true);
  return {
    path,
    asked: {
      task: values.task === undefined ? undefined : oneOf('task', values.task, TASKS),
      label: values.label,
      targets: names('target', values.target),
      columns: names('columns', values.columns),
    },
    hidden: integer('hidden', 1, HIDDEN_MAX),
    activation: oneOf('activation', values.activation, ACTIVATIONS),
    classes:
      values.classes === undefined ? undefined : number('classes', values.classes, 2, OUTPUTS_MAX, true),
    epochs: integer('epochs', 1, EPOCHS_MAX),
    batch: integer('batch', 1, BATCH_MAX),
    optimiser,
    learningRate: values.rate === undefined ? RATES[optimiser] : number('rate', values.rate, 1e-9, 10),
    validation: number('validation', values.validation, 0, 0.9),
    split: oneOf('split', values.split, SPLITS),
    patience: integer('patience', 1, EPOCHS_MAX),
    seed: integer('seed', 0, 999_999_999),
    weights: resolve(values.out ?? `${basename(path, extname(path))}.safetensors`),
    json: values.json,
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, strict: true, allowPositionals: true });
  } catch (cause) {
    throw new EdgeloopError('ELOOP_CONFIG', `${(cause as Error).message}. Try --help.`);
  }
}

function number(name: string, text: string, min: number, max: number, isInteger = false): number {
  const value = /^\d+(\.\d+)?(e-?\d+)?$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max && (!isInteger || Number.isInteger(value))) return value;
  const kind = isInteger ? 'an integer' : 'a number';
  throw usage(`--${name}: expected ${kind} from ${min} to ${max}, got "${text}"`);
}

function oneOf<T extends string>(name: string, text: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw usage(`--${name}: expected one of ${choices.join(', ')}, got "${text}"`);
}

function names(option: string, list: string | undefined): string[] | undefined {
  if (list === undefined) return undefined;
  const found = list.split(',').map((name) => name.trim());
  if (found.includes('') || new Set(found).size < found.length) {
    throw usage(`--${option}: expected different names separated by commas, got "${list}"`);
  }
  return found;
}
