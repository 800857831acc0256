/** `input.format = "auto"`: listens to the board for a moment and completes the config with what it prints. */
import type { Config } from '../config.ts';
import { EdgeloopError } from '../errors.ts';
import { DurableLink } from '../serial/durable-link.ts';
import type { InputFormat } from '../serial/decoder.ts';
import type { Session } from '../serial/frame-session.ts';
import { FrameDecoder } from '../serial/frames.ts';
import { Labels } from '../serial/labels.ts';
import { type Recognition, Sample, recognise } from '../serial/recognise.ts';

/** From the first byte on: enough rows of any board that is worth learning from. */
const LISTEN_MS = 2000;
/** Frames are described every five seconds. */
const LISTEN_FRAMES_MS = 6000;

/** What the frames call their class, which is in no column. */
const FRAME_LABEL = 'label';

export interface RecognisedInput {
  readonly config: Config;
  /** Why, in words. */
  readonly because: readonly string[];
}

/**
 * @param onNotice told when the port is away and waited for
 * @throws EdgeloopError ELOOP_STREAM if what is heard cannot be learned from, with what to do
 */
export async function recogniseInput(
  config: Config,
  onNotice: (text: string) => void,
): Promise<RecognisedInput> {
  let { sample, path } = await listen(config, LISTEN_MS, onNotice);
  let recognition = recognise(sample);
  if (recognition.kind === 'frames' && sessionIn(sample) === undefined) {
    ({ sample, path } = await listen(config, LISTEN_FRAMES_MS, onNotice));
    recognition = recognise(sample);
  }
  const input =
    recognition.kind === 'frames' ? frameInput(sample, path) : textInput(recognition, config, path);
  return { config: { ...config, input }, because: recognition.because };
}

async function listen(
  { serial }: Config,
  forMs: number,
  onNotice: (text: string) => void,
): Promise<{ sample: Sample; path: string }> {
  const done = Promise.withResolvers<void>();
  const sample = new Sample(nowUs());
  let path = serial.port;
  let timer: NodeJS.Timeout | undefined;
  const link = await DurableLink.open(serial, {
    onBytes(bytes, count) {
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
    await link.close();
  }
}

/** Monotonic. */
function nowUs(): number {
  return Math.floor(performance.now() * 1000);
}

function textInput({ kind, format, because }: Recognition, { input }: Config, path: string): InputFormat {
  if (format === undefined) {
    const heard = because.join('; ');
    throw streamError(
      path,
      `expected rows of numbers, got ${kind} (${heard}). Run \`edgeloop sniff ${path}\` for more.`,
    );
  }
  const label = input.label === '' ? format.label : input.label;
  if (label === undefined || !format.columns.includes(label)) {
    const names = format.columns.join(', ');
    throw streamError(
      path,
      `expected a column that holds the class${label === undefined ? '' : `, "${label}"`}, got ${names}. Have the board ` +
        'print the name of the class with each row, or set input.label.',
    );
  }
  return { ...format, label };
}

function frameInput(sample: Sample, path: string): InputFormat {
  const session = sessionIn(sample);
  if (session === undefined) {
    throw streamError(path, 'expected edgeloop frames with their description, got frames without one.');
  }
  const columns = [...session.columns.map(({ name }) => name), FRAME_LABEL];
  return { format: 'frames', columns, label: FRAME_LABEL, separator: 'any', pattern: '' };
}

function sessionIn({ bytes }: Sample): Session | undefined {
  const decoder = new FrameDecoder(new Labels([], 255), { onRow: () => {} });
  decoder.push(bytes, bytes.length, 0);
  return decoder.session;
}

function streamError(path: string, what: string): EdgeloopError {
  return new EdgeloopError('ELOOP_STREAM', `${path}: ${what}`);
}
