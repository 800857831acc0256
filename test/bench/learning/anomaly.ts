/**
 * `npm run bench:anomaly`: how well anomalies are found, and how well the budget of alarms is kept.
 * - faults put into two public sets (anomaly-faults.ts): the detector beside parts of it and simple scores, all under
 *   the same budget; then the detector with other settings;
 * - the two NAB series: the detector, and the published protocol's plain autoencoder beside its reference;
 * - alarms on streams in which nothing happens, by budget; cost of a row.
 *
 *   --json   only an array of rows on standard output; tables go to standard error
 *   --tiny   a fraction of the work, so that the tests can run it
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { mulberry32 } from '../../../src/engine/random.ts';
import { type AnomalyConfig, COUNT, takeAnomalyRow } from '../../../src/learn/anomaly.ts';
import { HeapMeter } from '../../../src/learn/heap-meter.ts';
import { FAULT_KINDS, type FaultySeries, type Series, withFaults } from './anomaly-faults.ts';
import { NAB_WARM_SHARE, type NabMode, scoreNab } from './anomaly-nab.ts';
import { METHODS, type Method, type Run, configOf, newDetector, runDetector } from './anomaly-run.ts';
import { type Worth, judge, rocAuc } from './anomaly-scoring.ts';
import { DATA, GROUPS, NAB, readSeries, setsAreThere } from './anomaly-sets.ts';

const { values: options } = parseArgs({ options: { tiny: { type: 'boolean' }, json: { type: 'boolean' } } });
const say = options.json ? console.error : console.log;
const SEEDS = options.tiny ? [1] : [1, 2, 3, 4, 5];
const ROWS_MAX = options.tiny ? 5000 : Infinity;
const BUDGET_ROWS = 500;

/** A row of the JSON document; figures that a section does not have are not there. */
export interface AnomalyRow {
  readonly section: 'faults' | 'settings' | 'nab' | 'protocol' | 'budget' | 'cost';
  readonly set: string;
  readonly what: string;
  readonly [figure: string]: string | number | null;
}
const document: AnomalyRow[] = [];

const mean = (values: readonly number[]): number => {
  const known = values.filter((value) => !Number.isNaN(value));
  return known.reduce((sum, value) => sum + value, 0) / known.length;
};
const median = (values: readonly number[]): number =>
  values.length === 0 ? NaN : values.toSorted((a, b) => a - b)[values.length >> 1];
const progress = (what: string): void => console.error(`bench:anomaly: ${what}`);

// --- faults ---

interface Judged extends Worth {
  /** Share of the alarms within faults that name the right channel first, in %. */
  readonly rightColumn: number;
}

function judgeRun(run: Run, series: FaultySeries, method: Method, grace: number): Judged {
  const scored = run.methods[method];
  const worth = judge(scored, series, run.guardFrom, grace);
  const named = series.faults.flatMap(({ begin, end, column }) => {
    const delay = scored.alarms.subarray(begin, end).indexOf(1);
    return delay < 0 ? [] : [run.columns[begin + delay] === column ? 100 : 0];
  });
  return { ...worth, rightColumn: mean(named) };
}

function figuresOf(worths: readonly Judged[]) {
  const auc = FAULT_KINDS.map((kind) => mean(worths.map((worth) => worth.auc[kind])));
  const hit = FAULT_KINDS.map((kind) => mean(worths.map((worth) => worth.hit[kind])));
  return {
    auc: mean(auc),
    falseAlarmsPer1000: 1000 * mean(worths.map(({ falseAlarms, goodRows }) => falseAlarms / goodRows)),
    hit: mean(hit),
    delayRows: median(worths.flatMap(({ delays }) => delays)),
    rightColumn: mean(worths.map(({ rightColumn }) => rightColumn)),
    ...Object.fromEntries(FAULT_KINDS.map((kind, i) => [`auc ${kind}`, auc[i]])),
    ...Object.fromEntries(FAULT_KINDS.map((kind, i) => [`hit ${kind}`, hit[i]])),
  };
}

interface FaultCase {
  readonly set: string;
  readonly method: Method;
  readonly worth: Judged;
}

/** @param learnFaults whether the learn phase has faults as well */
function runGroups(changes: Partial<AnomalyConfig>, learnFaults: boolean): FaultCase[] {
  return GROUPS.flatMap(({ name, file, columns }) => {
    const clean = readSeries(file, columns, ROWS_MAX);
    return SEEDS.flatMap((seed) => {
      const config = configOf(columns.length, { seed, budgetRows: BUDGET_ROWS, ...changes });
      const guardFrom = configOf(columns.length, {}).learnRows; // the same faults, however long it learns
      const series = withFaults(clean, learnFaults ? 0 : guardFrom, seed);
      const run = runDetector(series, config);
      const judged = { ...series, faults: series.faults.filter(({ begin }) => begin >= run.guardFrom) };
      return METHODS.map((method) => ({
        set: name,
        method,
        worth: judgeRun(run, judged, method, config.windowRows),
      }));
    });
  });
}

function faults(): void {
  progress('faults');
  const cases = runGroups({}, false);
  for (const set of ['all', ...GROUPS.map(({ name }) => name)]) {
    for (const method of METHODS) {
      const own = cases.filter((one) => one.method === method && (set === 'all' || one.set === set));
      document.push({ section: 'faults', set, what: method, ...figuresOf(own.map(({ worth }) => worth)) });
    }
  }
}

const SETTINGS: { readonly [what: string]: Partial<AnomalyConfig> } = {
  'network and scaler frozen': { guardedNetwork: 'frozen', guardedScaler: 'frozen' },
  'keeps learning, running scaler': { guardedNetwork: 'learning', guardedScaler: 'running' },
  '1000 rows learned': { learnRows: 1000 },
  '400 rows learned': { learnRows: 400 },
};

function settings(): void {
  for (const [what, changes] of [...Object.entries(SETTINGS), ['faults while learning', {}] as const]) {
    progress(what);
    const cases = runGroups(changes, what === 'faults while learning');
    const own = cases.filter(({ method }) => method === 'score alone').map(({ worth }) => worth);
    document.push({ section: 'settings', set: 'all', what: `score alone, ${what}`, ...figuresOf(own) });
  }
}

// --- the NAB series ---

interface NabSeries extends Series {
  /** 1 inside a labelled window. */
  readonly labels: Uint8Array;
}

function readNab(file: string): NabSeries {
  const { rows, values } = readSeries(file, ['value', 'window']);
  return {
    columns: 1,
    rows,
    values: Float32Array.from({ length: rows }, (_, row) => values[2 * row]),
    labels: Uint8Array.from({ length: rows }, (_, row) => values[2 * row + 1]),
  };
}

/** Over rows from 15 % on. A score that is no number is taken for the least. */
function nabAuc(
  scores: Float64Array,
  labels: Uint8Array,
  from = Math.floor(NAB_WARM_SHARE * labels.length),
): number {
  const split: [number[], number[]] = [[], []];
  for (let row = from; row < labels.length; row++) split[labels[row]].push(scores[row] || 0);
  return rocAuc(...split);
}

function nab(): void {
  for (const [set, file] of Object.entries(NAB)) {
    progress(`nab ${set}`);
    const series = readNab(file);
    // 15 % of the rows, as the protocol has it, with the window that comes first.
    const learnRows = Math.floor(NAB_WARM_SHARE * series.rows) - configOf(1, {}).windowRows;
    const runs = SEEDS.map((seed) =>
      runDetector(series, configOf(1, { seed, learnRows, budgetRows: BUDGET_ROWS })),
    );
    for (const method of METHODS) {
      const figures = runs.map(({ methods, guardFrom }) =>
        nabFigures(methods[method].scores, methods[method].alarms, series, guardFrom),
      );
      document.push({
        section: 'nab',
        set,
        what: method,
        auc: 100 * mean(figures.map(({ auc }) => auc)),
        falseAlarmsPer1000: mean(figures.map(({ falseAlarmsPer1000 }) => falseAlarmsPer1000)),
        windowsHit: mean(figures.map(({ windowsHit }) => windowsHit)),
        windows: figures[0].windows,
      });
    }
  }
}

function nabFigures(scores: Float64Array, alarms: Uint8Array, { labels, rows }: NabSeries, from: number) {
  let [falseAlarms, good, windows, windowsHit, hit] = [0, 0, 0, 0, false];
  for (let row = from; row < rows; row++) {
    if (labels[row] === 0) {
      good += 1;
      if (alarms[row] === 1 && alarms[row - 1] === 0) falseAlarms += 1;
      continue;
    }
    if (row === from || labels[row - 1] === 0) {
      windows += 1;
      hit = false;
    }
    if (alarms[row] === 1 && !hit) {
      windowsHit += 1;
      hit = true;
    }
  }
  return {
    auc: nabAuc(scores, labels, from),
    falseAlarmsPer1000: (1000 * falseAlarms) / good,
    windows,
    windowsHit,
  };
}

const MODES: { readonly [kind: string]: NabMode } = {
  online_ae: 'learning',
  online_ae_learn: 'learning',
  online_ae_frozen: 'frozen',
  online_ae_gated: 'gated',
};

/** The plain autoencoder beside the reference's mean over the same five seeds. */
function protocol(): void {
  const published = ['nab.json', 'nab_gate.json'].flatMap((file) =>
    JSON.parse(readFileSync(join(DATA, 'reference', file), 'utf8')),
  );
  for (const [set, file] of Object.entries(NAB)) {
    const { values, labels } = readNab(file);
    for (const { task, kind, act, H, lr, auc, grid } of published) {
      if (task !== `nab_${set}_temperature` || !(kind in MODES)) continue;
      progress(`protocol ${set} ${kind} ${act} ${H}`);
      const cells: [string, { auc: [number, number] }][] = Object.entries(grid ?? { [lr]: { auc } });
      for (const [rate, { auc: reference }] of options.tiny ? cells.slice(0, 1) : cells) {
        const run = {
          windowRows: set === 'machine' ? 64 : 48,
          hidden: H,
          activation: act,
          rate: Number(rate),
          mode: MODES[kind],
        };
        const ours = SEEDS.map((seed) => nabAuc(scoreNab(values, { ...run, seed }), labels));
        document.push({
          section: 'protocol',
          set,
          what: `${MODES[kind]}, ${act} H${H}, rate ${rate}`,
          ours: mean(ours),
          reference: reference[0],
          referenceSd: reference[1],
        });
      }
    }
  }
}

// --- streams in which nothing happens, and cost ---

/** Three channels that remember, three sines with noise, three of a distribution with long tails. */
const STATIONARY: {
  readonly [set: string]: (random: () => number) => (row: Float32Array, at: number) => void;
} = {
  'noise that remembers': (random) => {
    const state = [0, 0, 0];
    return (row) => {
      for (let c = 0; c < 3; c++) row[c] = state[c] = 0.9 * state[c] + normal(random);
    };
  },
  'sines and noise': (random) => (row, at) => {
    for (let c = 0; c < 3; c++) row[c] = Math.sin(at / (10 + 7 * c)) + 0.1 * normal(random);
  },
  'long tails': (random) => (row) => {
    for (let c = 0; c < 3; c++) row[c] = (random() < 0.5 ? -1 : 1) * Math.log(1 - random());
  },
};

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function budget(): void {
  const rows = options.tiny ? 5000 : 300_000;
  for (const [set, streamOf] of Object.entries(STATIONARY)) {
    for (const budgetRows of [500, 5000, 50_000]) {
      progress(`budget ${set} ${budgetRows}`);
      const alarms = SEEDS.slice(0, 3).map((seed) => {
        const { detector, engine } = newDetector(configOf(3, { seed, budgetRows }));
        const fill = streamOf(mulberry32(seed));
        const row = new Float32Array(3);
        for (let at = 0; at < rows; at++) {
          fill(row, at);
          takeAnomalyRow(detector, engine, row, 0);
        }
        return detector.counts[COUNT.alarms] + detector.counts[COUNT.stuck];
      });
      document.push({
        section: 'budget',
        set,
        what: `one alarm per ${budgetRows} rows`,
        budget: rows / budgetRows,
        alarms: mean(alarms),
        alarmsMost: Math.max(...alarms),
      });
    }
  }
}

function cost(): void {
  const slice = options.tiny ? 1000 : 50_000;
  for (const columns of [1, 3, 6, 16, 64]) {
    progress(`cost ${columns}`);
    const config = configOf(columns, { budgetRows: BUDGET_ROWS });
    const { detector, engine, sizeBytes } = newDetector(config);
    const random = mulberry32(1);
    const values = Float32Array.from({ length: 1024 * columns }, () => random());
    const take = (rows: number): number => {
      const before = performance.now();
      for (let row = 0; row < rows; row++) takeAnomalyRow(detector, engine, values, (row % 1024) * columns);
      return (1e6 * (performance.now() - before)) / rows;
    };
    const learnNs = take(config.learnRows + config.windowRows);
    const slices = Array.from({ length: 10 }, () => take(slice / 10));
    const heapBytes = Array.from({ length: options.tiny ? 1 : 6 }, () => {
      const meter = new HeapMeter();
      meter.start();
      take(slice);
      return meter.stop().allocatedBytes / slice;
    });
    document.push({
      section: 'cost',
      set: `${columns} channels`,
      what: `D ${config.columns * config.windowRows}, H ${config.hidden}`,
      learnNs,
      guardNs: Math.min(...slices),
      // Of the last slice: until then code may still have been compiled anew.
      heapBytesPerRow: heapBytes.at(-1)!,
      arenaBytes: sizeBytes,
    });
  }
}

// --- tables ---

function table(section: AnomalyRow['section'], title: string): void {
  const rows = document.filter((row) => row.section === section);
  if (rows.length === 0) return;
  const keys = Object.keys(rows[0]).filter((key) => key !== 'section');
  const cells = rows.map((row) => keys.map((key) => cellOf(row[key])));
  const widths = keys.map((key, i) => Math.max(key.length, ...cells.map((line) => line[i].length)));
  const line = (texts: readonly string[]) => texts.map((text, i) => text.padEnd(widths[i])).join('  ');
  say(`\n${title}\n${line(keys)}`);
  for (const one of cells) say(line(one));
}

function cellOf(value: string | number | null): string {
  if (typeof value !== 'number') return value ?? '-';
  return Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) < 10 ? 3 : 1);
}

if (setsAreThere(GROUPS.map(({ file }) => file))) {
  faults();
  if (!options.tiny) settings();
}
if (setsAreThere([...Object.values(NAB), 'reference/nab.json', 'reference/nab_gate.json'])) {
  nab();
  protocol();
}
budget();
cost();
table(
  'faults',
  `Faults in public sets, budget one alarm per ${BUDGET_ROWS} rows (AUC and hits in %, mean over kinds)`,
);
table('settings', 'The same with other settings');
table('nab', 'NAB series, scored after 15 % of the rows');
table('protocol', 'Plain autoencoder of the protocol: AUC, five seeds');
table('budget', 'Streams in which nothing happens');
table('cost', 'Cost of a row in ns (min of slices), heap, arena');
if (options.json) console.log(JSON.stringify(document));
