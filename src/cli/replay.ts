/** `edgeloop replay`: plays a recording into the decoder, as JSON lines, or into a pty. */
import { parseArgs } from 'node:util';
import { EXIT, EdgeloopError } from '../errors.ts';
import type { InputFormat } from '../serial/decoder.ts';
import { DIALECTS, SEPARATORS, TELEPLOT_STAMP, TIME_UNITS } from '../serial/dialects.ts';
import { describeRecording } from '../store/recording.ts';
import type { Cut } from '../store/segments.ts';
import { checkColumns, parseColumns } from './columns.ts';
import { parseDuration } from './duration.ts';
import { replayIntoPty } from './replay-pty.ts';
import { replayRows } from './replay-rows.ts';

export const REPLAY_HELP = `edgeloop replay DIR [options]

  Decodes a recording with the times at which its bytes were read and prints each row as a JSON line:
  {"timeUs":1000000,"values":[0.5,null],"label":"on"}; null is a missing value or label.

  --columns A,B,C  names of the cells of a line, the label's among them (those kept with the recording)
  --label NAME     which of the columns holds the class
  --time NAME      which of them holds the board's clock, or "stamp" for Teleplot's own
  --unit UNIT      of that clock: us, ms or s (ms)
  --speed N|full   1: as it was recorded, 10: ten times as fast (full; 1 with --pty)

  --pty            print the path of a tty instead and play the bytes into it: as soon as another program has
                   opened it, or a line comes on standard input
  --wait TIME      play after this long, whether the tty is open or not
  --linger TIME    then keep the tty this long, so that the last bytes are read (1s)
`;

const FORMATS = [...DIALECTS, 'frames'] as const;

const OPTIONS = {
  columns: { type: 'string' },
  label: { type: 'string' },
  time: { type: 'string' },
  unit: { type: 'string' },
  speed: { type: 'string' },
  pty: { type: 'boolean', default: false },
  wait: { type: 'string' },
  linger: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

const SPEED_MAX = 1e6;
const LINGER_BY_DEFAULT = '1s';

/**
 * @returns the exit status: 0 also if a part of the recording is damaged, which is said on standard error
 * @throws EdgeloopError: a bad argument, no recording, no pty
 */
export async function replay(args: string[]): Promise<number> {
  const { values, positionals } = parse(args);
  if (values.help) {
    process.stdout.write(REPLAY_HELP);
    return EXIT.ok;
  }
  if (positionals.length !== 1) {
    const got = positionals.length === 0 ? 'none' : positionals.join(' ');
    throw usage(`expected one directory with a recording, got ${got}`);
  }
  const [directory] = positionals;
  if (values.pty) {
    requireWithout('--pty', values, ['columns', 'label', 'time', 'unit']);
    await replayIntoPty({
      directory,
      speed: parseSpeed(values.speed ?? '1'),
      waitMs: values.wait === undefined ? undefined : parseDuration(values.wait),
      lingerMs: parseDuration(values.linger ?? LINGER_BY_DEFAULT),
      onCut: sayCut,
    });
  } else {
    requireWithout('no --pty', values, ['wait', 'linger']);
    const speed = parseSpeed(values.speed ?? 'full');
    const format = withClock(formatOf(directory, values.columns, values.label), values.time, values.unit);
    await replayRows({ directory, format, speed, onCut: sayCut });
  }
  return EXIT.ok;
}

/** What the command line says, else what is kept with the recording. */
export function formatOf(
  directory: string,
  list: string | undefined,
  label: string | undefined,
): InputFormat {
  const described = describeRecording(directory);
  if (list === undefined && described.columns === undefined) {
    throw usage(`${directory}: expected --columns, since none are kept with this recording`);
  }
  const { columns, label: known } =
    list === undefined
      ? checkColumns(described.columns!, label ?? described.label)
      : parseColumns(list, label);
  const { separator, pattern = '', time, timeUnit } = described;
  return {
    format: FORMATS.find((format) => format === described.format) ?? 'numbers',
    columns,
    label: known,
    separator: SEPARATORS.find((known) => known === separator) ?? 'any',
    pattern,
    // Other columns than those of the recording may not have it.
    time: time === undefined || (list !== undefined && !columns.includes(time)) ? undefined : time,
    timeUnit: TIME_UNITS.find((known) => known === timeUnit),
  };
}

/** @throws EdgeloopError ELOOP_CONFIG */
function withClock(format: InputFormat, time: string | undefined, unit: string | undefined): InputFormat {
  const timeUnit = TIME_UNITS.find((known) => known === unit);
  if (unit !== undefined && timeUnit === undefined) {
    throw usage(`--unit: expected one of ${TIME_UNITS.join(', ')}, got "${unit}"`);
  }
  const { columns, label } = format;
  const candidates =
    format.format === 'teleplot' ? [TELEPLOT_STAMP] : columns.filter((name) => name !== label);
  if (time !== undefined && !candidates.includes(time)) {
    throw usage(`--time: expected one of ${candidates.join(', ')}, got "${time}"`);
  }
  return {
    ...format,
    ...(time === undefined ? {} : { time }),
    ...(timeUnit === undefined ? {} : { timeUnit }),
  };
}

function sayCut({ path, offset, bytes, reason }: Cut): void {
  process.stderr.write(`edgeloop: ${path}: cut at byte ${offset}, ${bytes} bytes not read: ${reason}.\n`);
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, strict: true, allowPositionals: true });
  } catch (cause) {
    throw new EdgeloopError('ELOOP_CONFIG', `${(cause as Error).message}. Try --help.`);
  }
}

function requireWithout(mode: string, values: Record<string, unknown>, names: readonly string[]): void {
  const given = names.find((name) => values[name] !== undefined);
  if (given !== undefined) throw usage(`--${given} has no meaning with ${mode}`);
}

function parseSpeed(text: string): number {
  if (text === 'full') return Infinity;
  const speed = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (speed > 0 && speed <= SPEED_MAX) return speed;
  throw usage(`--speed: expected "full" or a number above 0, up to ${SPEED_MAX}, got "${text}"`);
}

function usage(sentence: string): EdgeloopError {
  return new EdgeloopError('ELOOP_CONFIG', `edgeloop replay: ${sentence}. Try --help.`);
}
