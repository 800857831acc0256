/**
 * `npm run bench:peers`: the same task for edgeloop and for libraries that people would take instead: brain.js and
 * TensorFlow.js (installed into this folder on demand), numpy and torch (Debian's, if they are there). Every
 * contender predicts what the reference predicts, or the bench fails.
 *
 *   --json   only an array of rows on standard output; the table goes to standard error
 *   --tiny   a fraction of the work
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Contender, makeLocal } from '../engine/contenders.ts';
import { runNumbers } from '../engine/native.ts';
import {
  BATCHES,
  PASSES,
  type Pass,
  SAMPLES,
  SHAPES,
  type Shape,
  encodeTask,
  fingerprintOf,
  makeTask,
  sameFingerprint,
} from '../engine/task.ts';
import { brainJs, openTensorFlow, tensorFlowJs } from './libraries.ts';

const CONTENDERS = ['edgeloop', 'brain.js', 'tfjs cpu', 'tfjs wasm', 'numpy', 'torch'] as const;

type Name = (typeof CONTENDERS)[number];

interface Effort {
  readonly sliceUs: number;
  readonly slices: number;
  readonly rounds: number;
  readonly warmUpUs: number;
  readonly checkPasses: number;
}

interface Row {
  readonly shape: string;
  readonly batch: number;
  readonly pass: Pass;
  /** Of one sample, the fastest slice; null where not measured. */
  readonly usMin: { readonly [name in Name]: number | null };
}

const FULL: Effort = { sliceUs: 3000, slices: 4, rounds: 2, warmUpUs: 30_000, checkPasses: 4 };
const TINY: Effort = { sliceUs: 50, slices: 1, rounds: 1, warmUpUs: 50, checkPasses: 1 };

/** Debian's Python has Debian's packages; another one may come first in the path. */
const PYTHONS = ['/usr/bin/python3', 'python3'];
const pythonOf = new Map<Name, string>();

const { values } = parseArgs({ options: { tiny: { type: 'boolean' }, json: { type: 'boolean' } } });
const say = values.json ? console.error : console.log;
const effort = values.tiny ? TINY : FULL;

say(`${cpus()[0].model}, ${cpus().length} threads, ${process.arch}, Node ${process.versions.node}`);
const here = new Set<Name>(['edgeloop', ...installLibraries(), ...findPython()]);
const folder = mkdtempSync(join(tmpdir(), 'edgeloop-peers-'));
try {
  const rows: Row[] = [];
  for (const shape of SHAPES) {
    for (const pass of PASSES) {
      for (const batch of BATCHES) {
        rows.push(await measure(shape, pass, batch));
        say(
          `${rows.length}/${SHAPES.length * PASSES.length * BATCHES.length} ${shape.join('-')} ${pass} ${batch}`,
        );
      }
    }
  }
  say(`\n${tableOf(rows)}`);
  if (values.json) console.log(JSON.stringify(rows));
} finally {
  rmSync(folder, { recursive: true });
}

function installLibraries(): Name[] {
  const names: Name[] = ['brain.js', 'tfjs cpu', 'tfjs wasm'];
  if (existsSync(join(import.meta.dirname, 'node_modules', 'brain.js'))) return names;
  say('installing brain.js and TensorFlow.js into test/bench/peers (npm ci, without install scripts)');
  // npm hands its settings to what it runs; those of the surrounding `npm run` are not for this folder.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')));
  const stdio = ['ignore', 2, 2] as const; // standard output is for the rows
  const { status } = spawnSync('npm', ['ci'], { cwd: import.meta.dirname, env, stdio: [...stdio] });
  if (status === 0) return names;
  say('NOT MEASURED: brain.js and TensorFlow.js, since npm ci failed');
  return [];
}

function findPython(): Name[] {
  return (['numpy', 'torch'] as const).filter((library) => {
    for (const python of PYTHONS) {
      const { status, stdout } = spawnSync(python, [script(), '--probe', library], { encoding: 'utf8' });
      if (status !== 0) continue;
      say(`${library} ${stdout.trim()} in ${python}`);
      pythonOf.set(library, python);
      return true;
    }
    say(`NOT MEASURED: ${library} (Debian's python3-${library})`);
    return false;
  });
}

function script(): string {
  return join(import.meta.dirname, 'python.py');
}

async function measure(shape: Shape, pass: Pass, batch: number): Promise<Row> {
  const task = makeTask(shape);
  const taskFile = join(folder, 'task.bin');
  writeFileSync(taskFile, encodeTask(task));
  const reference = makeLocal('reference', task, pass, batch);
  if (pass === 'train') reference.run(effort.checkPasses);
  const expected = fingerprintOf(reference.predict());
  const usMin: Record<Name, number | null> = {
    edgeloop: null,
    'brain.js': null,
    'tfjs cpu': null,
    'tfjs wasm': null,
    numpy: null,
    torch: null,
  };
  const take = (name: Name, fingerprint: number, us: readonly number[]): void => {
    if (!sameFingerprint(fingerprint, expected)) {
      throw new Error(
        `${shape.join('-')} ${pass} ${batch}: ${name} predicts ${fingerprint}, not ${expected}`,
      );
    }
    usMin[name] = Math.min(usMin[name] ?? Infinity, ...us);
  };
  for (let round = 0; round < effort.rounds; round++) {
    for (const name of here) {
      const python = pythonOf.get(name);
      if (python === undefined) {
        const contender = await makeContender(name, shape, pass, batch);
        if (contender === null) continue;
        if (pass === 'train') contender.run(effort.checkPasses);
        take(name, fingerprintOf(contender.predict()), timeSlices(contender));
      } else {
        const how = [taskFile, pass, batch, effort.checkPasses, effort.sliceUs, effort.slices];
        const [fingerprint, ...slicesNs] = runNumbers(python, [script(), name, ...how]);
        take(
          name,
          fingerprint,
          slicesNs.map((ns) => ns / 1000),
        );
      }
    }
  }
  return { shape: shape.join('-'), batch, pass, usMin };
}

async function makeContender(name: Name, shape: Shape, pass: Pass, batch: number): Promise<Contender | null> {
  const task = makeTask(shape);
  if (name === 'edgeloop') return makeLocal('strict', task, pass, batch);
  if (name === 'brain.js') return batch === 1 ? brainJs(task, pass) : null;
  return tensorFlowJs(await openTensorFlow(name === 'tfjs cpu' ? 'cpu' : 'wasm'), task, pass, batch);
}

function timeSlices(contender: Contender): number[] {
  const timeUs = (passes: number): number => {
    const beforeMs = performance.now();
    contender.run(passes);
    return (performance.now() - beforeMs) * 1000;
  };
  for (let us = 0; us < effort.warmUpUs;) us += timeUs(1);
  let passes = 1;
  while (timeUs(passes) < effort.sliceUs) passes *= 2;
  return Array.from({ length: effort.slices }, () => timeUs(passes) / (passes * SAMPLES));
}

function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(({ shape, batch, pass, usMin }) => {
    const own = usMin.edgeloop as number;
    const cells = CONTENDERS.map((name) =>
      cellOf(usMin[name], name === 'edgeloop' ? null : own).padStart(17),
    );
    return shape.padEnd(11) + String(batch).padStart(4) + ` ${pass}` + cells.join('');
  });
  const head = 'µs/sample  batch pass ' + CONTENDERS.map((name) => name.padStart(17)).join('');
  return [head, ...lines, 'The fastest slice of each, and how many times as long as edgeloop it takes.'].join(
    '\n',
  );
}

function cellOf(us: number | null, own: number | null): string {
  if (us === null) return '-';
  const time = us < 1000 ? us.toPrecision(3) : us.toFixed(0);
  if (own === null) return time;
  const ratio = us / own;
  return `${time} ${ratio < 10 ? ratio.toPrecision(2) : ratio.toFixed(0)}x`.padStart(12);
}
