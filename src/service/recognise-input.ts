/** `input.format = "auto"`: listens to the board for a moment and completes the config with what it prints. */
import { type Config, checkInput } from '../config.ts';
import { EdgeloopError } from '../errors.ts';
import { DurableLink } from '../serial/durable-link.ts';
import type { InputFormat } from '../serial/decoder.ts';
import { recogniseFormat } from '../serial/recognise-format.ts';
import { type Recognition, Sample } from '../serial/recognise.ts';

/** From the first byte on: enough rows of any board that is worth learning from. */
const LISTEN_MS = 2000;
/** Frames are described every five seconds. */
const LISTEN_FRAMES_MS = 6000;

export interface RecognisedInput {
  readonly config: Config;
  /** Why, in words. */
  readonly because: readonly string[];
}

/**
 * @param silentMsMax give up when nothing was heard for so long; undefined: wait for a board for ever
 * @param onNotice told when the port is away and waited for
 * @throws EdgeloopError ELOOP_STREAM if what is heard cannot be learned from, with what to do
 */
export async function recogniseInput(
  config: Config,
  silentMsMax: number | undefined,
  onNotice: (text: string) => void,
): Promise<RecognisedInput> {
  onNotice(`Listening to ${config.serial.port} to find out what it prints.`);
  let { sample, path } = await listen(config, LISTEN_MS, silentMsMax, onNotice);
  let { recognition, format } = recogniseFormat(sample);
  if (recognition.kind === 'frames' && format === undefined) {
    ({ sample, path } = await listen(config, LISTEN_FRAMES_MS, silentMsMax, onNotice));
    ({ recognition, format } = recogniseFormat(sample));
  }
  if (format === undefined) throw unknownError(recognition, path);
  const { time, timeUnit, classes } = config.input;
  const input = {
    ...format,
    label: labelOf(format, config.input.label, path),
    time: time === '' ? (format.time ?? '') : time,
    timeUnit: time === '' ? (format.timeUnit ?? timeUnit) : timeUnit,
    classes,
  };
  checkInput(input, path);
  return { config: { ...config, input }, because: recognition.because };
}

async function listen(
  { serial }: Config,
  forMs: number,
  silentMsMax: number | undefined,
  onNotice: (text: string) => void,
): Promise<{ sample: Sample; path: string }> {
  const done = Promise.withResolvers<void>();
  const sample = new Sample(nowUs());
  let path = serial.port;
  let timer: NodeJS.Timeout | undefined;
  const silence = (): void =>
    done.reject(streamError(path, 'expected bytes from the board, got none in the time given.'));
  const silent = silentMsMax === undefined ? undefined : setTimeout(silence, silentMsMax);
  const link = await DurableLink.open(serial, {
    onBytes(bytes, count) {
      clearTimeout(silent);
      sample.add(bytes, count, nowUs());
      timer ??= setTimeout(done.resolve, forMs);
      if (sample.isFull) done.resolve();
    },
    onOpen: (opened) => (path = opened),
    onAway: (error) => onNotice(`${error.message} Waiting for it.`),
    onEnd: done.reject,
  });
  try {
    await done.promise;
    return { sample, path };
  } finally {
    clearTimeout(timer);
    clearTimeout(silent);
    await link.close();
  }
}

/** Monotonic. */
function nowUs(): number {
  return Math.floor(performance.now() * 1000);
}

function unknownError({ kind, because }: Recognition, path: string): EdgeloopError {
  if (kind === 'frames')
    return streamError(path, 'expected edgeloop frames with their description, got none.');
  const heard = because.join('; ');
  return streamError(
    path,
    `expected rows of numbers, got ${kind} (${heard}). Run \`edgeloop sniff ${path}\` for more.`,
  );
}

/** The config's word counts; empty: what was recognised. */
function labelOf(format: InputFormat, asked: string, path: string): string {
  const label = asked === '' ? format.label : asked;
  if (label !== undefined && format.columns.includes(label)) return label;
  const wanted = label === undefined ? '' : `, "${label}"`;
  throw streamError(
    path,
    `expected a column that holds the class${wanted}, got ${format.columns.join(', ')}. Have the board print the name ` +
      'of the class with each row, or set input.label.',
  );
}

function streamError(path: string, what: string): EdgeloopError {
  return new EdgeloopError('ELOOP_STREAM', `${path}: ${what}`);
}
