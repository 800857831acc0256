/**
 * `npm run bench:forgetting`: classes that come one after the other. wisdm, a random 70 % of it sorted by class in five
 * permuted orders; then the other 30 % in random order without labels, weights and statistics frozen.
 *
 *   --json   one JSON document last
 */
import { parseArgs } from 'node:util';
import { mulberry32 } from '../../../src/engine/random.ts';
import {
  type ModelConfig,
  answeredClass,
  openModel,
  planModel,
  startModel,
  takeRecord,
} from '../../../src/learn/model.ts';
import { RACES } from '../../../src/learn/race.ts';
import { CLIP } from '../../../src/stream/scaler.ts';
import { FREEZE, NO_LABEL, RECORD } from '../../../src/stream/ring.ts';
import { DATA, type SensorSet, haveSets, loadSet, shuffledOrder } from './sets.ts';

const SEEDS = [1, 2, 3, 4, 5];
const TRAINED_SHARE = 0.7;
/** What came last is expected to go on: the prior falls back while no labels come. */
const SETTLING_ROWS = 100;

interface Row {
  readonly order: 'sorted' | 'shuffled';
  readonly rehearsalSamples: number;
  /** Means over the seeds: of all rows that were kept aside, and of those after the first hundred. */
  readonly finalAccuracyPercent: number;
  readonly settledAccuracyPercent: number;
  readonly prequentialAccuracyPercent: number;
}

function configOf(set: SensorSet, seed: number, rehearsalSamples: number): ModelConfig {
  const columns = Array.from({ length: set.columns }, (_, column) => column);
  return {
    kind: 'supervised',
    inputs: {
      columns: set.columns,
      windowRows: 1,
      hopRows: 1,
      features: columns.map((column) => ({ column, kind: 'newest' })),
      breakAtLabelChange: false,
      clip: CLIP,
    },
    supervised: {
      task: 'classify',
      outputs: set.classes,
      targets: [],
      delayRows: 0,
      delayUs: 0,
      waitingSamples: 0,
      candidates: { hidden: 32, activation: 'tanh', seed, capped: true, list: RACES.full },
      rehearsalSamples,
      respondToDrift: false,
    },
  };
}

/** @returns final, settled and prequential accuracy in percent */
function runOnce(set: SensorSet, seed: number, rehearsalSamples: number, sorted: boolean): number[] {
  const order = shuffledOrder(set.labels.length, 7);
  const trained = order.slice(0, Math.floor(TRAINED_SHARE * order.length));
  const aside = order.slice(trained.length);
  const place = classOrder(set.classes, seed);
  if (sorted)
    trained.sort((left, right) => place[set.labels[left]] - place[set.labels[right]] || left - right);
  const plan = planModel(configOf(set, seed, rehearsalSamples));
  const model = openModel(plan, plan.arena.allocate());
  startModel(model);
  let sequence = 0;
  const take = (kind: number, datum: number, row: number): boolean => {
    takeRecord(model, kind, datum, sequence, 0, 1000 * sequence++, set.values, row * set.columns);
    return answeredClass(model) === set.labels[row];
  };
  const prequential = trained.filter((row) => take(RECORD.row, set.labels[row], row)).length;
  take(RECORD.freeze, FREEZE.network + FREEZE.scaler + FREEZE.winner, 0);
  const right = aside.map((row) => take(RECORD.row, NO_LABEL, row));
  const share = (of: readonly boolean[]): number => (100 * of.filter(Boolean).length) / of.length;
  return [share(right), share(right.slice(SETTLING_ROWS)), (100 * prequential) / trained.length];
}

function classOrder(classes: number, seed: number): number[] {
  const random = mulberry32(seed);
  const keys = Array.from({ length: classes }, () => random());
  return keys.map((key) => keys.filter((other) => other < key).length);
}

const { values } = parseArgs({ options: { json: { type: 'boolean' } } });
if (haveSets()) {
  const set = loadSet('wisdm');
  const rows: Row[] = [];
  console.log('order      rehearsal  final %  settled %  prequential %');
  for (const order of ['sorted', 'shuffled'] as const) {
    for (const rehearsalSamples of [0, 64, 256, 1024]) {
      const runs = SEEDS.map((seed) => runOnce(set, seed, rehearsalSamples, order === 'sorted'));
      const [final, settled, prequential] = [0, 1, 2].map(
        (at) => runs.reduce((sum, run) => sum + run[at], 0) / runs.length,
      );
      rows.push({
        order,
        rehearsalSamples,
        finalAccuracyPercent: final,
        settledAccuracyPercent: settled,
        prequentialAccuracyPercent: prequential,
      });
      const shown = [final, settled, prequential].map((value) => value.toFixed(1).padStart(9)).join(' ');
      console.log(`${order.padEnd(10)} ${String(rehearsalSamples).padStart(9)} ${shown}`);
    }
  }
  if (values.json) console.log(JSON.stringify(rows));
} else {
  process.stderr.write(`The public sets are not at ${DATA}: nothing to learn from. Set EDGELOOP_DATA.\n`);
  process.exitCode = 1;
}
