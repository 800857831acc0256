/**
 * `npm run bench:offline`: every network of the offline table of the public sets, five seeds each, beside PyTorch's, and
 * the golden traces. Ends with status 1 if a mean is more than a point of accuracy or 2 % of RMSE away, or a trace more
 * than 2e-6.
 *
 *   --tiny   one network of each task at one learning rate
 *   --json   rows as one JSON document on standard output
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Piscina } from 'piscina';
import { Progress } from '../../../src/cli/progress.ts';
import { GOLDEN_OPTIMISERS, largestGoldenDistance, readGolden } from '../../support/golden.ts';
import type { OfflineJob, OfflineJobResult } from './offline-job.ts';
import { DATA, type ReferenceCell, readReferences } from './offline-sets.ts';

// The pool loads its task from here.
export { offlineJob } from './offline-job.ts';

const SEEDS = [1, 2, 3, 4, 5];
const ACCURACY_TOLERANCE = 0.01;
const RMSE_TOLERANCE = 0.02;
const GOLDEN_TOLERANCE = 2e-6;

export interface OfflineRow {
  readonly set: string;
  readonly task: string;
  readonly test: string;
  readonly metric: 'accuracy' | 'rmse';
  readonly activation: string;
  readonly hidden: number;
  readonly learningRate: number;
  /** Mean over the seeds, and population deviation. */
  readonly fixed: { readonly ours: number; readonly reference: number };
  readonly deviation: { readonly ours: number; readonly reference: number };
  /** Points of accuracy / 100, or share of the reference's RMSE. */
  readonly distance: number;
  readonly isWithin: boolean;
}

export interface GoldenRow {
  readonly golden: string;
  readonly optimiser: string;
  /** Of any parameter, output or loss. */
  readonly distance: number;
  readonly isWithin: boolean;
}

export interface OfflineDocument {
  readonly golden: GoldenRow[];
  readonly offline: OfflineRow[];
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { tiny: { type: 'boolean' }, json: { type: 'boolean' } } });
  const references = readReferences();
  const golden = readGolden();
  if (references === undefined || golden === undefined) {
    console.error(`SKIPPED: the public sets are not in ${DATA}. Set EDGELOOP_DATA.`);
    if (values.json) console.log(JSON.stringify({ golden: [], offline: [] } satisfies OfflineDocument));
    return;
  }
  const say = values.json ? console.error : console.log;
  const startedMs = performance.now();
  const traces = Object.entries(golden).flatMap(([name, one]) =>
    Object.keys(GOLDEN_OPTIMISERS).map((optimiser): GoldenRow => {
      const distance = largestGoldenDistance(one, optimiser);
      return { golden: name, optimiser, distance, isWithin: distance <= GOLDEN_TOLERANCE };
    }),
  );
  say('golden trace  optimiser        largest distance');
  for (const row of traces) say(goldenLine(row));
  const rows = await table(values.tiny ? tinyPart(references) : references);
  say(
    '\ntask                  test        network     rate   ours               reference          distance',
  );
  for (const row of rows) say(offlineLine(row));
  const outside = [...rows, ...traces].filter(({ isWithin }) => !isWithin).length;
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
  say(`\n${rows.length} means, ${traces.length} traces: ${outside} outside the tolerance. ${seconds} s.`);
  if (values.json) console.log(JSON.stringify({ golden: traces, offline: rows } satisfies OfflineDocument));
  if (outside > 0) process.exitCode = 1;
}

/** The first network of each task at its first learning rate. */
function tinyPart(cells: readonly ReferenceCell[]): ReferenceCell[] {
  const firsts = cells.filter((cell, index) => cells.findIndex(({ task }) => task === cell.task) === index);
  return firsts.map((cell) => ({ ...cell, grid: Object.fromEntries(Object.entries(cell.grid).slice(0, 1)) }));
}

async function table(cells: readonly ReferenceCell[]): Promise<OfflineRow[]> {
  const pool = new Piscina<OfflineJob, OfflineJobResult>({
    filename: fileURLToPath(import.meta.url),
    name: 'offlineJob',
    maxThreads: availableParallelism(),
    maxQueue: 10_000,
  });
  const jobs = cells.flatMap((cell) => Object.keys(cell.grid).map((rate) => ({ cell, rate })));
  const total = jobs.reduce((sum, { cell }) => sum + SEEDS.length * cell.n_train * cell.epochs, 0);
  const progress = new Progress(process.stderr, { what: 'offline table', unit: 'samples', total });
  let samples = 0;
  try {
    const rows = await Promise.all(
      jobs.map(async ({ cell, rate }) => {
        const results = await Promise.all(
          SEEDS.map(async (seed) => {
            const { task, act, H, epochs, batch, n_train } = cell;
            const job = { cell: { task, act, H, epochs, batch, n_train }, learningRate: Number(rate), seed };
            const result = await pool.run(job);
            progress.update((samples += result.samples));
            return result;
          }),
        );
        return rowsOf(cell, rate, results);
      }),
    );
    return rows.flat();
  } finally {
    progress.end();
    await pool.close();
  }
}

function rowsOf(cell: ReferenceCell, rate: string, results: readonly OfflineJobResult[]): OfflineRow[] {
  return Object.entries(cell.grid[rate]).map(([test, published]) => {
    const isAccuracy = Array.isArray(published);
    const [reference, referenceDeviation] = isAccuracy ? published : published.rmse;
    const scores = results.map(({ scores }) => scores[test]);
    const ours = mean(scores);
    const distance = isAccuracy ? Math.abs(ours - reference) : Math.abs(ours / reference - 1);
    return {
      set: cell.task.split('_', 1)[0],
      task: cell.task,
      test,
      metric: isAccuracy ? 'accuracy' : 'rmse',
      activation: cell.act,
      hidden: cell.H,
      learningRate: Number(rate),
      fixed: { ours, reference },
      deviation: {
        ours: Math.sqrt(mean(scores.map((score) => (score - ours) ** 2))),
        reference: referenceDeviation,
      },
      distance,
      isWithin: distance <= (isAccuracy ? ACCURACY_TOLERANCE : RMSE_TOLERANCE),
    };
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function goldenLine({ golden, optimiser, distance, isWithin }: GoldenRow): string {
  return `${golden.padEnd(13)} ${optimiser.padEnd(16)} ${distance.toExponential(1)}${isWithin ? '' : '  OUTSIDE'}`;
}

function offlineLine(row: OfflineRow): string {
  const { task, test, activation, hidden, learningRate, fixed, deviation, distance, metric, isWithin } = row;
  const score = (side: 'ours' | 'reference'): string =>
    (metric === 'accuracy'
      ? `${(100 * fixed[side]).toFixed(2)} ± ${(100 * deviation[side]).toFixed(2)} %`
      : `${fixed[side].toFixed(4)} ± ${deviation[side].toFixed(4)}`
    ).padEnd(18);
  const away =
    metric === 'accuracy' ? `${(100 * distance).toFixed(3)} points` : `${(100 * distance).toFixed(2)} %`;
  return (
    `${task.padEnd(21)} ${test.padEnd(11)} ${`${activation} H${hidden}`.padEnd(11)} ` +
    `${String(learningRate).padEnd(6)} ${score('ours')} ${score('reference')} ${away}${isWithin ? '' : '  OUTSIDE'}`
  );
}

// Guarded, since the pool's thread loads this module for its task.
if (import.meta.main) await main();
