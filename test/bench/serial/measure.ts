/**
 * The serial path through a real tty: ours beside serialport's stream with its parsers, strings and JSON.parse; and a
 * loop that reads the same bytes and throws them away, which is what the tty itself costs and nobody can save.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DelimiterParser, ReadlineParser, SerialPort } from 'serialport';
import { HeapMeter } from '../../../src/learn/heap-meter.ts';
import { SerialLink } from '../../../src/serial/link.ts';
import { BASELINES, type BenchDialect, VALUES_PER_ROW, makeReader, makeStream } from './streams.ts';

export interface SerialResult {
  readonly reader: 'edgeloop' | 'stream' | 'discard';
  readonly dialect: BenchDialect;
  readonly mode: 'paced' | 'flood';
  readonly rowsPerSecond: number;
  readonly mbPerSecond: number;
  /** Processor time of the reading process, user and system. */
  readonly cpuUsPerRow: number;
  readonly heapBytesPerRow: number;
  readonly gcEvents: number;
  /** Rows that were sent and not read; rows that the tty refused are not sent. */
  readonly lost: number;
}

export interface SerialCase {
  readonly reader: SerialResult['reader'];
  readonly dialect: BenchDialect;
  readonly rows: number;
  /** 0: as fast as they are read. */
  readonly paceRowsPerSecond: number;
}

/** A latency that does not matter to a learner, and what `serial.readEveryMs` is by default. */
const READ_EVERY_MS = 10;
/** A row that is lost would leave us waiting: so long after the last one was sent. */
const PATIENCE_MS = 3000;

/** A sender in another process, and the path of its tty. */
export class Sender {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterableIterator<string>;

  constructor(dialect: BenchDialect, rows: number, rowsPerSecond: number) {
    const args = [join(import.meta.dirname, 'sender.ts'), dialect, String(rows), String(rowsPerSecond)];
    this.child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
  }

  /** The path of the tty, then the number of rows sent. */
  async line(): Promise<string> {
    return (await this.#lines.next()).value as string;
  }

  go(): void {
    this.child.stdin!.write('go\n');
  }

  async end(): Promise<void> {
    this.child.stdin!.end();
    await once(this.child, 'exit');
  }
}

/** Reads `rows` rows from a sender in another process. */
export async function serialBench(of: SerialCase): Promise<SerialResult> {
  const { reader, dialect, rows, paceRowsPerSecond } = of;
  const sender = new Sender(dialect, rows, paceRowsPerSecond);
  const path = await sender.line();
  if (reader === 'discard') return discard(path, of, sender);
  const counts = { rows: 0, bytes: 0 };
  const close = await (reader === 'edgeloop' ? openOurs(path, of, counts) : openStream(path, of, counts));
  const meter = new HeapMeter();
  meter.start();
  const cpuBefore = process.cpuUsage();
  const beforeMs = performance.now();
  sender.go();
  const sent = Number(await sender.line());
  const untilMs = performance.now() + PATIENCE_MS;
  while (counts.rows < sent && performance.now() < untilMs)
    await new Promise((resolve) => setTimeout(resolve, 5));
  const seconds = (performance.now() - beforeMs) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const { allocatedBytes, gcEvents } = meter.stop();
  await close();
  await sender.end();
  return {
    reader,
    dialect,
    mode: paceRowsPerSecond > 0 ? 'paced' : 'flood',
    rowsPerSecond: counts.rows / seconds,
    mbPerSecond: counts.bytes / seconds / 1e6,
    cpuUsPerRow: (cpu.user + cpu.system) / counts.rows,
    heapBytesPerRow: allocatedBytes / counts.rows,
    gcEvents,
    lost: sent - counts.rows,
  };
}

/** Blocking reads into one buffer, with a sleep between them where the rows are paced: nothing but the tty. */
async function discard(path: string, of: SerialCase, sender: Sender): Promise<SerialResult> {
  const { reader, dialect, rows, paceRowsPerSecond } = of;
  const { opening, rows: pieces } = makeStream(dialect);
  const rowBytes = pieces.reduce((sum, piece) => sum + piece.length, 0) / pieces.length;
  const due = opening.length + rows * rowBytes;
  const tty = openSync(path, 'r');
  const buffer = new Uint8Array(65_536);
  const never = new Int32Array(new SharedArrayBuffer(4));
  const meter = new HeapMeter();
  meter.start();
  const cpuBefore = process.cpuUsage();
  const beforeMs = performance.now();
  sender.go();
  let bytes = 0;
  // The last row may be lost, and a blocking read would wait for it: the rest is left.
  while (bytes < due - 4 * rowBytes) {
    bytes += readSync(tty, buffer, 0, buffer.length, null);
    if (paceRowsPerSecond > 0) Atomics.wait(never, 0, 0, READ_EVERY_MS);
  }
  const seconds = (performance.now() - beforeMs) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const { allocatedBytes, gcEvents } = meter.stop();
  closeSync(tty);
  const sent = Number(await sender.line());
  await sender.end();
  const rowsRead = bytes / rowBytes;
  return {
    reader,
    dialect,
    mode: paceRowsPerSecond > 0 ? 'paced' : 'flood',
    rowsPerSecond: rowsRead / seconds,
    mbPerSecond: bytes / seconds / 1e6,
    cpuUsPerRow: (cpu.user + cpu.system) / rowsRead,
    heapBytesPerRow: allocatedBytes / rowsRead,
    gcEvents,
    lost: rows - sent,
  };
}

type Close = () => Promise<void>;

interface Counts {
  rows: number;
  bytes: number;
}

async function openOurs(path: string, { dialect }: SerialCase, counts: Counts): Promise<Close> {
  decodeHeapBytesPerRow(dialect, 1000); // has the decoder compiled, as the floods have the reading
  const decoder = makeReader(dialect, () => (counts.rows += 1));
  const link = await SerialLink.open(
    { path, baudRate: 115_200, readEveryMs: READ_EVERY_MS },
    {
      onBytes(bytes, count) {
        counts.bytes += count;
        decoder.push(bytes, count, 0);
      },
      onGone(error) {
        throw error;
      },
    },
  );
  return () => link.close();
}

async function openStream(path: string, { dialect }: SerialCase, counts: Counts): Promise<Close> {
  const port = new SerialPort({ path, baudRate: 115_200 });
  port.on('data', (piece: Buffer) => (counts.bytes += piece.length));
  const values = new Float32Array(VALUES_PER_ROW);
  const parse = BASELINES[dialect];
  let held = 0;
  const parser = dialect === 'frames' ? new DelimiterParser({ delimiter: [0] }) : new ReadlineParser();
  port.pipe(parser).on('data', (piece: string | Buffer) => {
    held += parse(piece, values);
    if (held < VALUES_PER_ROW) return;
    held = 0;
    counts.rows += 1;
  });
  await once(port, 'open');
  return () => new Promise((resolve) => port.close(() => resolve()));
}

/** Heap bytes per row of decoding alone, from memory. */
export function decodeHeapBytesPerRow(dialect: BenchDialect, rows: number): number {
  let decoded = 0;
  const reader = makeReader(dialect, () => (decoded += 1));
  const { opening, rows: pieces } = makeStream(dialect);
  reader.push(opening, opening.length, 0);
  const block = Buffer.concat(pieces);
  const run = (count: number): void => {
    for (let row = 0; row < count; row += pieces.length) reader.push(block, block.length, row);
  };
  run(50_000);
  const meter = new HeapMeter();
  meter.start();
  run(rows);
  const { allocatedBytes } = meter.stop();
  if (decoded < rows) throw new Error(`${dialect}: ${decoded} rows decoded of ${rows}`);
  return allocatedBytes / rows;
}
