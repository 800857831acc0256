/**
 * `npm run bench:learning`: how well the models learn on public sensor sets, by their exact protocol, five seeds.
 *
 *   fixed   plain SGD at the protocol's rates beside the reference's results (PyTorch): the same learner?
 *   race    the defaults, with nothing chosen, beside the best of eight rates in hindsight and a linear model
 *   late    labels 1, 10 and 100 rows late
 *
 *   --tiny   two sets, one network, one seed       --json   one JSON document last
 */
import { readFileSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Piscina } from 'piscina';
import { Progress } from '../../../src/cli/progress.ts';
import type { Activation } from '../../../src/engine/network.ts';
import type { PrequentialResult, PrequentialTask } from './prequential.ts';
import { DATA, SET_NAMES, type SetName, haveSets } from './sets.ts';

// The pool loads its task from here.
export { runPrequential } from './prequential.ts';

const NETWORKS: readonly (readonly [Activation, number])[] = [
  ['tanh', 32],
  ['tanh', 16],
  ['tanh', 64],
  ['relu', 32],
  ['sigmoid', 32],
];
/** The best of these is what a data scientist would have found in hindsight. */
const RATES = [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1];
const LATE_ROWS = [1, 10, 100];
const REHEARSAL_SAMPLES = 256;

const REFERENCE_NAMES: Readonly<Record<SetName, string>> = {
  occupancy: 'occupancy',
  elec2: 'elec2_clip5',
  wisdm: 'wisdm_fileorder',
  'wisdm-shuffled': 'wisdm_shuffled',
  'air-co': 'airq_CO_GT',
  'air-nox': 'airq_NOx_GT',
  'etth1-1h': 'etth1_h1',
  'etth1-24h': 'etth1_h24',
};

interface Reference {
  readonly task: string;
  readonly kind: string;
  readonly act: string;
  readonly H: number;
  readonly opt: string;
  readonly grid: Readonly<Record<string, { acc?: readonly number[]; rmse?: readonly number[] }>>;
}

function readReferences(): Reference[] {
  const folder = join(DATA, 'reference');
  return readdirSync(folder).flatMap(
    (file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Reference[],
  );
}

const isClass = (set: SetName): boolean => !set.startsWith('air') && !set.startsWith('etth1');
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Points of accuracy above, or percent of RMSE below. */
function gain(set: SetName, ours: number, theirs: number): number {
  return isClass(set) ? ours - theirs : 100 * (1 - ours / theirs);
}

class Runs {
  readonly #pool = new Piscina<PrequentialTask, PrequentialResult>({
    filename: fileURLToPath(import.meta.url),
    name: 'runPrequential',
    maxThreads: availableParallelism(),
    maxQueue: 100_000,
  });
  readonly #seeds: readonly number[];
  readonly #progress: Progress;
  #done = 0;

  constructor(seeds: readonly number[], total: number) {
    this.#seeds = seeds;
    this.#progress = new Progress(process.stderr, { what: 'learning', unit: 'passes', total });
  }

  /** One pass for every seed. */
  async passes(task: Omit<PrequentialTask, 'seed'>): Promise<PrequentialResult[]> {
    return Promise.all(
      this.#seeds.map(async (seed) => {
        const result = await this.#pool.run({ ...task, seed });
        this.#progress.update(++this.#done, task.set);
        return result;
      }),
    );
  }

  close(): Promise<void> {
    this.#progress.end();
    return this.#pool.close();
  }
}

interface Row {
  readonly set: SetName;
  readonly task: string;
  readonly metric: 'accuracyPercent' | 'rmse';
  readonly network: string;
  /** At the rate where ours and the reference are furthest apart, of those where the reference did not diverge. */
  readonly fixed: { rate: number | null; ours: number | null; reference: number | null };
  readonly race: {
    ours: number;
    bestInHindsight: number;
    bestRate: number;
    /** Points or percent of RMSE against the best in hindsight; below 0 is worse. */
    gain: number;
    gainOverLinear: number;
    curve: readonly number[];
    late: Readonly<Record<string, number>> | null;
    usPerRow: number;
    stepsPerSample: number;
  };
  readonly linear: number;
  readonly baselines: { before: number };
  readonly skipped: number;
  readonly allFinite: boolean;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { tiny: { type: 'boolean' }, json: { type: 'boolean' } } });
  if (!haveSets()) {
    process.stderr.write(`The public sets are not at ${DATA}: nothing to learn from. Set EDGELOOP_DATA.\n`);
    process.exitCode = 1;
    return;
  }
  const seeds = values.tiny ? [1] : [1, 2, 3, 4, 5];
  const names = values.tiny ? (['wisdm-shuffled', 'air-co'] as const) : SET_NAMES;
  const networks = values.tiny ? NETWORKS.slice(0, 1) : NETWORKS;
  const passes =
    names.length * networks.length * seeds.length * (RATES.length + 1) + names.length * seeds.length * 3;
  const runs = new Runs(seeds, passes);
  const references = readReferences();
  const rows: Row[] = [];
  console.log(
    'set            network       fixed: ours  reference     race     best (rate)      gain   over linear',
  );
  for (const [activation, hidden] of networks) {
    for (const set of names) {
      const row = await measure(runs, references, set, activation, hidden);
      rows.push(row);
      console.log(lineOf(row));
    }
  }
  await runs.close();
  const worst = Math.min(...rows.map(({ race, set }) => race.gain / (isClass(set) ? 0.3 : 2)));
  console.log(
    `\nWorst against the best in hindsight: ${worst.toFixed(2)} tolerances (0.3 points, 2 % of RMSE).`,
  );
  if (values.json) console.log(JSON.stringify(rows));
}

async function measure(
  runs: Runs,
  references: readonly Reference[],
  set: SetName,
  activation: Activation,
  hidden: number,
): Promise<Row> {
  const base = { set, activation, hidden, lateRows: 0, rehearsalSamples: 0 };
  const plain = new Map<number, PrequentialResult[]>();
  for (const rate of RATES) plain.set(rate, await runs.passes({ ...base, learner: rate }));
  const ofRate = (rate: number): number => mean(plain.get(rate)!.map(({ metric }) => metric));
  const raced = { ...base, rehearsalSamples: REHEARSAL_SAMPLES, learner: 'full' as const };
  const full = await runs.passes(raced);
  const bestRate = RATES.toSorted((left, right) => gain(set, ofRate(right), ofRate(left)))[0];
  const ours = mean(full.map(({ metric }) => metric));
  const linear = mean(full.map((result) => result.linear));
  const late: Record<string, number> = {};
  if (isClass(set) && activation === 'tanh' && hidden === 32) {
    for (const lateRows of LATE_ROWS) {
      late[lateRows] = mean((await runs.passes({ ...raced, lateRows })).map(({ metric }) => metric));
    }
  }
  const all = [...plain.values()].flat();
  const usPerRow = mean(full.map((result) => result.usPerRow));
  return {
    set,
    task: isClass(set) ? 'classify' : set.startsWith('etth1') ? 'forecast' : 'regress',
    metric: isClass(set) ? 'accuracyPercent' : 'rmse',
    network: `${activation} ${hidden}`,
    fixed: furthest(references, set, activation, hidden, ofRate),
    race: {
      ours,
      bestInHindsight: ofRate(bestRate),
      bestRate,
      gain: gain(set, ours, ofRate(bestRate)),
      gainOverLinear: gain(set, ours, linear),
      curve: [0, 1, 2].map((at) => mean(full.map(({ curve }) => curve[at]))),
      late: Object.keys(late).length > 0 ? late : null,
      usPerRow,
      stepsPerSample: usPerRow / mean(plain.get(0.03)!.map((result) => result.usPerRow)),
    },
    linear,
    baselines: { before: full[0].before },
    skipped: all.reduce((sum, { skipped }) => sum + skipped, 0),
    allFinite: [...all, ...full].every(({ finite }) => finite),
  };
}

/** Where the reference itself has learned something, and its seeds agree. */
function furthest(
  references: readonly Reference[],
  set: SetName,
  activation: string,
  hidden: number,
  ofRate: (rate: number) => number,
): Row['fixed'] {
  const reference = references.find(
    ({ task, kind, act, H, opt }) =>
      task === REFERENCE_NAMES[set] &&
      kind === 'online' &&
      act === activation &&
      H === hidden &&
      opt === 'sgd',
  );
  let found: Row['fixed'] = { rate: null, ours: null, reference: null };
  for (const [text, { acc, rmse }] of Object.entries(reference?.grid ?? {})) {
    const rate = Number(text);
    const [value, deviation] = acc ? acc.map((share) => 100 * share) : (rmse ?? [NaN, NaN]);
    const agrees = deviation < (isClass(set) ? 1 : 0.02 * value);
    if (!RATES.includes(rate) || !agrees || !Number.isFinite(value)) continue;
    const apart = Math.abs(gain(set, ofRate(rate), value));
    if (found.rate !== null && apart <= Math.abs(gain(set, found.ours!, found.reference!))) continue;
    found = { rate, ours: ofRate(rate), reference: value };
  }
  return found;
}

function lineOf({ set, network, fixed, race }: Row): string {
  const digits = isClass(set) ? 2 : 3;
  const shown = (value: number | null): string => (value === null ? '-' : value.toFixed(digits)).padStart(9);
  const unit = isClass(set) ? 'points' : '%';
  const late =
    race.late === null
      ? ''
      : `   late ${Object.entries(race.late)
          .map(([rows, value]) => `${rows}: ${value.toFixed(2)}`)
          .join(', ')}`;
  return (
    `${set.padEnd(15)}${network.padEnd(11)} ${shown(fixed.ours)} ${shown(fixed.reference)} (${fixed.rate ?? '-'})` +
    ` ${shown(race.ours)} ${shown(race.bestInHindsight)} (${race.bestRate})  ${race.gain.toFixed(2)} ${unit}` +
    `  ${race.gainOverLinear.toFixed(2)} ${unit}  ${race.usPerRow.toFixed(1)} µs, ${race.stepsPerSample.toFixed(1)} steps${late}`
  );
}

// Guarded, since the pool's threads load this module for their task.
if (import.meta.main) await main();
