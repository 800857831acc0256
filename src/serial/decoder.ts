/** The decoder that a config asks for: lines of one of the dialects of text, or frames. */
import { EdgeloopError } from '../errors.ts';
import { type Dialect, type Separator, type TimeUnit, makeDecoder, valueColumns } from './dialects.ts';
import type { Session } from './frame-session.ts';
import { FrameDecoder } from './frames.ts';
import type { Labels } from './labels.ts';
import type { RowSink } from './outcome.ts';

/** The [input] section of a config, once it is known what the board prints. */
export interface InputFormat {
  readonly format: Dialect | 'frames';
  /** Names in order, those of the label and of the board's clock among them. */
  readonly columns: readonly string[];
  /** Which of the columns holds the class; undefined: none. */
  readonly label: string | undefined;
  /** Which of the columns holds the board's clock; undefined or empty: none. Frames say so themselves. */
  readonly time?: string | undefined;
  readonly timeUnit?: TimeUnit | undefined;
  readonly separator: Separator;
  readonly pattern: string;
}

export interface DecoderEvents {
  readonly onRow: RowSink;
  /** What follows does not follow what was before. @param lost rows known to be missing */
  onGap(lost: number): void;
  /** The board sends something else than the config says, and says so itself. */
  onOtherStream(error: EdgeloopError): void;
}

export interface Decoder {
  /** Takes bytes[0..count) as they came from the port, read at `timeUs` (monotonic). */
  push(bytes: Uint8Array, count: number, timeUs: number): void;
  /** What comes next does not follow what came before: the port was opened again. */
  restart(): void;
  /** Lines or frames dropped so far, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
  /** How often the board began anew, as its clock or its sequence numbers tell. */
  readonly boardRestarts: number;
  /** What the board calls a class of ours: its index in the board's own list, where frames have one; else the same. */
  boardClassOf(index: number): number;
}

export function openDecoder(input: InputFormat, labels: Labels, events: DecoderEvents): Decoder {
  const { format } = input;
  if (format === 'frames') return new Frames(input, labels, events);
  const lines = makeDecoder({ ...input, format }, labels, events.onRow, () => events.onGap(0));
  return {
    push: (bytes, count, timeUs) => lines.push(bytes, count, timeUs),
    restart: () => lines.restart(),
    get dropped() {
      return { ...lines.dropped };
    },
    get boardRestarts() {
      return lines.clockRestarts;
    },
    boardClassOf: (index) => index,
  };
}

class Frames implements Decoder {
  readonly #decoder: FrameDecoder;
  readonly #names: readonly string[];
  readonly #events: DecoderEvents;

  constructor(input: InputFormat, labels: Labels, events: DecoderEvents) {
    this.#names = valueColumns(input);
    this.#events = events;
    this.#decoder = new FrameDecoder(labels, {
      onRow: events.onRow,
      onGap: (lost) => events.onGap(lost),
      onSession: (session) => this.#accept(session),
    });
  }

  push(bytes: Uint8Array, count: number, timeUs: number): void {
    this.#decoder.push(bytes, count, timeUs);
  }

  /** Nothing to do: a frame that was cut fails its checksum, and sequence numbers tell what is missing. */
  restart(): void {}

  get dropped(): Readonly<Record<string, number>> {
    return { ...this.#decoder.dropped, lostFrames: this.#decoder.lost };
  }

  get boardRestarts(): number {
    return this.#decoder.restarts;
  }

  boardClassOf(index: number): number {
    return this.#decoder.boardClassOf(index);
  }

  /** What was learned was learned from other columns: their rows must not be mixed. */
  #accept(session: Session): boolean {
    const names = session.columns.map(({ name }) => name);
    if (names.join('\0') === this.#names.join('\0')) return true;
    this.#events.onOtherStream(
      new EdgeloopError(
        'ELOOP_STREAM',
        `the board describes other columns than the config: expected ${this.#names.join(', ')}; ` +
          `got ${names.join(', ')}. Plug in the board that the model was trained with, or give this one a config ` +
          'and weights of its own.',
      ),
    );
    return false;
  }
}
