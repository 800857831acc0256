/** The serial path through a real tty: ours beside serialport's stream with readline and parseFloat. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { SerialPort, ReadlineParser } from 'serialport';
import { HeapMeter } from '../../src/learn/heap-meter.ts';
import { Labels } from '../../src/serial/labels.ts';
import { LineDecoder } from '../../src/serial/lines.ts';
import { SerialLink } from '../../src/serial/link.ts';

const COLUMNS = 7; // six numbers and a label

export interface SerialResult {
  readonly reader: 'edgeloop' | 'stream';
  readonly mode: 'paced' | 'flood';
  readonly rowsPerSecond: number;
  /** Processor time of the reading process, user and system. */
  readonly cpuUsPerRow: number;
  readonly heapBytesPerRow: number;
  readonly gcEvents: number;
  readonly lost: number;
}

interface Case {
  readonly reader: SerialResult['reader'];
  readonly rows: number;
  /** 0: as fast as they are read. */
  readonly paceRowsPerSecond: number;
}

/** Reads `rows` rows from a sender in another process. */
export async function serialBench({ reader, rows, paceRowsPerSecond }: Case): Promise<SerialResult> {
  const sender = spawn(process.execPath, [
    join(import.meta.dirname, 'flood-board.ts'),
    String(rows),
    String(paceRowsPerSecond),
  ]);
  sender.stderr.pipe(process.stderr);
  const [greeting] = (await once(sender.stdout, 'data')) as [Buffer];
  const path = greeting.toString().trim();
  const meter = new HeapMeter();
  const done = Promise.withResolvers<void>();
  let received = 0;
  const onRow = (): void => {
    received += 1;
    if (received === rows) done.resolve();
  };
  const close = await (reader === 'edgeloop' ? openOurs(path, onRow) : openStream(path, onRow));
  meter.start();
  const cpuBefore = process.cpuUsage();
  const beforeMs = performance.now();
  sender.stdin.write('go\n');
  // A row that is lost would leave us waiting: some seconds beyond what the pace takes are enough.
  const patienceMs = 20_000 + (paceRowsPerSecond > 0 ? (rows * 1000) / paceRowsPerSecond : 0);
  const timer = setTimeout(done.resolve, patienceMs);
  await done.promise;
  clearTimeout(timer);
  const seconds = (performance.now() - beforeMs) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const { allocatedBytes, gcEvents } = meter.stop();
  await close();
  sender.stdin.end();
  await once(sender, 'exit');
  return {
    reader,
    mode: paceRowsPerSecond > 0 ? 'paced' : 'flood',
    rowsPerSecond: received / seconds,
    cpuUsPerRow: (cpu.user + cpu.system) / received,
    heapBytesPerRow: allocatedBytes / received,
    gcEvents,
    lost: rows - received,
  };
}

type Close = () => Promise<void>;

async function openOurs(path: string, onRow: () => void): Promise<Close> {
  const labels = new Labels([], 2);
  const decoder = new LineDecoder({ columns: COLUMNS, labelColumn: COLUMNS - 1 }, labels, onRow);
  const link = await SerialLink.open(
    { path, baudRate: 115_200 },
    {
      onBytes: (bytes, count) => decoder.push(bytes, count, 0),
      onGone: (error) => {
        throw error;
      },
    },
  );
  return () => link.close();
}

async function openStream(path: string, onRow: () => void): Promise<Close> {
  const port = new SerialPort({ path, baudRate: 115_200 });
  const values = new Float32Array(COLUMNS - 1);
  port.pipe(new ReadlineParser()).on('data', (line: string) => {
    const cells = line.split(',');
    if (cells.length !== COLUMNS) return; // the line that ends the torn one
    for (let i = 0; i < values.length; i++) values[i] = Number.parseFloat(cells[i]);
    onRow();
  });
  await once(port, 'open');
  return () => new Promise((resolve) => port.close(() => resolve()));
}
