/** `edgeloop record`: keeps what a port gives, byte for byte with the time of each read, for `edgeloop replay`. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { BAUD_RATE_MAX, BAUD_RATE_MIN, isBaudRate } from '../config.ts';
import { EXIT, EdgeloopError } from '../errors.ts';
import { monotonicUs } from '../serial/hearing.ts';
import { recogniseFormat } from '../serial/recognise-format.ts';
import { Sample } from '../serial/recognise.ts';
import { SerialLink } from '../serial/link.ts';
import { RecordingWriter, type StreamDescription } from '../store/recording.ts';
import { parseColumns } from './columns.ts';
import { parseDuration } from './duration.ts';
import { Ending } from './ending.ts';
import { Screen } from './screen.ts';

export const RECORD_HELP = `edgeloop record PORT [options]

  Keeps the bytes of a serial port with the time of each read, until Ctrl-C or until the port is gone.

  --out DIR        where to (recording-DATE-TIME); it must not have a recording yet
  --baud N         bits per second, as in the sketch (115200)
  --for TIME       end after this long: 500ms, 10s, 5m, 2h
  --columns A,B,C  names of the cells of a line, for replay; without, what the board prints is recognised
  --label NAME     which of the columns holds the class
`;

const PROGRESS_EVERY_MS = 1000;
/** From the first byte on. Frames describe themselves every five seconds. */
const RECOGNISE_AFTER_MS = 6000;

const OPTIONS = {
  out: { type: 'string' },
  baud: { type: 'string', default: '115200' },
  for: { type: 'string' },
  columns: { type: 'string' },
  label: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

interface RecordOptions {
  readonly port: string;
  readonly baudRate: number;
  readonly directory: string;
  /** undefined: no limit. */
  readonly forMs: number | undefined;
  readonly description: StreamDescription;
}

/**
 * @returns the exit status
 * @throws EdgeloopError: a bad argument, a port that cannot be opened or that went away, a disk that fails
 */
export async function record(args: string[]): Promise<number> {
  const options = parse(args);
  if (options === 'help') process.stdout.write(RECORD_HELP);
  else await recordPort(options);
  return EXIT.ok;
}

async function recordPort({ port, baudRate, directory, forMs, description }: RecordOptions): Promise<void> {
  const ending = new Ending(forMs);
  try {
    const recording = await RecordingWriter.create({ directory, description });
    recording.onFailure = (error) => ending.end(error);
    const recogniser = new Recogniser(recording, description);
    const link = await SerialLink.open(
      { path: port, baudRate },
      {
        onBytes(bytes, count) {
          const timeUs = monotonicUs();
          recording.take(bytes, count, timeUs);
          recogniser.take(bytes, count, timeUs);
        },
        onGone: (error) => ending.end(error),
      },
    );
    const startedMs = performance.now();
    const screen = new Screen(process.stdout);
    const begun = recording.flush().then(
      () => screen.print(`Recording ${port} at ${baudRate} baud to ${directory}. Ctrl-C ends.\n`),
      (error: Error) => ending.end(error),
    );
    const ended = await showUntil(ending, recording, screen, startedMs);
    await link.close().catch(() => {}); // the descriptor of a device that is gone may refuse even that
    await begun;
    recogniser.conclude();
    const failed = await failureOf(recording.close());
    screen.print(summary(recording, startedMs, failed ? undefined : directory));
    const error = failed ?? ended;
    if (error !== undefined) throw error;
  } finally {
    ending.dispose();
  }
}

/** Adds to the recording's description what the board prints, once enough was heard or at the end. */
class Recogniser {
  readonly #recording: RecordingWriter;
  readonly #description: StreamDescription;
  #sample: Sample | undefined;
  #untilUs = Infinity;

  constructor(recording: RecordingWriter, description: StreamDescription) {
    this.#recording = recording;
    this.#description = description;
    if (description.columns === undefined) this.#sample = new Sample(monotonicUs());
  }

  take(bytes: Uint8Array, count: number, timeUs: number): void {
    if (this.#sample === undefined) return;
    this.#sample.add(bytes, count, timeUs);
    this.#untilUs = Math.min(this.#untilUs, timeUs + 1000 * RECOGNISE_AFTER_MS);
    if (timeUs >= this.#untilUs || this.#sample.isFull) this.conclude();
  }

  conclude(): void {
    const { format } = this.#sample ? recogniseFormat(this.#sample) : {};
    this.#sample = undefined;
    if (format === undefined) return;
    // A key that is undefined is left out of the JSON.
    this.#recording.describe({ ...this.#description, ...format } as StreamDescription);
  }
}

async function showUntil(
  ending: Ending,
  recording: RecordingWriter,
  screen: Screen,
  startedMs: number,
): Promise<Error | undefined> {
  let bytesBefore = 0;
  const show = (): void => {
    const bytesPerSecond = recording.bytesSeen - bytesBefore;
    bytesBefore = recording.bytesSeen;
    const text = progress(recording, startedMs) + lost(recording);
    screen.live(`${text} | ${count(bytesPerSecond)} bytes/s`, text);
  };
  const timer = setInterval(show, PROGRESS_EVERY_MS);
  try {
    return await ending.reason;
  } finally {
    clearInterval(timer);
  }
}

async function failureOf(work: Promise<void>): Promise<Error | undefined> {
  return work.then(
    () => undefined,
    (error: Error) => error,
  );
}

function progress(recording: RecordingWriter, startedMs: number): string {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  return `${count(recording.bytesSeen)} bytes in ${seconds} s`;
}

/** @param directory undefined: the disk failed, and the error that follows says where */
function summary(recording: RecordingWriter, startedMs: number, directory: string | undefined): string {
  const read = progress(recording, startedMs);
  if (directory === undefined) return `${read}; the recording ends earlier.\n`;
  const files = count(recording.bytesWritten);
  return `${read}${lost(recording)}, kept in ${directory} (${files} bytes on disk).\n`;
}

function lost({ bytesLost }: RecordingWriter): string {
  return bytesLost === 0 ? '' : `, ${count(bytesLost)} of them lost since the disk is too slow`;
}

const count = (value: number): string => value.toLocaleString('en-US');

// --- Arguments -------------------------------------------------------------------------------------------------

function parse(args: string[]): RecordOptions | 'help' {
  const { values, positionals } = parseStrictly(args);
  if (values.help) return 'help';
  if (positionals.length !== 1) {
    const got = positionals.length === 0 ? 'none' : positionals.join(' ');
    const expected = 'edgeloop record: expected one port, such as /dev/ttyACM0';
    throw new EdgeloopError('ELOOP_CONFIG', `${expected}, got ${got}. Try --help.`);
  }
  const [port] = positionals;
  const baudRate = parseBaudRate(values.baud);
  const now = new Date();
  if (values.label !== undefined && values.columns === undefined) {
    throw new EdgeloopError('ELOOP_CONFIG', '--label: expected --columns beside it. Try --help.');
  }
  const columns = values.columns === undefined ? {} : parseColumns(values.columns, values.label);
  return {
    port,
    baudRate,
    directory: resolve(values.out ?? `recording-${fileTime(now)}`),
    forMs: values.for === undefined ? undefined : parseDuration(values.for),
    description: { port, baudRate, startedAt: now.toISOString(), ...columns },
  };
}

function parseStrictly(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, strict: true, allowPositionals: true });
  } catch (cause) {
    throw new EdgeloopError('ELOOP_CONFIG', `${(cause as Error).message}. Try --help.`);
  }
}

function parseBaudRate(text: string): number {
  const baudRate = /^\d+$/.test(text) ? Number(text) : NaN;
  if (isBaudRate(baudRate)) return baudRate;
  const expected = `expected an integer from ${BAUD_RATE_MIN} to ${BAUD_RATE_MAX}`;
  throw new EdgeloopError('ELOOP_CONFIG', `--baud: ${expected}, got "${text}".`);
}

/** 2026-11-24T20:53:14.123Z as 20261124-205314, for a name. */
function fileTime(time: Date): string {
  return time.toISOString().replaceAll(/[-:]/g, '').replace('T', '-').slice(0, 15);
}
