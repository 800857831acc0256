/** Rows of the engine bench as JSON and as a table, beside what was aimed at. */
import type { CaseResult, CaseTask, HeapRate, Times } from './measure.ts';
import { flopPerSample } from './task.ts';

/** Own time over theirs, by the minima of the same run; null where there is none to compare with. */
export interface Ratios {
  readonly reference: number | null;
  readonly plainJs: number | null;
  readonly c: number | null;
  readonly c128: number | null;
  readonly fann: number | null;
}

export interface Row {
  /** Inputs, hidden units, outputs: "64-32-8". */
  readonly shape: string;
  readonly batch: number;
  readonly mode: 'strict' | 'reference';
  readonly pass: CaseTask['pass'];
  readonly workers: number;
  /** Of one sample. */
  readonly usMin: number;
  readonly usMedian: number;
  /** Of the peak of one core in 128-bit vectors, by usMin. */
  readonly peakFraction: number;
  /** For each million samples. */
  readonly heapBytesPerMillion: number;
  readonly gcEvents: number;
  readonly ratio: Ratios;
}

export type Case = Pick<CaseTask, 'shape' | 'batch' | 'pass'> & { readonly result: CaseResult };

export interface RunPeak {
  /** The highest of all slices in the whole run. */
  readonly gflops: number;
  /** The median slice of the same loop: what it gives most of the time. */
  readonly sustainedGflops: number;
  readonly by: 'C' | 'WebAssembly';
}

function sorted(slices: readonly number[]): number[] {
  return slices.toSorted((a, b) => a - b);
}

export function peakOf(cases: readonly Case[]): RunPeak {
  const wasm = sorted(cases.flatMap(({ result }) => result.peaks.wasm));
  const c = sorted(cases.flatMap(({ result }) => result.peaks.c));
  const [slices, by] =
    (c.at(-1) ?? 0) > wasm[wasm.length - 1] ? [c, 'C' as const] : [wasm, 'WebAssembly' as const];
  return { gflops: slices[slices.length - 1], sustainedGflops: slices[slices.length >> 1], by };
}

export function rowsOf(cases: readonly Case[]): Row[] {
  const { gflops } = peakOf(cases);
  return cases.flatMap((one) => (['strict', 'reference'] as const).map((mode) => rowOf(one, mode, gflops)));
}

function rowOf({ shape, batch, pass, result }: Case, mode: Row['mode'], peakGflops: number): Row {
  const { usMin, usMedian } = result.times[mode] as Times;
  const heap: HeapRate = result.heap[mode];
  const over = (other: Times | null): number | null => (other === null ? null : usMin / other.usMin);
  const { reference, plainJs, c, c128, fann } = result.times;
  return {
    shape: shape.join('-'),
    batch,
    mode,
    pass,
    workers: 1,
    usMin,
    usMedian,
    peakFraction: flopPerSample(shape, pass) / (usMin * 1000 * peakGflops),
    ...heap,
    ratio: {
      reference: over(reference),
      plainJs: over(plainJs),
      c: over(c),
      c128: over(c128),
      fann: over(fann),
    },
  };
}

const HEAD =
  'shape       batch pass  mode       µs min  µs median  % peak  heap B/M  GC/M   x ref   x JS    x C  x C128  x FANN';

export function tableOf(rows: readonly Row[]): string {
  return [HEAD, ...rows.map(lineOf)].join('\n');
}

function ratio(value: number | null, width: number): string {
  if (value === null) return '-'.padStart(width);
  return (value < 10 ? value.toPrecision(2) : value.toFixed(0)).padStart(width);
}

function lineOf(row: Row): string {
  const { reference, plainJs, c, c128, fann } = row.ratio;
  return (
    row.shape.padEnd(12) +
    `${String(row.batch).padStart(5)} ${row.pass}  ${row.mode.padEnd(9)}`.padEnd(22) +
    row.usMin.toFixed(3).padStart(9) +
    row.usMedian.toFixed(3).padStart(11) +
    (100 * row.peakFraction).toFixed(1).padStart(8) +
    String(row.heapBytesPerMillion).padStart(10) +
    row.gcEvents.toFixed(1).padStart(6) +
    ratio(reference, 8) +
    ratio(plainJs, 7) +
    ratio(c, 7) +
    ratio(c128, 8) +
    ratio(fann, 8)
  );
}

interface Aim {
  readonly shape: string;
  readonly what: 'peakFraction' | keyof Ratios;
  /** At least for the fraction of the peak, at most for a ratio. */
  readonly limit: number;
}

/** Of the strict kernels when they learn at batch 1. */
const AIMS: readonly Aim[] = [
  { shape: '64-32-8', what: 'peakFraction', limit: 0.77 },
  { shape: '128-64-10', what: 'peakFraction', limit: 0.84 },
  { shape: '784-128-10', what: 'peakFraction', limit: 0.91 },
  { shape: '2-2-2', what: 'c', limit: 0.75 },
  { shape: '6-16-3', what: 'c', limit: 0.35 },
  { shape: '64-32-8', what: 'c', limit: 0.7 },
  { shape: '128-64-10', what: 'c', limit: 0.8 },
  { shape: '784-128-10', what: 'c', limit: 0.6 },
  { shape: '64-32-8', what: 'plainJs', limit: 0.1 },
  { shape: '128-64-10', what: 'plainJs', limit: 0.1 },
  { shape: '784-128-10', what: 'plainJs', limit: 0.1 },
];

const WORDS: { readonly [what in Aim['what']]: string } = {
  peakFraction: 'of the peak',
  reference: 'x reference',
  plainJs: 'x plain JS',
  c: 'x plain C',
  c128: 'x 128-bit C',
  fann: 'x FANN',
};

/** @param burst the peak over what its loop sustains */
export function aimsOf(rows: readonly Row[], burst: number): string {
  const learned = rows.filter(
    ({ mode, pass, batch }) => mode === 'strict' && pass === 'train' && batch === 1,
  );
  return AIMS.map(({ shape, what, limit }) => {
    const row = learned.find((one) => one.shape === shape);
    const got = what === 'peakFraction' ? row?.peakFraction : row?.ratio[what];
    const bound = what === 'peakFraction' ? 'least' : 'most';
    const aim = `${shape.padEnd(11)} aim at ${bound} ${limit.toFixed(2)} ${WORDS[what]}, `;
    if (got === undefined || got === null) return `${aim}not measured`;
    const met = what === 'peakFraction' ? got >= limit : got <= limit;
    const sustained = what === 'peakFraction' ? ` (${(got * burst).toFixed(2)} of the median slice)` : '';
    return `${aim}got ${got.toFixed(2)}${sustained}${met ? '' : '   short of it'}`;
  }).join('\n');
}
