/**
 * `npm run bench:serial`: every dialect, in flood and paced at 1 kHz, beside serialport's stream with readline and
 * parseFloat or JSON.parse, in the same run; then a megabyte a second for a while with a learner on the other core.
 *
 * What is measured is the state after half an hour at 1 kHz: before it, both readers take two million rows in flood, so
 * that Node's own code between tty and decoder is compiled for either.
 *
 * "Ceiling" is the stream's processor time over that of a loop which reads the same bytes and throws them away: no reader
 * can do better, were decoding free.
 *
 *   --seconds N     of the sustained part (60)
 *   --dialects A,B  only these
 *   --tiny          a fraction of the work, so that the tests can run it
 *   --json          one JSON document as the last line
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Sender, type SerialCase, type SerialResult, decodeHeapBytesPerRow, serialBench } from './measure.ts';
import { BENCH_DIALECTS, type BenchDialect, makeStream } from './streams.ts';

interface Row extends Omit<SerialResult, 'reader' | 'gcEvents'> {
  readonly decodeHeapBytesPerRow: number;
  /** Processor time of the stream over ours. */
  readonly cpuRatio: number;
  /** Of the loop that throws the bytes away. */
  readonly ttyCpuUsPerRow: number;
  /** Processor time of the stream over that. */
  readonly cpuRatioCeiling: number;
}

/** Rows in flood before anything is measured. */
const WARM_UP_ROWS = 2_000_000;
/** The same of each dialect's own decoding. */
const DIALECT_WARM_UP_ROWS = 300_000;
const FLOODS = 3;

const BYTES_PER_SECOND = 1_000_000;

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    dialects: { type: 'string', default: BENCH_DIALECTS.join(',') },
    tiny: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

const rows = await benchDialects(options.tiny ? 0.01 : 1);
const sustained = await benchSustained(options.tiny ? 1 : Number(options.seconds));
if (options.json) console.log(JSON.stringify([...rows, sustained]));

async function benchDialects(scale: number): Promise<Row[]> {
  const rows: Row[] = [];
  await warmUp('numbers', WARM_UP_ROWS * scale);
  console.log(
    'dialect   mode    rows/s   MB/s  CPU µs/row  heap B/row  decoding B/row  lost  stream over ours  ceiling',
  );
  const asked = options.dialects.split(',');
  for (const dialect of BENCH_DIALECTS.filter((name) => asked.includes(name))) {
    await warmUp(dialect, DIALECT_WARM_UP_ROWS * scale);
    const decodeHeap = decodeHeapBytesPerRow(dialect, Math.max(20_000, 500_000 * scale));
    for (const [paceRowsPerSecond, all] of [
      [0, 500_000],
      [1000, 5000],
    ]) {
      const row = await benchOne(dialect, thousands(all * scale), paceRowsPerSecond, decodeHeap);
      rows.push(row);
      console.log(lineOf(row));
    }
  }
  return rows;
}

async function warmUp(dialect: BenchDialect, rows: number): Promise<void> {
  for (const reader of ['stream', 'edgeloop'] as const) {
    await serialBench({ reader, dialect, rows: thousands(rows), paceRowsPerSecond: 0 });
  }
}

function thousands(rows: number): number {
  return Math.max(1000, Math.round(rows / 1000) * 1000);
}

async function benchOne(
  dialect: BenchDialect,
  rows: number,
  paceRowsPerSecond: number,
  decodeHeap: number,
): Promise<Row> {
  // The machine may be busy with something else: of a flood the best of three counts, for each reader.
  const times = paceRowsPerSecond === 0 ? FLOODS : 1;
  const bench = (reader: SerialResult['reader']): Promise<SerialResult> =>
    bestOf(times, { reader, dialect, rows, paceRowsPerSecond });
  const tty = await bench('discard');
  const stream = await bench('stream');
  const { reader: _reader, gcEvents: _gc, ...ours } = await bench('edgeloop');
  return {
    ...ours,
    decodeHeapBytesPerRow: decodeHeap,
    cpuRatio: stream.cpuUsPerRow / ours.cpuUsPerRow,
    ttyCpuUsPerRow: tty.cpuUsPerRow,
    cpuRatioCeiling: stream.cpuUsPerRow / tty.cpuUsPerRow,
  };
}

/** The one with the least processor time; what was lost or allocated is that of the worst. */
async function bestOf(times: number, of: SerialCase): Promise<SerialResult> {
  let best = await serialBench(of);
  for (let time = 1; time < times; time++) {
    const next = await serialBench(of);
    const lost = best.lost + next.lost;
    const heapBytesPerRow = Math.max(best.heapBytesPerRow, next.heapBytesPerRow);
    best = { ...(next.cpuUsPerRow < best.cpuUsPerRow ? next : best), lost, heapBytesPerRow };
  }
  return best;
}

function lineOf(row: Row): string {
  return (
    `${row.dialect.padEnd(9)} ${row.mode.padEnd(5)} ${row.rowsPerSecond.toFixed(0).padStart(8)}` +
    ` ${row.mbPerSecond.toFixed(2).padStart(6)} ${row.cpuUsPerRow.toFixed(3).padStart(11)}` +
    ` ${row.heapBytesPerRow.toFixed(2).padStart(11)} ${row.decodeHeapBytesPerRow.toFixed(3).padStart(15)}` +
    ` ${String(row.lost).padStart(5)} ${row.cpuRatio.toFixed(1).padStart(17)} ${row.cpuRatioCeiling.toFixed(1).padStart(8)}`
  );
}

interface Sustained {
  readonly mode: 'sustained';
  readonly dialect: BenchDialect;
  readonly seconds: number;
  readonly mbPerSecond: number;
  readonly sent: number;
  readonly learned: number;
  /** Refused by the tty, dropped by the decoder or refused by the ring. */
  readonly lost: number;
  /** Most bytes that waited in the tty when it was read. */
  readonly backlogBytesMax: number;
}

/** The whole program against a source that is paced by the clock and does not wait: what it cannot send is lost. */
async function benchSustained(seconds: number): Promise<Sustained> {
  const dialect = 'numbers';
  const { rows: pieces } = makeStream(dialect);
  const bytesPerRow = pieces.reduce((sum, piece) => sum + piece.length, 0) / pieces.length;
  const rowsPerSecond = Math.round(BYTES_PER_SECOND / bytesPerRow);
  const due = rowsPerSecond * seconds;
  const sender = new Sender(dialect, due, rowsPerSecond);
  const folder = mkdtempSync(join(tmpdir(), 'edgeloop-bench-'));
  const config = join(folder, 'edgeloop.toml');
  writeFileSync(
    config,
    `[serial]\nport = "${await sender.line()}"\n[input]\n` +
      'columns = ["ax", "ay", "az", "gx", "gy", "gz", "state"]\nlabel = "state"\n[network]\nclasses = 2\n',
  );
  const entry = join(import.meta.dirname, '../../../src/main.ts');
  const args = [entry, 'run', '--config', config, '--weights', join(folder, 'w.safetensors'), '--json'];
  const program = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let progress = '';
  program.stdout.on('data', (text: Buffer) => (output += text.toString()));
  program.stderr.on('data', (text: Buffer) => (progress += text.toString()));
  while (!progress.includes('Starting with new weights'))
    await new Promise((resolve) => setTimeout(resolve, 20));
  console.log(`\n${(BYTES_PER_SECOND / 1e6).toFixed(1)} MB/s for ${seconds} s with a learner:`);
  sender.go();
  const sent = Number(await sender.line());
  await new Promise((resolve) => setTimeout(resolve, 500));
  program.kill('SIGTERM');
  await new Promise((resolve) => program.on('close', resolve));
  await sender.end();
  rmSync(folder, { recursive: true });
  const document = JSON.parse(output) as {
    rows: number;
    learned: number;
    link: { largestReadBytes: number };
  };
  const result: Sustained = {
    mode: 'sustained',
    dialect,
    seconds,
    mbPerSecond: (sent * bytesPerRow) / seconds / 1e6,
    sent,
    learned: document.learned,
    lost: due - document.rows,
    backlogBytesMax: document.link.largestReadBytes,
  };
  console.log(
    `${due} rows due, ${sent} sent, ${document.learned} learned, ${result.lost} lost; worst backlog ${result.backlogBytesMax} bytes`,
  );
  return result;
}
