/**
 * `npm run bench:drift`: how soon a drift is seen, and how often one is seen where there is none. A plain classifier
 * (32 tanh units, SGD at rate 0.03) learns the stream; the detector has its loss before each step. Beside it stand
 * two detectors from the literature on the same predictions: DDM and Page-Hinkley, with their usual constants.
 *
 *   --json   only an array of rows on standard output; the tables go to standard error
 *   --tiny   a fraction of the work, so that the tests can run it
 */
import { parseArgs } from 'node:util';
import { ArenaPlan } from '../../../src/engine/arena.ts';
import { log } from '../../../src/engine/arithmetic.ts';
import { openKernels } from '../../../src/engine/kernels.ts';
import {
  type NetworkConfig,
  initialParameters,
  openNetwork,
  planNetwork,
  writeParameters,
} from '../../../src/engine/network.ts';
import { mulberry32 } from '../../../src/engine/random.ts';
import { openDrift, planDrift, takeLoss } from '../../../src/learn/drift.ts';
import { HeapMeter } from '../../../src/learn/heap-meter.ts';
import { openScaler, planScaler, scale, updateScaler } from '../../../src/stream/scaler.ts';
import { setsAreThere } from './anomaly-sets.ts';
import {
  DRIFT_KINDS,
  type DriftKind,
  ELEC2_FILE,
  type Labelled,
  WISDM_FILE,
  drifting,
  readElec2,
  readWisdm,
} from './drift-streams.ts';

const { values: options } = parseArgs({ options: { tiny: { type: 'boolean' }, json: { type: 'boolean' } } });
const say = options.json ? console.error : console.log;

const CHANGE_AT = options.tiny ? 1500 : 6000;
const ROWS_AFTER = options.tiny ? 500 : 4000;
const STREAMS = options.tiny ? 2 : 30;
/** Ten stationary streams, each long enough for a detector that warms up slowly. */
const STATIONARY_STREAMS = options.tiny ? 1 : 10;
const STATIONARY_ROWS = options.tiny ? 3000 : 30_000;

/** A row of the JSON document. */
export interface DriftRow {
  readonly stream: string;
  readonly detector: string;
  readonly streams: number;
  /** Share of the streams in which the change was seen, in %. */
  readonly found: number | null;
  /** Rows from the change to the first alarm, median of those that were seen. */
  readonly delayRows: number | null;
  /** Alarms on rows before the change, or on all if there is none; and the number of those rows. */
  readonly falseAlarms: number | null;
  readonly rowsWithoutChange: number;
  readonly alarmsPer10000: number | null;
}

/** Takes the loss and whether the prediction was wrong. @returns whether it gives alarm */
type Detector = (loss: number, wrong: number) => boolean;

const DETECTORS: { readonly [name: string]: () => Detector } = {
  'two means': () => {
    const plan = new ArenaPlan();
    const parts = planDrift(plan);
    const drift = openDrift(plan.allocate().buffer, parts);
    return (loss) => takeLoss(drift, loss) === 1;
  },
  DDM: () => ddm(),
  'Page-Hinkley': () => pageHinkley(),
};

/** Gama et al. 2004: the error rate is three deviations above its least; at least 30 rows. */
function ddm(): Detector {
  let [rows, rate, leastRate, leastDeviation] = [0, 0, Infinity, Infinity];
  return (_, wrong) => {
    rows += 1;
    rate += (wrong - rate) / rows;
    const deviation = Math.sqrt((rate * (1 - rate)) / rows);
    if (rows < 30) return false;
    if (rate + deviation <= leastRate + leastDeviation) [leastRate, leastDeviation] = [rate, deviation];
    if (rate + deviation <= leastRate + 3 * leastDeviation) return false;
    [rows, rate, leastRate, leastDeviation] = [0, 0, Infinity, Infinity];
    return true;
  };
}

/** Page 1954: the sum of (loss − mean − 0.005) is 50 above its least; at least 30 rows. */
function pageHinkley(): Detector {
  let [rows, mean, sum, least] = [0, 0, 0, Infinity];
  return (loss) => {
    rows += 1;
    const x = Math.min(loss, 5);
    mean += (x - mean) / rows;
    sum += x - mean - 0.005;
    least = Math.min(least, sum);
    if (rows < 30 || sum - least <= 50) return false;
    [rows, mean, sum, least] = [0, 0, 0, Infinity];
    return true;
  };
}

/** Losses before each step, and which predictions were wrong. */
function learnStream(stream: Labelled, seed: number): { losses: Float64Array; wrong: Uint8Array } {
  const config: NetworkConfig = {
    inputs: stream.columns,
    hidden: 32,
    outputs: stream.classes,
    hiddenActivation: 'tanh',
    outputActivation: 'identity',
    loss: 'crossEntropy',
    learningRate: 0.03,
  };
  const plan = new ArenaPlan();
  const parts = { network: planNetwork(plan, config), scaler: planScaler(plan, config.inputs) };
  const memory = plan.allocate();
  const network = openNetwork(memory.buffer, config, parts.network);
  const scaler = openScaler(memory.buffer, parts.scaler);
  const engine = openKernels(memory, network);
  writeParameters(network, initialParameters(config, mulberry32(seed)));
  const losses = new Float64Array(stream.rows);
  const wrong = new Uint8Array(stream.rows);
  for (let row = 0; row < stream.rows; row++) {
    updateScaler(scaler, stream.values, row * stream.columns);
    scale(scaler, stream.values, row * stream.columns, network.inputs);
    engine.forward();
    const label = stream.labels[row];
    const { probabilities } = network;
    losses[row] = -log(probabilities[label]);
    for (let k = 0; k < stream.classes; k++) {
      if (probabilities[k] > probabilities[label]) wrong[row] = 1;
    }
    network.targets.fill(0);
    network.targets[label] = 1;
    engine.learn();
  }
  return { losses, wrong };
}

function alarmsOf(detector: Detector, { losses, wrong }: ReturnType<typeof learnStream>): number[] {
  const alarms: number[] = [];
  for (let row = 0; row < losses.length; row++) if (detector(losses[row], wrong[row])) alarms.push(row);
  return alarms;
}

const document: DriftRow[] = [];
const runs = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const median = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.toSorted((a, b) => a - b)[values.length >> 1];

/** @param changeAt Infinity: nothing changes */
function judge(stream: string, learned: ReturnType<typeof learnStream>[], changeAt: number): void {
  for (const [detector, make] of Object.entries(DETECTORS)) {
    const alarms = learned.map((one) => alarmsOf(make(), one));
    const delays = alarms
      .flatMap((rows) => rows.filter((row) => row >= changeAt).slice(0, 1))
      .map((row) => row - changeAt);
    const rows = learned.reduce((sum, { losses }) => sum + Math.min(losses.length, changeAt), 0);
    const falseAlarms = alarms.flat().filter((row) => row < changeAt).length;
    document.push({
      stream,
      detector,
      streams: learned.length,
      found: changeAt === Infinity ? null : (100 * delays.length) / learned.length,
      delayRows: median(delays),
      falseAlarms,
      rowsWithoutChange: rows,
      alarmsPer10000: (10_000 * falseAlarms) / rows,
    });
  }
}

function constructed(): void {
  const wisdm = readWisdm();
  const streamOf = (kind: DriftKind, rows: number, seed: number) =>
    drifting(wisdm, kind, rows, CHANGE_AT, seed);
  console.error('bench:drift: stationary');
  const quiet = runs(STATIONARY_STREAMS).map((seed) =>
    learnStream(streamOf('stationary', STATIONARY_ROWS, seed), seed),
  );
  judge('stationary', quiet, Infinity);
  for (const kind of DRIFT_KINDS) {
    console.error(`bench:drift: ${kind}`);
    const learned = runs(STREAMS).map((seed) =>
      learnStream(streamOf(kind, CHANGE_AT + ROWS_AFTER, seed), seed),
    );
    judge(kind, learned, CHANGE_AT);
  }
}

/** A model that is wrong for a share of the rows and sure of itself: losses without any learning. */
function seldomWrong(): void {
  for (const share of [0.5, 0.1, 0.01, 0.001]) {
    console.error(`bench:drift: wrong ${share}`);
    const rows = options.tiny ? 20_000 : 1_000_000;
    const learned = runs(options.tiny ? 1 : 3).map((seed) => {
      const random = mulberry32(seed);
      const wrong = Uint8Array.from({ length: rows }, () => Number(random() < share));
      return {
        losses: Float64Array.from(wrong, (one) => (one === 1 ? 1.5 + random() : 0.2 * random())),
        wrong,
      };
    });
    judge(`wrong ${100 * share} %`, learned, Infinity);
  }
}

/** Real drift, and nobody knows where: how many alarms there are. */
function elec2(): void {
  console.error('bench:drift: elec2');
  const stream = readElec2();
  judge(
    'elec2, real order',
    runs(options.tiny ? 1 : 5).map((seed) => learnStream(stream, seed)),
    Infinity,
  );
}

/** ns and heap bytes of one loss. */
function cost(): { nsMin: number; heapBytesPerRow: number } {
  const plan = new ArenaPlan();
  const parts = planDrift(plan);
  const drift = openDrift(plan.allocate().buffer, parts);
  const random = mulberry32(1);
  const losses = Float64Array.from({ length: 1024 }, () => random());
  const rows = options.tiny ? 10_000 : 1_000_000;
  const take = (): number => {
    const before = performance.now();
    for (let row = 0; row < rows; row++) takeLoss(drift, losses[row % 1024]);
    return (1e6 * (performance.now() - before)) / rows;
  };
  const nsMin = Math.min(...Array.from({ length: 10 }, take));
  const meter = new HeapMeter();
  meter.start();
  take();
  return { nsMin, heapBytesPerRow: meter.stop().allocatedBytes / rows };
}

function cellOf(value: string | number | null): string {
  if (typeof value !== 'number') return value ?? '-';
  return Number.isInteger(value) ? String(value) : value.toFixed(2);
}

if (setsAreThere([WISDM_FILE])) constructed();
if (setsAreThere([ELEC2_FILE])) elec2();
seldomWrong();
const keys = [
  'stream',
  'detector',
  'streams',
  'found',
  'delayRows',
  'falseAlarms',
  'rowsWithoutChange',
  'alarmsPer10000',
] as const;
for (const cells of [keys, ...document.map((row) => keys.map((key) => cellOf(row[key])))]) {
  say(cells.map((cell, i) => cell.padEnd(i < 2 ? 18 : 10)).join(' '));
}
const { nsMin, heapBytesPerRow } = cost();
say(`one loss: ${nsMin.toFixed(1)} ns, ${heapBytesPerRow.toFixed(2)} bytes of heap`);
if (options.json) console.log(JSON.stringify(document));
