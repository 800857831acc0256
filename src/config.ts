/**
 * Every option once: unit, default, limit, check. A config is a TOML file; each key is looked up in the table below,
 * and a key that is not there, or a value that does not pass, is an error that names the key, the line and what was
 * expected.
 */
import { readFileSync } from 'node:fs';
import { TomlError, parse } from 'smol-toml';
import { ACTIVATIONS, type Activation } from './engine/network.ts';
import { EdgeloopError } from './errors.ts';
import {
  DIALECTS,
  SEPARATORS,
  type Separator,
  TELEPLOT_STAMP,
  TIME_UNITS,
  type TimeUnit,
  patternFault,
  valueColumns,
} from './serial/dialects.ts';
import { FEATURE_KINDS, type FeatureKind } from './stream/inputs.ts';
import { LABEL_BYTES_MAX, isLabel } from './serial/labels.ts';

export interface Config {
  readonly serial: {
    readonly port: string;
    /** "auto" only until what the board prints has been recognised. */
    readonly baudRate: number | 'auto';
    readonly dataBits: 5 | 6 | 7 | 8;
    readonly parity: 'none' | 'even' | 'odd';
    readonly stopBits: 1 | 2;
    readonly dtr: boolean;
    readonly rts: boolean;
    readonly hangUpOnClose: boolean;
    readonly readEveryMs: number;
    readonly reopen: boolean;
  };
  readonly input: {
    readonly format: InputFormat;
    readonly columns: readonly string[];
    readonly label: string;
    readonly time: string;
    readonly timeUnit: TimeUnit;
    readonly classes: readonly string[];
    readonly separator: Separator;
    readonly pattern: string;
    readonly rowsPerSecond: number;
    readonly windowRows: number;
    readonly windowSeconds: number;
    readonly hopRows: number;
    readonly features: readonly FeatureKind[];
    readonly bands: number;
    readonly breakAtLabelChange: boolean;
  };
  readonly task: {
    readonly kind: TaskKind;
    readonly targets: readonly string[];
    readonly horizonRows: number;
    readonly labelDelayRows: number;
    readonly labelDelaySeconds: number;
    readonly alarmsPerDay: number;
    readonly learnRows: number;
  };
  readonly learning: {
    readonly race: 'full' | 'cheap' | 'off';
    readonly rehearsalSamples: number;
    readonly respondToDrift: boolean;
  };
  readonly network: {
    readonly hidden: number;
    readonly classes: number;
    readonly activation: Activation;
    readonly learningRate: number;
    readonly seed: number;
  };
  readonly output: {
    readonly line: string;
    readonly frame: boolean;
    readonly everyMs: number;
    readonly onChange: boolean;
  };
  readonly control: { readonly name: string };
  readonly stream: { readonly ringRows: number };
  readonly store: { readonly weights: string; readonly saveEverySeconds: number };
}

const TASKS = ['classify', 'regress', 'forecast', 'anomaly'] as const;
export type TaskKind = (typeof TASKS)[number];

/** How the board prints its rows; `auto`: recognised from the first seconds. */
const INPUT_FORMATS = ['auto', ...DIALECTS, 'frames'] as const;
export type InputFormat = (typeof INPUT_FORMATS)[number];

type Value = string | number | boolean | readonly string[];

interface Option {
  /** Unit or meaning, for people. */
  readonly about: string;
  /** undefined: must be given. */
  readonly default?: Value;
  /** What is expected, as a noun phrase: "an integer from 1 to 4096". */
  readonly expected: string;
  readonly accepts: (value: unknown) => boolean;
}

function integer(min: number, max: number, about: string, byDefault: number): Option {
  return {
    about,
    default: byDefault,
    expected: `an integer from ${min} to ${max}`,
    accepts: (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
  };
}

function number(min: number, max: number, about: string, byDefault: number): Option {
  return {
    about,
    default: byDefault,
    expected: `a number from ${min} to ${max}`,
    accepts: (value) => typeof value === 'number' && value >= min && value <= max,
  };
}

/** Names out of `choices`, or any if there are none. */
function names(about: string, choices: readonly string[] = []): Option {
  return {
    about,
    default: [],
    expected: choices.length > 0 ? `a list of ${choices.join(', ')}` : 'a list of different names',
    accepts: (value) =>
      Array.isArray(value) &&
      new Set(value).size === value.length &&
      value.every((name) => typeof name === 'string' && (choices.length === 0 || choices.includes(name))),
  };
}

function text(about: string, byDefault?: string): Option {
  return {
    about,
    ...(byDefault === undefined ? {} : { default: byDefault }),
    expected: 'a text in quotes that is not empty',
    accepts: (value) => typeof value === 'string' && value.length > 0 && !value.includes('\0'),
  };
}

function oneOf(choices: readonly string[], about: string, byDefault: string): Option {
  return {
    about,
    default: byDefault,
    expected: `one of ${choices.map((name) => `"${name}"`).join(', ')}`,
    accepts: (value) => choices.includes(value as string),
  };
}

function flag(about: string, byDefault: boolean): Option {
  return {
    about,
    default: byDefault,
    expected: 'true or false',
    accepts: (value) => typeof value === 'boolean',
  };
}

/** A line to the board must fit what its UART takes between two looks. */
const REPLY_CHARS_MAX = 64;

/** Each input column costs a column of weights; more than this does not fit a line (LINE_BYTES_MAX) anyway. */
const COLUMNS_MAX = 256;

/** Bits per second. */
export const BAUD_RATE_MIN = 50;
export const BAUD_RATE_MAX = 4_000_000;

/** As many as a frame's label can name, and one. */
const CLASSES_MAX = 256;

export const OPTIONS: Readonly<Record<string, Option>> = {
  'serial.port': text(
    'device of the board, best by its stable name (edgeloop ports); "auto": the only one there is',
  ),
  'serial.baudRate': {
    about:
      'bits per second, as in the sketch (Serial.begin); "auto", with format = "auto": the usual ones are tried',
    default: 115_200,
    expected: `an integer from ${BAUD_RATE_MIN} to ${BAUD_RATE_MAX}, or "auto"`,
    accepts: (value) => value === 'auto' || isBaudRate(value),
  },
  'serial.dataBits': integer(5, 8, 'bits of a character', 8),
  'serial.parity': oneOf(['none', 'even', 'odd'], 'parity bit of a character', 'none'),
  'serial.stopBits': integer(1, 2, 'stop bits of a character', 1),
  // Linux raises both lines at open whatever one asks; some boards take DTR low and RTS high as "stay in reset".
  'serial.dtr': flag('level of the DTR line once open', true),
  'serial.rts': flag('level of the RTS line once open', true),
  'serial.hangUpOnClose': flag(
    'drop DTR at close: every open then resets the board, not only the first',
    false,
  ),
  // 100: a tty holds 4 KiB, which a slow board at 115,200 bits per second fills in 355 ms.
  'serial.readEveryMs': integer(
    0,
    100,
    'least time between reads in milliseconds, and so the latency added; 0: read at once',
    10,
  ),
  'serial.reopen': flag('wait for a port that is away and open it again; false: end with status 3', true),
  'input.format': oneOf(
    INPUT_FORMATS,
    'how the board prints its rows; `edgeloop sniff` finds out',
    'numbers',
  ),
  'input.columns': {
    about: 'names of the cells of a line, in order, the label among them; not needed with format = "auto"',
    default: [],
    expected: `a list of 2 to ${COLUMNS_MAX} different names`,
    accepts: isNameList,
  },
  'input.label': text('which of the columns holds the class; not needed with format = "auto"', ''),
  'input.time': text(
    'which of the columns holds the board\'s clock, which then times the rows and is no value; "stamp" for Teleplot\'s own',
    '',
  ),
  'input.timeUnit': oneOf(TIME_UNITS, 'of that clock: millis() is "ms", micros() is "us"', 'ms'),
  'input.classes': {
    about: 'names of the classes, in order: rows with another one are dropped; []: learned as they come',
    default: [],
    expected: `a list of up to ${CLASSES_MAX} different names of 1 to ${LABEL_BYTES_MAX} bytes`,
    accepts: (value) => isClassList(value),
  },
  'input.separator': oneOf(
    SEPARATORS,
    'between the cells of numbers, csv and plotter; "any" is comma, semicolon or tab (of plotter comma, space or tab)',
    'any',
  ),
  'input.pattern': {
    about: 'of text: where the columns stand, as in "Acc [ {x}, {y} ] {state}"',
    default: '',
    expected: 'a text in quotes',
    accepts: (value) => typeof value === 'string' && !/[\0\n]/.test(value),
  },
  'input.rowsPerSecond': number(0, 1e6, 'rows that the board prints in a second; 0: not known', 0),
  // 65,536 rows are a minute at 1 kHz; every column keeps its window twice.
  'input.windowRows': integer(0, 65_536, 'rows that the model sees at once; 0: what suits the task', 0),
  'input.windowSeconds': number(0, 3600, 'the same in seconds, with rowsPerSecond; 0: in rows', 0),
  'input.hopRows': integer(0, 65_536, 'rows from one prediction to the next; 0: what suits the task', 0),
  'input.features': names(
    'what is read off the window, of each column; []: what suits the task',
    FEATURE_KINDS,
  ),
  'input.bands': integer(1, 256, 'bands of the spectrum that the feature "bands" gives', 8),
  'input.breakAtLabelChange': flag('whether a window begins anew where the label changes', true),
  'task.kind': oneOf(
    TASKS,
    'what is learned: the class, the numbers of columns, the future of a column, or what is usual',
    'classify',
  ),
  'task.targets': names('of regress and forecast: the columns to be predicted'),
  'task.horizonRows': integer(1, 65_536, 'of forecast: how many rows ahead', 1),
  'task.labelDelayRows': integer(0, 65_536, 'rows by which labels come late', 0),
  'task.labelDelaySeconds': number(0, 86_400, 'the same in seconds; 0: in rows', 0),
  'task.alarmsPerDay': number(0.01, 100_000, 'of anomaly: how many false alarms are put up with', 1),
  'task.learnRows': integer(400, 1_000_000, 'of anomaly: rows to learn what is usual from', 2000),
  'learning.race': oneOf(
    ['full', 'cheap', 'off'],
    'candidates that race, so that no rate has to be chosen; "off": one network at network.learningRate',
    'full',
  ),
  'learning.rehearsalSamples': integer(
    0,
    65_536,
    'of classify: samples kept against forgetting; 0: none',
    256,
  ),
  'learning.respondToDrift': flag('whether statistics and outputs are loosened when drift is seen', false),
  'network.hidden': integer(1, 4096, 'hidden units', 16),
  'network.classes': integer(2, CLASSES_MAX, 'outputs: the most classes that can be learned', 8),
  'network.activation': oneOf(ACTIVATIONS, 'of the hidden units', 'tanh'),
  'network.learningRate': {
    about: 'step size of stochastic gradient descent, with learning.race = "off"',
    default: 0.05,
    expected: 'a number above 0, up to 10',
    accepts: (value) => typeof value === 'number' && value > 0 && value <= 10,
  },
  'network.seed': integer(0, 2 ** 31 - 1, 'of the initial weights', 1),
  'output.line': {
    about:
      'sent to the board as it stands, with {class}, {index}, {probability} or {value} filled in, e.g. "{class}\\n"; "": nothing',
    default: '',
    expected: `a text of up to ${REPLY_CHARS_MAX} characters`,
    accepts: (value) => typeof value === 'string' && value.length <= REPLY_CHARS_MAX,
  },
  'output.frame': flag('send the prediction to the board as an edgeloop frame, instead of a line', false),
  'output.everyMs': integer(10, 3_600_000, 'least time between two of them, in milliseconds', 100),
  'output.onChange': flag('send one only when the predicted class is another one than last sent', true),
  'control.name': {
    about: 'of the model, by which `edgeloop label --model NAME` and its kin find it',
    default: 'default',
    expected: 'a word of up to 32 letters, digits, - and _',
    accepts: (value) => typeof value === 'string' && /^[\w-]{1,32}$/.test(value),
  },
  'stream.ringRows': {
    about: 'rows that may wait for the learner',
    default: 4096,
    // 16: a few reads' worth. 65,536 rows of 256 values are 72 MiB, all that a small board can spare.
    expected: 'a power of two from 16 to 65536',
    accepts: (value) => isPowerOfTwo(value) && value >= 16 && value <= 65_536,
  },
  'store.weights': text('weight file; a relative path is below the state directory', 'edgeloop.safetensors'),
  // A save writes a few kilobytes and syncs twice: once a second is what an SD card should be asked for at most.
  'store.saveEverySeconds': integer(1, 86_400, 'between saves while running, in seconds', 60),
};

function isNameList(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length >= 2 &&
    value.length <= COLUMNS_MAX &&
    value.every((name) => typeof name === 'string' && name.length > 0) &&
    new Set(value).size === value.length
  );
}

export function isBaudRate(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= BAUD_RATE_MIN && (value as number) <= BAUD_RATE_MAX;
}

function isClassList(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length <= CLASSES_MAX &&
    value.every((name) => typeof name === 'string' && isLabel(name)) &&
    new Set(value).size === value.length
  );
}

function isPowerOfTwo(value: unknown): value is number {
  return (
    Number.isInteger(value) && (value as number) > 0 && ((value as number) & ((value as number) - 1)) === 0
  );
}

/** @throws EdgeloopError ELOOP_CONFIG */
export function readConfig(path: string): Config {
  let source: string;
  try {
    source = readFileSync(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new EdgeloopError(
      'ELOOP_CONFIG',
      `${path}: cannot read the config (${code}). Check the path and its rights.`,
    );
  }
  return parseConfig(source, path);
}

/**
 * @param source TOML
 * @param name   of the file, for messages
 * @throws EdgeloopError ELOOP_CONFIG naming the key and, if known, the line
 */
export function parseConfig(source: string, name: string): Config {
  const given = flatten(parseToml(source, name));
  for (const [key, value] of given) check(key, value, () => place(source, name, key));
  return buildConfig(given, name);
}

/** Builds a config from values by key, e.g. `{'serial.port': '/dev/ttyACM0'}`; checked like a file. */
export function makeConfig(values: Readonly<Record<string, Value>>, name: string): Config {
  const given = new Map<string, unknown>(Object.entries(values));
  for (const [key, value] of given) check(key, value, () => name);
  return buildConfig(given, name);
}

function parseToml(source: string, name: string): Record<string, unknown> {
  try {
    return parse(source);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const reason = cause.message.split('\n', 1)[0];
    throw new EdgeloopError('ELOOP_CONFIG', `${name}:${cause.line}: expected TOML: ${reason}.`);
  }
}

/** {serial: {port: "x"}} -> [["serial.port", "x"]] */
function flatten(tables: Record<string, unknown>): Map<string, unknown> {
  const values = new Map<string, unknown>();
  for (const [section, table] of Object.entries(tables)) {
    if (typeof table !== 'object' || table === null || Array.isArray(table)) values.set(section, table);
    else for (const [key, value] of Object.entries(table)) values.set(`${section}.${key}`, value);
  }
  return values;
}

function check(key: string, value: unknown, where: () => string): void {
  const option = Object.hasOwn(OPTIONS, key) ? OPTIONS[key] : undefined;
  if (option === undefined) {
    const known = Object.keys(OPTIONS).join(', ');
    throw new EdgeloopError('ELOOP_CONFIG', `${where()}: unknown key ${key}: expected one of ${known}.`);
  }
  if (!option.accepts(value)) {
    throw new EdgeloopError(
      'ELOOP_CONFIG',
      `${where()}: ${key} (${option.about}): expected ${option.expected}, got ${JSON.stringify(value)}.`,
    );
  }
}

function buildConfig(given: ReadonlyMap<string, unknown>, name: string): Config {
  const config: Record<string, Record<string, unknown>> = {};
  for (const [key, option] of Object.entries(OPTIONS)) {
    const value = given.get(key) ?? option.default;
    if (value === undefined) {
      throw new EdgeloopError(
        'ELOOP_CONFIG',
        `${name}: ${key} is missing (${option.about}): expected ${option.expected}.`,
      );
    }
    const [section, leaf] = key.split('.');
    (config[section] ??= {})[leaf] = value;
  }
  const complete = config as unknown as Config;
  checkInput(complete, name);
  checkBaudRate(complete, name);
  checkClasses(complete, name);
  checkOutput(complete.output, name);
  return complete;
}

/** @throws EdgeloopError ELOOP_CONFIG if the keys of [input] and [task] do not fit each other */
export function checkInput({ input, task }: Pick<Config, 'input' | 'task'>, name: string): void {
  const { format, columns, label, pattern } = input;
  if (format === 'auto') return;
  for (const key of ['columns', 'label'] as const) {
    if (input[key].length > 0 || (key === 'label' && task.kind !== 'classify')) continue;
    const { about, expected } = OPTIONS[`input.${key}`];
    const missing = `${name}: input.${key} is missing (${about}): expected ${expected}.`;
    throw new EdgeloopError('ELOOP_CONFIG', missing);
  }
  if (label !== '' && !columns.includes(label)) {
    throw new EdgeloopError(
      'ELOOP_CONFIG',
      `${name}: input.label: expected one of ${columns.join(', ')}, got "${label}".`,
    );
  }
  checkTime(input, name);
  checkTargets({ input, task }, name);
  if (format !== 'text') return;
  const fault =
    pattern === '' ? `without one the label "${label}" is not read` : patternFault(pattern, input);
  if (fault !== undefined) {
    throw new EdgeloopError(
      'ELOOP_CONFIG',
      `${name}: input.pattern: expected each column once in braces, got ${JSON.stringify(pattern)}: ${fault}.`,
    );
  }
}

function checkTargets({ input, task }: Pick<Config, 'input' | 'task'>, name: string): void {
  const { kind, targets } = task;
  const columns = valueColumns(input);
  const wanted = kind === 'regress' || kind === 'forecast';
  const least = wanted ? 1 : 0;
  const most = kind === 'regress' ? columns.length - 1 : kind === 'forecast' ? columns.length : 0;
  const fits = targets.length >= least && targets.length <= most;
  if (fits && targets.every((target) => columns.includes(target))) return;
  const expected = wanted
    ? `${least} to ${most} of ${columns.join(', ')}`
    : `none with task.kind = "${kind}"`;
  throw new EdgeloopError(
    'ELOOP_CONFIG',
    `${name}: task.targets: expected ${expected}, got ${targets.length === 0 ? 'none' : targets.join(', ')}.`,
  );
}

/** Only what is recognised tells rows from noise. */
function checkBaudRate({ serial, input }: Config, name: string): void {
  if (serial.baudRate !== 'auto' || input.format === 'auto') return;
  throw new EdgeloopError(
    'ELOOP_CONFIG',
    `${name}: serial.baudRate: expected a number with input.format = "${input.format}", got "auto". ` +
      '`edgeloop sniff` finds the number; or set input.format to "auto" as well.',
  );
}

function checkClasses({ input, network }: Config, name: string): void {
  if (input.classes.length <= network.classes) return;
  throw new EdgeloopError(
    'ELOOP_CONFIG',
    `${name}: input.classes: expected at most network.classes = ${network.classes} names, got ${input.classes.length}. ` +
      'Set network.classes to as many.',
  );
}

function checkOutput({ line, frame }: Config['output'], name: string): void {
  if (!frame || line === '') return;
  const expected = 'expected a line or a frame to the board, got both';
  throw new EdgeloopError(
    'ELOOP_CONFIG',
    `${name}: output: ${expected}. Leave out output.line or output.frame.`,
  );
}

function checkTime(input: Config['input'], name: string): void {
  const { format, columns, label, time } = input;
  if (time === '') return;
  const candidates = format === 'teleplot' ? [TELEPLOT_STAMP] : columns.filter((column) => column !== label);
  if (format === 'frames' || !candidates.includes(time) || valueColumns(input).length === 0) {
    const expected =
      format === 'frames'
        ? 'nothing with format = "frames", which carry the board\'s clock themselves'
        : `one of ${candidates.join(', ')}, and another column beside it`;
    throw new EdgeloopError('ELOOP_CONFIG', `${name}: input.time: expected ${expected}; got "${time}".`);
  }
}

/** "file.toml:7" if the key's line is found, else "file.toml". Keys are looked for as people write them. */
function place(source: string, name: string, key: string): string {
  const [section, leaf] = key.split('.');
  let inSection = leaf === undefined;
  for (const [index, line] of source.split('\n').entries()) {
    const header = /^\s*\[\s*([^\]]+?)\s*\]/.exec(line);
    if (header) inSection = header[1] === section;
    if (inSection && startsWithKey(line, leaf ?? section)) return `${name}:${index + 1}`;
    if (!inSection && startsWithKey(line, key)) return `${name}:${index + 1}`;
  }
  return name;
}

function startsWithKey(line: string, key: string): boolean {
  const [written] = line.split('=', 1);
  return line.includes('=') && written.replaceAll(/["'\s]/g, '') === key;
}
