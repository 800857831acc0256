/**
 * `edgeloop eval`: a CSV file as if it were a stream. Every row is predicted first, then scored, then learned, just as
 * a live stream would be; memory does not depend on the size of the file.
 */
import { setImmediate } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Config, makeConfig } from '../config.ts';
import { EXIT, EdgeloopError } from '../errors.ts';
import { type CsvReader, type CsvRow, openCsv } from '../files/csv.ts';
import { type Model, openModel, planModel, startModel, takeRecord } from '../learn/model.ts';
import { type ModelReport, reportModel } from '../learn/report.ts';
import { modelConfigOf } from '../service/model-config.ts';
import { saveModel } from '../store/weights.ts';
import { inputNames } from '../stream/inputs.ts';
import { RECORD } from '../stream/ring.ts';
import { Ending } from './ending.ts';
import { Progress } from './progress.ts';
import { count, reportText } from './words.ts';

export const EVAL_HELP = `edgeloop eval FILE.csv [options]

  --label COLUMN      learn the class in this column
  --target A[,B]      learn the numbers in these columns
  --forecast A[,B]    foretell these columns
  --anomaly           learn what is usual, then guard
  --columns A,B,...   inputs (all columns of numbers)
  --set KEY=VALUE     any key of the config, such as network.hidden=32 or task.horizonRows=24; may be repeated
  --weights FILE      keep the model there when the file has been read
  --json              print one JSON object as the last line

  Predicts each row, then scores it, then learns it. Nothing else has to be chosen.
`;

/** Rows between two looks at the clock and at signals. */
const ROWS_AT_ONCE = 2000;

interface EvalOptions {
  readonly path: string;
  readonly config: Config;
  readonly columns: readonly string[] | undefined;
  readonly weights: string | undefined;
  readonly json: boolean;
}

/** @returns the exit status */
export async function evaluate(args: string[]): Promise<number> {
  const options = parse(args);
  if (options === undefined) {
    process.stdout.write(EVAL_HELP);
    return EXIT.ok;
  }
  const ending = new Ending(undefined);
  let isEnded = false;
  void ending.reason.then(() => (isEnded = true));
  try {
    const run = openRun(options);
    await readAll(run, () => isEnded);
    await finish(options, run);
    return EXIT.ok;
  } finally {
    ending.dispose();
  }
}

interface Run {
  readonly csv: CsvReader;
  readonly config: Config;
  readonly model: Model;
  readonly names: readonly string[];
  readonly arenaBytes: number;
}

function openRun({ path, config: asked, columns }: EvalOptions): Run {
  const { label } = asked.input;
  const { kind, targets } = asked.task;
  const csv = openCsv(path, {
    ...(columns === undefined ? {} : { columns }),
    ...(label === '' ? {} : { label }),
    targets: kind === 'regress' ? targets : [],
    classesMax: asked.network.classes,
  });
  const names = [...csv.inputs, ...csv.targets];
  const config = { ...asked, input: { ...asked.input, columns: label === '' ? names : [...names, label] } };
  if (kind === 'forecast' && targets.some((target) => !names.includes(target))) {
    throw usage(`--forecast: expected columns of ${names.join(', ')}, got ${targets.join(', ')}`);
  }
  const plan = planModel(modelConfigOf(config));
  const model = openModel(plan, plan.arena.allocate());
  startModel(model);
  return { csv, config, model, names, arenaBytes: plan.arena.sizeBytes };
}

async function readAll({ csv, model }: Run, isEnded: () => boolean): Promise<void> {
  const progress = new Progress(process.stderr, { what: 'reading', unit: 'bytes', total: csv.sizeBytes });
  const values = new Float32Array(csv.inputs.length + csv.targets.length);
  let sequence = 0;
  const take = (row: CsvRow): void => {
    values.set(row.values);
    values.set(row.targets, row.values.length);
    // Without a time the rows count as a second apart, so that alarms per hour mean something.
    const timeUs = Number.isFinite(row.timeUs[0]) ? row.timeUs[0] : sequence * 1_000_000;
    const high = Math.floor(sequence / 4_294_967_296);
    takeRecord(model, RECORD.row, row.label, sequence | 0, high, timeUs, values, 0);
    sequence += 1;
  };
  try {
    while (!isEnded() && csv.read(take, ROWS_AT_ONCE)) {
      progress.update(csv.bytesRead);
      await setImmediate();
    }
  } finally {
    csv.close();
  }
  progress.end();
}

async function finish(options: EvalOptions, run: Run): Promise<void> {
  const { csv, config, model, names, arenaBytes } = run;
  const report = reportModel(model, names, config.input.rowsPerSecond || 1);
  if (options.weights !== undefined) {
    const modelConfig = model.config;
    const inputs = modelConfig.kind === 'anomaly' ? names : inputNames(modelConfig.inputs, names);
    await saveModel(
      options.weights,
      { config: modelConfig, columnNames: names, inputNames: inputs },
      model,
      csv.classes,
    );
  }
  const say = options.json ? process.stderr : process.stdout;
  say.write(`${options.path}: ${count(report.rows)} rows, model ${Math.ceil(arenaBytes / 1024)} KiB.\n`);
  say.write(reportText(report));
  if (options.json) process.stdout.write(`${JSON.stringify(documentOf(options, run, report))}\n`);
}

function documentOf(options: EvalOptions, { csv, arenaBytes }: Run, report: ModelReport): object {
  const { path, weights = null } = options;
  return { file: path, ...report, classes: csv.classes, dropped: csv.dropped, arenaBytes, weights };
}

const OPTIONS = {
  label: { type: 'string' },
  target: { type: 'string' },
  forecast: { type: 'string' },
  anomaly: { type: 'boolean', default: false },
  columns: { type: 'string' },
  set: { type: 'string', multiple: true, default: [] as string[] },
  weights: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

function parse(args: string[]): EvalOptions | undefined {
  let given;
  try {
    given = parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (cause) {
    throw usage((cause as Error).message);
  }
  const { values, positionals } = given;
  if (values.help) return undefined;
  if (positionals.length !== 1) throw usage(`expected one FILE, got ${positionals.length}`);
  const columns = values.columns?.split(',');
  return {
    path: positionals[0],
    config: configOf(values, columns),
    columns,
    weights: values.weights,
    json: values.json,
  };
}

function configOf(
  values: {
    label?: string | undefined;
    target?: string | undefined;
    forecast?: string | undefined;
    anomaly: boolean;
    set: readonly string[];
  },
  columns: readonly string[] | undefined,
): Config {
  const { label, target, forecast, anomaly } = values;
  const asked =
    [label, target, forecast].filter((task) => task !== undefined).length +
    Number(anomaly && label === undefined);
  if (asked !== 1) throw usage('expected one of --label, --target, --forecast and --anomaly');
  const targets = (target ?? forecast)?.split(',') ?? [];
  const kind = anomaly
    ? 'anomaly'
    : label !== undefined
      ? 'classify'
      : target !== undefined
        ? 'regress'
        : 'forecast';
  // What the columns are is known once the file is open.
  const config = makeConfig(
    {
      'serial.port': 'a file',
      'input.format': 'auto',
      ...(label === undefined ? {} : { 'input.label': label }),
      ...(columns === undefined || columns.length < 2 ? {} : { 'input.columns': columns }),
      'task.kind': kind,
      'task.targets': targets,
      ...Object.fromEntries(values.set.map(settingOf)),
    },
    '--set',
  );
  return { ...config, input: { ...config.input, format: 'csv' } };
}

/** "network.hidden=32" -> ["network.hidden", 32] */
function settingOf(text: string): [string, string | number | boolean | string[]] {
  const at = text.indexOf('=');
  if (at < 1) throw usage(`--set: expected KEY=VALUE, got "${text}"`);
  const value = text.slice(at + 1);
  return [text.slice(0, at), valueOf(value)];
}

function valueOf(text: string): string | number | boolean | string[] {
  if (text === 'true' || text === 'false') return text === 'true';
  if (text.startsWith('[') && text.endsWith(']')) return text.slice(1, -1).split(',').filter(Boolean);
  return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

function usage(sentence: string): EdgeloopError {
  return new EdgeloopError('ELOOP_CONFIG', `edgeloop eval: ${sentence}. Try edgeloop eval --help.`);
}
