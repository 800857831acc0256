/**
 * `npm run bench:inputs`: what a row costs on its way to the network, by feature, columns, window and hop: statistics,
 * window, the feature of every column, and its standardising when a sample is due. Beside it, as a measure, statistics
 * and standardising alone. Cases take turns, so that a busy moment of the machine hits nobody alone.
 *
 *   --json   only an array of rows on standard output; the table goes to standard error
 *   --tiny   a fraction of the work, so that the tests can run it
 */
import { createHash } from 'node:crypto';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { ArenaPlan } from '../../src/engine/arena.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import { HeapMeter } from '../../src/learn/heap-meter.ts';
import {
  FEATURE_KINDS,
  type InputsConfig,
  openInputs,
  planInputs,
  standardise,
  takeRow,
} from '../../src/stream/inputs.ts';
import { openScaler, planScaler, scale, updateScaler } from '../../src/stream/scaler.ts';

export interface InputsRow {
  /** A kind of feature, or `scaler`: statistics and standardising alone, without window and raw inputs. */
  readonly feature: string;
  readonly columns: number;
  readonly windowRows: number;
  readonly hopRows: number;
  /** Of one row with all its columns. */
  readonly nsMin: number;
  readonly nsMedian: number;
  /** (nsMin − that of the scaler alone)/columns: what the feature adds, per row and column. */
  readonly nsPerColumn: number;
  readonly heapBytesPerRow: number;
}

interface Contender {
  readonly feature: string;
  readonly config: Pick<InputsConfig, 'columns' | 'windowRows' | 'hopRows'>;
  /** Takes one row. */
  readonly take: (first: number) => void;
  readonly scaled: Float32Array;
  readonly rows: Float32Array;
  readonly ns: number[];
}

const COLUMNS = [1, 3, 6];
const WINDOWS = [16, 64, 256];
const BANDS = 8;
/** Rows of data, gone through in turn. */
const ROWS = 2048;

const { values } = parseArgs({ options: { tiny: { type: 'boolean' }, json: { type: 'boolean' } } });
const say = values.json ? console.error : console.log;
const [rounds, passes] = values.tiny ? [2, 1] : [25, 2];

const contenders = makeContenders();
for (const contender of contenders) run(contender, values.tiny ? 1 : 10); // compiled, windows filled
for (let round = 0; round < rounds; round++) {
  for (const contender of contenders) contender.ns.push(run(contender, passes));
}
const rows = contenders.map(rowOf);
const hash = createHash('sha256');
for (const { scaled } of contenders) hash.update(new Uint8Array(scaled.buffer));

say(`${cpus()[0].model}, ${process.arch}, Node ${process.versions.node}`);
say('feature        columns  window  hop    ns min  ns median  ns per column  heap bytes');
for (const row of rows) say(lineOf(row));
say(`result ${hash.digest('hex').slice(0, 16)}`);
if (values.json) console.log(JSON.stringify(rows));

function makeContenders(): Contender[] {
  return COLUMNS.flatMap((columns) => [
    scalerContender(columns),
    inputsContender('newest', columns, 1, 1),
    ...WINDOWS.flatMap((windowRows) =>
      [1, windowRows].flatMap((hopRows) =>
        FEATURE_KINDS.filter((kind) => kind !== 'newest').map((kind) =>
          inputsContender(kind, columns, windowRows, hopRows),
        ),
      ),
    ),
  ]);
}

function scalerContender(columns: number): Contender {
  const plan = new ArenaPlan();
  const parts = planScaler(plan, columns);
  const scaler = openScaler(plan.allocate().buffer, parts);
  const rows = makeRows(columns);
  const scaled = new Float32Array(columns);
  const take = (first: number): void => {
    updateScaler(scaler, rows, first);
    scale(scaler, rows, first, scaled);
  };
  return { feature: 'scaler', config: { columns, windowRows: 1, hopRows: 1 }, take, scaled, rows, ns: [] };
}

function inputsContender(
  kind: InputsConfig['features'][number]['kind'],
  columns: number,
  windowRows: number,
  hopRows: number,
): Contender {
  const features = Array.from({ length: columns }, (_, column) => ({ column, kind, bands: BANDS }));
  const config = { columns, windowRows, hopRows, features, breakAtLabelChange: false, clip: 5 };
  const plan = new ArenaPlan();
  const parts = planInputs(plan, config);
  const inputs = openInputs(plan.allocate().buffer, config, parts);
  const rows = makeRows(columns);
  const scaled = new Float32Array(inputs.raw.length);
  const take = (first: number): void => {
    if (takeRow(inputs, rows, first) === 1) standardise(inputs, inputs.raw, 0, scaled, 0);
  };
  return { feature: kind, config, take, scaled, rows, ns: [] };
}

/** Noise on a slow wave, 1 % of the values missing. */
function makeRows(columns: number): Float32Array {
  const random = mulberry32(columns);
  let level = 0;
  return Float32Array.from({ length: ROWS * columns }, () => {
    level += (random() - 0.5) / columns - 0.01 * level;
    return random() < 0.01 ? NaN : level + random();
  });
}

/** @returns ns of a row */
function run({ take, config: { columns } }: Contender, times: number): number {
  const beforeMs = performance.now();
  for (let pass = 0; pass < times; pass++) {
    for (let row = 0; row < ROWS; row++) take(row * columns);
  }
  return ((performance.now() - beforeMs) * 1e6) / (times * ROWS);
}

function rowOf(contender: Contender): InputsRow {
  const { feature, config } = contender;
  const { columns, windowRows, hopRows } = config;
  const sorted = contender.ns.toSorted((a, b) => a - b);
  const alone = contenders.find((other) => other.feature === 'scaler' && other.config.columns === columns);
  const nsAlone = Math.min(...(alone ?? contender).ns);
  return {
    feature,
    columns,
    windowRows,
    hopRows,
    nsMin: sorted[0],
    nsMedian: sorted[sorted.length >> 1],
    nsPerColumn: (sorted[0] - nsAlone) / columns,
    heapBytesPerRow: heapOf(contender),
  };
}

function heapOf(contender: Contender): number {
  const meter = new HeapMeter();
  meter.start();
  run(contender, values.tiny ? 1 : 10);
  return meter.stop().allocatedBytes / ((values.tiny ? 1 : 10) * ROWS);
}

function lineOf(row: InputsRow): string {
  return (
    row.feature.padEnd(15) +
    `${String(row.columns).padStart(7)}${String(row.windowRows).padStart(8)}${String(row.hopRows).padStart(5)}` +
    `${row.nsMin.toFixed(1).padStart(10)}${row.nsMedian.toFixed(1).padStart(11)}` +
    `${row.nsPerColumn.toFixed(1).padStart(15)}${row.heapBytesPerRow.toFixed(2).padStart(12)}`
  );
}
