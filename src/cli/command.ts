/** The command line: which command, its arguments, and what an error looks like. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { Config } from '../config.ts';
import { EXIT, EdgeloopError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { parseDuration } from './duration.ts';

const NODE_MAJOR_MIN = 24;

const HELP = `edgeloop ${VERSION}: a serial sensor stream trains a two-layer network, live

  edgeloop run --config FILE   learn from the board on a serial port
  edgeloop demo                the same with a virtual board: a small motor, simulated
  edgeloop ports               which serial ports there are, their stable names, and what stands in the way
  edgeloop sniff PORT          listen to a board and write the config for it
  edgeloop record PORT         keep what a board sends, byte by byte
  edgeloop replay DIR          play a recording, as rows or as a port
  edgeloop status              how a running model does; label, freeze, unfreeze and relearn control it
  edgeloop train FILE          learn from a CSV file or a recording, and say how good the result is
  edgeloop eval FILE.csv       the file as if it were a stream: predict, score, then learn each row
  edgeloop trace               the published run of the original Edge Computing Engine, to the digit
  edgeloop --help | --version  (and edgeloop COMMAND --help)
`;

const RUN_HELP = `edgeloop run --config FILE [options]

  --config FILE    which port, columns and network; every key is listed below
  --weights FILE   weight file instead of the config's
${'$STREAM'}
Keys of the config, each with its default, unit or meaning, and limits:
${'$KEYS'}`;

const DEMO_HELP = `edgeloop demo [options]

  --seed N         of the simulated motor (1)
  --weights FILE   weight file (demo.safetensors in the state directory)
${'$STREAM'}`;

const STREAM_HELP = `  --for TIME       end after this long: 500ms, 10s, 5m, 2h
  --fresh          begin with new weights; the old file is kept as FILE.old
  --output jsonl   print each prediction as a line of JSON
  --json           print one JSON object as the last line
`;

const TRACE_HELP = `edgeloop trace [--json]

  Prints the output delta before each of the five updates of the published run: once with W in the hidden
  delta, as the published figures were made, once with the transpose, as the formula says.
`;

type Options = NonNullable<ParseArgsConfig['options']>;

const STREAM_OPTIONS = {
  for: { type: 'string' },
  fresh: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  output: { type: 'string' },
  weights: { type: 'string' },
} as const satisfies Options;

/** Runs one command. @returns the exit status; errors have been said on standard error */
export async function runCommand(args: readonly string[]): Promise<number> {
  try {
    requireNode(process.versions.node);
    return await dispatch(args[0] ?? '--help', args.slice(1));
  } catch (error) {
    if (!(error instanceof EdgeloopError)) throw error;
    process.stderr.write(`edgeloop: ${error.code}: ${error.message}\n`);
    return error.exitStatus;
  }
}

function dispatch(command: string, args: string[]): Promise<number> | number {
  switch (command) {
    case 'run':
      return run(args);
    case 'demo':
      return demo(args);
    case 'ports':
      return import('./ports.ts').then(({ ports }) => ports(args));
    case 'sniff':
      return import('./sniff.ts').then(({ sniff }) => sniff(args));
    case 'record':
      return import('./record.ts').then(({ record }) => record(args));
    case 'replay':
      return import('./replay.ts').then(({ replay }) => replay(args));
    case 'label':
    case 'freeze':
    case 'unfreeze':
    case 'relearn':
    case 'status':
      return import('./control.ts').then(({ control }) => control(command, args));
    case 'train':
      return import('./train.ts').then(({ train }) => train(args));
    case 'eval':
      return import('./eval.ts').then(({ evaluate }) => evaluate(args));
    case 'trace':
      return trace(args);
    case 'virtual-board': // the demo's other half; it starts it itself
      return virtualBoard(args);
    case '--help':
    case '-h':
    case 'help':
      return say(HELP);
    case '--version':
    case '-V':
      return say(`${VERSION}\n`);
    default:
      throw new EdgeloopError('ELOOP_CONFIG', `expected a command, got "${command}". Try edgeloop --help.`);
  }
}

async function run(args: string[]): Promise<number> {
  const values = parse(args, { ...STREAM_OPTIONS, config: { type: 'string' } } as const);
  if (values.help) return say(RUN_HELP.replace('$STREAM', STREAM_HELP).replace('$KEYS', await listKeys()));
  if (values.config === undefined) {
    throw new EdgeloopError(
      'ELOOP_CONFIG',
      'edgeloop run: expected --config FILE. There is an example in the README.',
    );
  }
  const { readConfig } = await import('../config.ts');
  const { runStream } = await import('./run.ts');
  const options = streamOptions(values);
  return runStream(await completeConfig(readConfig(values.config), options.forMs), options);
}

/** Where the config leaves it to us, hears what the board prints, and says what was decided. */
async function completeConfig(config: Config, forMs: number | undefined): Promise<Config> {
  if (config.input.format !== 'auto') return config;
  const { recogniseInput } = await import('../service/recognise-input.ts');
  const { config: complete, because } = await recogniseInput(config, forMs, sayAside);
  const { format, columns, label } = complete.input;
  sayAside(`Recognised ${format}: ${columns.join(', ')}; the class is "${label}" (${because.join('; ')}).`);
  return complete;
}

async function demo(args: string[]): Promise<number> {
  const values = parse(args, { ...STREAM_OPTIONS, seed: { type: 'string', default: '1' } } as const);
  if (values.help) return say(DEMO_HELP.replace('$STREAM', STREAM_HELP));
  const { runDemo } = await import('./demo.ts');
  return runDemo(parseSeed(values.seed), streamOptions(values));
}

async function trace(args: string[]): Promise<number> {
  const values = parse(args, { json: { type: 'boolean', default: false } } as const);
  if (values.help) return say(TRACE_HELP);
  const { trace: printTrace } = await import('./trace.ts');
  printTrace((text) => void process.stdout.write(text), values.json);
  return EXIT.ok;
}

async function virtualBoard(args: string[]): Promise<number> {
  const values = parse(args, { seed: { type: 'string', default: '1' } } as const);
  const { runBoard } = await import('../demo/board.ts');
  const { LINES_PER_SECOND } = await import('../demo/motor.ts');
  await runBoard({ seed: parseSeed(values.seed), linesPerSecond: LINES_PER_SECOND });
  return EXIT.ok;
}

/** What `run` and `demo` share. */
export interface StreamOptions {
  /** End by itself after this long; undefined: never. */
  readonly forMs: number | undefined;
  readonly fresh: boolean;
  readonly json: boolean;
  /** Print each prediction as a line of JSON. */
  readonly output: boolean;
  /** Weight file instead of the config's. */
  readonly weights: string | undefined;
}

function streamOptions(values: {
  for?: string | undefined;
  fresh: boolean;
  json: boolean;
  output?: string | undefined;
  weights?: string | undefined;
}): StreamOptions {
  if (values.output !== undefined && values.output !== 'jsonl') {
    throw new EdgeloopError('ELOOP_CONFIG', `--output: expected jsonl, got "${values.output}".`);
  }
  const forMs = values.for === undefined ? undefined : parseDuration(values.for);
  return {
    forMs,
    fresh: values.fresh,
    json: values.json,
    output: values.output === 'jsonl',
    weights: values.weights,
  };
}

function parse<const T extends Options>(args: string[], options: T) {
  const all = { ...options, help: { type: 'boolean', short: 'h', default: false } } as const;
  try {
    return parseArgs({ args, options: all, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    throw new EdgeloopError('ELOOP_CONFIG', `${(cause as Error).message}. Try --help.`);
  }
}

function parseSeed(text: string): number {
  if (!/^\d{1,9}$/.test(text)) {
    throw new EdgeloopError(
      'ELOOP_CONFIG',
      `--seed: expected an integer from 0 to 999999999, got "${text}".`,
    );
  }
  return Number(text);
}

async function listKeys(): Promise<string> {
  const { OPTIONS } = await import('../config.ts');
  return Object.entries(OPTIONS)
    .map(([key, { default: value, about, expected }]) => {
      const shown = value === undefined ? 'required' : JSON.stringify(value);
      return `  ${key} = ${shown}\n      ${about}; ${expected}\n`;
    })
    .join('');
}

/** The package runs through type stripping and shared WebAssembly memory: an older Node fails in odd ways. */
function requireNode(version: string): void {
  if (Number.parseInt(version, 10) >= NODE_MAJOR_MIN) return;
  throw new EdgeloopError(
    'ELOOP_NODE',
    `expected Node ${NODE_MAJOR_MIN} or newer, got ${version}. Install a newer one.`,
  );
}

/** Beside the output, which another program may be reading. */
function sayAside(text: string): void {
  process.stderr.write(`${text}\n`);
}

function say(text: string): number {
  process.stdout.write(text);
  return EXIT.ok;
}
