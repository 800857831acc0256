/**
 * The inputs are the same bytes on every machine: one hash over all windows, features and modes of the scaler.
 *
 *   node test/conformance/inputs.ts      prints it; `scripts/arm64.sh test/conformance/inputs.ts` that of an arm64
 */
import { createHash, type Hash } from 'node:crypto';
import { arch } from 'node:process';
import { ArenaPlan } from '../../src/engine/arena.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import {
  FEATURE_KINDS,
  type InputsConfig,
  breakWindow,
  inputCount,
  openInputs,
  planInputs,
  standardise,
  takeRow,
} from '../../src/stream/inputs.ts';
import { fadeScaler, freezeScaler, thawScaler } from '../../src/stream/scaler.ts';
import { blockRowsOf } from '../../src/stream/spectrum.ts';

const COLUMNS = 3;
const ROWS = 40_000;

/** Windows with their hops: through summaries and directly, powers of two and others. */
const WINDOWS = [
  [1, 1],
  [2, 1],
  [5, 1],
  [16, 5],
  [50, 50],
  [64, 16],
  [100, 7],
] as const;

const EXTREMES = [NaN, Infinity, -Infinity, 3.4e38, -3.4e38, 1e-40, -0, 0];

function configOf(windowRows: number, hopRows: number): InputsConfig {
  const needsTwo = ['deviation', 'zeroCrossings', 'slope', 'bands'];
  const kinds = FEATURE_KINDS.filter((kind) => windowRows > 1 || !needsTwo.includes(kind));
  const bands = Math.max(1, blockRowsOf(windowRows) / 4);
  const features = [1, 0, 2].flatMap((column) => kinds.map((kind) => ({ column, kind, bands })));
  return { columns: COLUMNS, windowRows, hopRows, features, breakAtLabelChange: true, clip: 5 };
}

/** @returns SHA-256 over raw and standardised inputs of all samples and over the statistics at the end */
export function longRunHash(): string {
  const hash = createHash('sha256');
  for (const [windowRows, hopRows] of WINDOWS) hashRun(hash, configOf(windowRows, hopRows));
  return hash.digest('hex');
}

function hashRun(hash: Hash, config: InputsConfig): void {
  const plan = new ArenaPlan();
  const parts = planInputs(plan, config);
  const inputs = openInputs(plan.allocate().buffer, config, parts);
  const scaled = new Float32Array(inputCount(config));
  const random = mulberry32(config.windowRows);
  const row = new Float32Array(COLUMNS);
  for (let count = 0; count < ROWS; count++) {
    if (count === 20_000) freezeScaler(inputs.scaler);
    if (count === 25_000) fadeScaler(inputs.scaler, 0.001);
    if (count === 35_000) thawScaler(inputs.scaler);
    if (random() < 0.001) breakWindow(inputs);
    for (let column = 0; column < COLUMNS; column++) row[column] = draw(random, row[column], column);
    if (takeRow(inputs, row, 0) === 0) continue;
    standardise(inputs, inputs.raw, 0, scaled, 0);
    hash.update(bytesOf(inputs.raw)).update(bytesOf(scaled));
  }
  for (const statistics of [inputs.scaler.count, inputs.scaler.mean, inputs.scaler.m2]) {
    hash.update(new Uint8Array(statistics.slice().buffer));
  }
}

/** A walk of the first column, noise of the second, a third that mostly stands still; some values are extreme. */
function draw(random: () => number, before: number, column: number): number {
  if (random() < 0.01) return EXTREMES[Math.floor(random() * (column === 2 ? 8 : 3))];
  if (column === 1) return 1000 + random() * random();
  if (column === 2) return random() < 0.1 ? random() : before;
  return Number.isFinite(before) ? before + random() - 0.5 : 7;
}

/** NaN as one pattern: which bits it has is the machine's. */
function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(Float32Array.from(values, (value) => (value === value ? value : NaN)).buffer);
}

if (import.meta.main) process.stdout.write(`${JSON.stringify({ arch, hash: longRunHash() })}\n`);
