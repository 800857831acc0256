/** `input.format = "auto"`: listens to the board for a moment and completes the config with what it prints. */
import { type Config, checkInput } from '../config.ts';
import { EdgeloopError } from '../errors.ts';
import { DurableLink } from '../serial/durable-link.ts';
import type { InputFormat } from '../serial/decoder.ts';
import { searchBaudRate, trialText } from '../serial/baud-search.ts';
import { Hearing } from '../serial/hearing.ts';
import { DESCRIBED_WITHIN_MS, type RecognisedFormat, recogniseFormat } from '../serial/recognise-format.ts';
import type { Recognition } from '../serial/recognise.ts';

/** From the first byte on: enough rows of any board that is worth learning from. */
const LISTEN_MS = 2000;

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
  const ear = await Ear.open(config, silentMsMax, onNotice);
  try {
    const { format, because } = await ear.recognise();
    const { path, baudRate } = ear;
    const input = completeInput(config, format, path);
    return { config: { ...config, serial: { ...config.serial, baudRate }, input }, because };
  } finally {
    await ear.close();
  }
}

/** The open port, and what can be made out of what it gives. */
class Ear {
  path: string;
  readonly #hearing = new Hearing();
  readonly #searches: boolean;
  readonly #silentMsMax: number | undefined;
  readonly #onNotice: (text: string) => void;
  #link: DurableLink | undefined;

  private constructor(config: Config, silentMsMax: number | undefined, onNotice: (text: string) => void) {
    this.path = config.serial.port;
    this.#searches = config.serial.baudRate === 'auto';
    this.#silentMsMax = silentMsMax;
    this.#onNotice = onNotice;
  }

  static async open(
    config: Config,
    silentMsMax: number | undefined,
    onNotice: (text: string) => void,
  ): Promise<Ear> {
    const ear = new Ear(config, silentMsMax, onNotice);
    ear.#link = await DurableLink.open(config.serial, {
      onBytes: (bytes, count) => ear.#hearing.take(bytes, count),
      onOpen: (opened) => (ear.path = opened),
      onChoice: onNotice,
      onAway: (error) => onNotice(`${error.message} Waiting for it.`),
      onEnd: (error) => ear.#hearing.fail(error),
    });
    return ear;
  }

  get baudRate(): number {
    return this.#link!.baudRate;
  }

  close(): Promise<void> {
    return this.#link!.close();
  }

  /** @throws EdgeloopError ELOOP_STREAM if it cannot be told */
  async recognise(): Promise<{ format: InputFormat; because: readonly string[] }> {
    let { recognition, format } = await this.#hear(LISTEN_MS);
    const trials: string[] = [];
    if (recognition.kind === 'noise' && this.#searches) {
      trials.push(`${this.baudRate} baud gave noise`);
      await searchBaudRate(this.#link!, this.#hearing, this.baudRate, (trial) => {
        trials.push(trialText(trial));
        this.#onNotice(`Tried ${trialText(trial)}.`);
      });
      ({ recognition, format } = await this.#hear(LISTEN_MS));
    }
    if (recognition.kind === 'frames' && format === undefined) {
      ({ recognition, format } = await this.#hear(DESCRIBED_WITHIN_MS));
    }
    if (format === undefined) throw unknownError(recognition, this.path);
    return { format, because: [...trials, ...recognition.because] };
  }

  async #hear(forMs: number): Promise<RecognisedFormat> {
    const sample = await this.#hearing.listen({ forMs, fromFirstByte: true, silentMsMax: this.#silentMsMax });
    if (sample.bytes.length > 0) return recogniseFormat(sample);
    throw streamError(this.path, 'expected bytes from the board, got none in the time given.');
  }
}

/** What was recognised, where the config does not say otherwise. */
function completeInput({ input: asked, task }: Config, format: InputFormat, path: string): Config['input'] {
  const { time, timeUnit, classes } = asked;
  const input = {
    ...asked,
    ...format,
    label: task.kind === 'classify' ? labelOf(format, asked.label, path) : asked.label,
    time: time === '' ? (format.time ?? '') : time,
    timeUnit: time === '' ? (format.timeUnit ?? timeUnit) : timeUnit,
    classes,
  };
  checkInput({ input, task }, path);
  return input;
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
