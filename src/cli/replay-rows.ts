/** A recording, decoded as it was when it came in: the same bytes in the same pieces at the same times. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Decoder, type InputFormat, openDecoder } from '../serial/decoder.ts';
import { Labels } from '../serial/labels.ts';
import { readRecording } from '../store/recording.ts';
import type { Cut } from '../store/segments.ts';
import { NO_LABEL } from '../stream/ring.ts';
import { Pace } from './pace.ts';

/** As many as a network may have outputs. */
const CLASSES_MAX = 256;

const OUTPUT_CHARS = 65_536;

export interface RowsReplay {
  readonly directory: string;
  readonly format: InputFormat;
  /** 1: as recorded; Infinity: all at once. */
  readonly speed: number;
  readonly onCut: (cut: Cut) => void;
}

/**
 * Prints the rows as JSON lines on standard output, and a summary on standard error.
 * @throws EdgeloopError ELOOP_FORMAT
 */
export async function replayRows({ directory, format, speed, onCut }: RowsReplay): Promise<void> {
  const output = new Output(process.stdout);
  const rows = new Rows(format, (line) => output.add(line));
  const pace = new Pace(speed);
  for (const item of readRecording(directory)) {
    if (output.closed) break;
    if (item.kind === 'cut') onCut(item.cut);
    else if (item.kind === 'gap') rows.gap(item.bytes);
    else if (item.kind === 'bytes') {
      const waitMs = pace.waitMs(item.timeUs, performance.now());
      if (waitMs > 0) {
        await output.flush();
        await sleep(waitMs);
      }
      rows.push(item.bytes, item.timeUs);
      if (output.full) await output.flush();
    }
  }
  await output.flush();
  process.stderr.write(`${rows.summary()}\n`);
}

/** Bytes to JSON lines. */
class Rows {
  readonly #format: InputFormat;
  readonly #labels = new Labels([], CLASSES_MAX);
  readonly #sink: (line: string) => void;
  #decoder: Decoder;
  readonly #dropped = new Map<string, number>();
  #rows = 0;
  #boardRestarts = 0;
  #bytes = 0;
  #bytesMissing = 0;

  constructor(format: InputFormat, sink: (line: string) => void) {
    this.#format = format;
    this.#sink = sink;
    this.#decoder = this.#newDecoder();
  }

  push(bytes: Uint8Array, timeUs: number): void {
    this.#bytes += bytes.length;
    this.#decoder.push(bytes, bytes.length, timeUs);
  }

  /** What follows may begin in mid-line, as when a port is opened: so with a new decoder. */
  gap(bytes: number): void {
    this.#bytesMissing += bytes;
    this.#addDrops();
    this.#decoder = this.#newDecoder();
  }

  summary(): string {
    this.#addDrops();
    const reasons = [...this.#dropped].filter(([, lines]) => lines > 0);
    const drops = reasons.map(([reason, lines]) => `${reason} ${count(lines)}`).join(', ') || 'none';
    const missing = this.#bytesMissing === 0 ? '' : `; ${count(this.#bytesMissing)} bytes are missing`;
    const anew =
      this.#boardRestarts === 0 ? '' : `; the board began anew, ${count(this.#boardRestarts)} times`;
    return `${count(this.#rows)} rows from ${count(this.#bytes)} bytes; dropped: ${drops}${missing}${anew}.`;
  }

  #newDecoder(): Decoder {
    return openDecoder(this.#format, this.#labels, {
      onRow: (values, label, [timeUs]) => this.#add(values, label, timeUs),
      onGap: () => {}, // rows carry their times
      onOtherStream: (error) => process.stderr.write(`edgeloop: ${error.message}\n`),
    });
  }

  #add(values: Float32Array, label: number, timeUs: number): void {
    this.#rows += 1;
    const name = label === NO_LABEL ? null : this.#labels.names[label];
    const numbers = Array.from(values, jsonNumber).join(',');
    this.#sink(`{"timeUs":${timeUs},"values":[${numbers}],"label":${JSON.stringify(name)}}\n`);
  }

  #addDrops(): void {
    this.#boardRestarts += this.#decoder.boardRestarts;
    for (const [reason, lines] of Object.entries(this.#decoder.dropped)) {
      this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + lines);
    }
  }
}

/** Every float32 but NaN comes back from this bit for bit. */
function jsonNumber(value: number): string {
  if (value !== value) return 'null';
  return Object.is(value, -0) ? '-0' : String(value);
}

/** Lines to a stream, in large pieces, no faster than it takes them. */
class Output {
  /** The reader has gone, as `head` does when it has enough. */
  closed = false;
  readonly #stream: NodeJS.WriteStream;
  #text = '';

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      this.closed = true;
    });
  }

  get full(): boolean {
    return this.#text.length >= OUTPUT_CHARS;
  }

  add(line: string): void {
    this.#text += line;
  }

  flush(): Promise<void> {
    const text = this.#text;
    this.#text = '';
    if (text === '' || this.closed) return Promise.resolve();
    return new Promise((done) => this.#stream.write(text, () => done()));
  }
}

const count = (value: number): string => value.toLocaleString('en-US');
