/**
 * `npm run bench`: engine steps by shape, and the serial path. Times differ from run to run on a busy machine; the
 * ratios are taken within one run and say more.
 *
 *   --tiny   a fraction of the work, so that the tests can run it
 *   --json   one JSON document as the last line
 */
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Piscina } from 'piscina';
import type { EngineResult, EngineTask } from './engine-task.ts';
import { type SerialResult, serialBench } from './serial/measure.ts';

// The pool loads its task from here.
export { engineBench } from './engine-task.ts';

const SHAPES = [
  [2, 2, 2],
  [6, 16, 3],
  [64, 32, 8],
  [128, 64, 10],
  [784, 128, 10],
] as const;

/** Multiply-adds per timed repetition, so that each shape takes about the same time. */
const WORK_PER_REPETITION = 10_000_000;
const REPETITIONS = 10;
/** The smallest shape is stepped this often under the heap meter. */
const SMALL_STEPS = 1_000_000;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { tiny: { type: 'boolean' }, json: { type: 'boolean' } } });
  const scale = values.tiny ? 0.01 : 1;
  console.log(`${cpus()[0].model}, ${cpus().length} threads, Node ${process.versions.node}`);
  const engine = await benchEngine(scale);
  const serial = await benchSerial(scale);
  if (values.json) console.log(JSON.stringify({ node: process.versions.node, engine, serial }));
}

interface EngineRow extends EngineResult {
  readonly shape: string;
  readonly mode: EngineTask['mode'];
  readonly steps: number;
  /** Time over that of the reference and of a plain JavaScript loop: minima of the same run. */
  readonly ratio: { readonly reference: number; readonly plainJs: number };
}

async function benchEngine(scale: number): Promise<EngineRow[]> {
  const pool = new Piscina<EngineTask, EngineResult>({
    filename: fileURLToPath(import.meta.url),
    name: 'engineBench',
    maxThreads: 1,
  });
  const rows: EngineRow[] = [];
  console.log('\nstep, batch 1     µs min  median  x reference  x plain JS  heap bytes/step  collections');
  for (const shape of SHAPES) {
    const steps = Math.max(10, Math.round(scale * stepsOf(shape)));
    const run = (mode: EngineTask['mode']): Promise<EngineResult> =>
      pool.run({ shape, steps, repetitions: REPETITIONS, mode });
    const plain = await run('plainJs');
    const reference = await run('reference');
    const modes = shape === SHAPES[0] ? (['kernels', 'allocating'] as const) : (['kernels'] as const);
    for (const mode of modes) {
      const result = await run(mode);
      const ratio = {
        reference: result.usMin / reference.usMin,
        plainJs: result.usMin / plain.usMin,
      };
      const row = { shape: shape.join('-'), mode, steps, ...result, ratio };
      rows.push(row);
      console.log(engineLine(row));
    }
  }
  await pool.close();
  return rows;
}

function stepsOf(shape: readonly [number, number, number]): number {
  if (shape === SHAPES[0]) return SMALL_STEPS / REPETITIONS;
  const [D, H, K] = shape;
  return WORK_PER_REPETITION / (2 * D * H + 3 * H * K);
}

function engineLine({ shape, mode, usMin, usMedian, ratio, heapBytesPerStep, gcEvents }: EngineRow): string {
  const note = mode === 'allocating' ? '   (control: one array per step)' : '';
  return (
    `${shape.padEnd(16)} ${usMin.toFixed(3).padStart(7)} ${usMedian.toFixed(3).padStart(7)}` +
    ` ${ratio.reference.toFixed(3).padStart(12)} ${ratio.plainJs.toFixed(3).padStart(11)}` +
    ` ${heapBytesPerStep.toFixed(3).padStart(16)} ${String(gcEvents).padStart(12)}${note}`
  );
}

async function benchSerial(scale: number): Promise<SerialResult[]> {
  const results: SerialResult[] = [];
  console.log('\nserial, 7 cells   rows/s    CPU µs/row   heap bytes/row  collections   lost');
  for (const [paceRowsPerSecond, allRows] of [
    [0, 1_000_000],
    [1000, 5000],
  ]) {
    const rows = Math.max(1000, Math.round((scale * allRows) / 1000) * 1000);
    for (const reader of ['stream', 'edgeloop'] as const) {
      const result = await serialBench({ reader, dialect: 'numbers', rows, paceRowsPerSecond });
      results.push(result);
      console.log(serialLine(result));
    }
    const [stream, ours] = results.slice(-2);
    console.log(
      `${''.padEnd(16)} processor time of the stream over ours: ${(stream.cpuUsPerRow / ours.cpuUsPerRow).toFixed(1)}`,
    );
  }
  return results;
}

function serialLine({
  reader,
  mode,
  rowsPerSecond,
  cpuUsPerRow,
  heapBytesPerRow,
  gcEvents,
  lost,
}: SerialResult): string {
  return (
    `${`${reader} ${mode}`.padEnd(16)} ${rowsPerSecond.toFixed(0).padStart(7)} ${cpuUsPerRow.toFixed(2).padStart(13)}` +
    ` ${heapBytesPerRow.toFixed(1).padStart(16)} ${String(gcEvents).padStart(12)} ${String(lost).padStart(6)}`
  );
}

// Guarded, since the pool's thread loads this module for its task.
if (import.meta.main) await main();
