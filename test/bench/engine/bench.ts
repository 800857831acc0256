/**
 * `npm run bench:engine`: the train step and the prediction of the strict kernels and of the reference, beside plain
 * JavaScript, C and FANN on the same task, all in one run; every case in a thread of a pool. Times
 * differ from run to run on a busy machine; ratios of minima say more.
 *
 *   --json   only an array of rows (see report.ts) on standard output; the table goes to standard error
 *   --tiny   a fraction of the work, so that the tests can run it
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Piscina } from 'piscina';
import type { CaseResult, CaseTask, Effort, meterControl } from './measure.ts';
import { compileNative } from './native.ts';
import { type Case, aimsOf, peakOf, rowsOf, tableOf } from './report.ts';
import { BATCHES, PASSES, SHAPES } from './task.ts';

const EFFORT: Effort = {
  sliceUs: 3000,
  slicesPerRound: 4,
  rounds: 6,
  warmUpUs: 150_000,
  meterUs: 100_000,
  checkPasses: 16,
};
const TINY: Effort = { sliceUs: 50, slicesPerRound: 1, rounds: 1, warmUpUs: 50, meterUs: 50, checkPasses: 1 };

/** Enough for several collections. */
const CONTROL_STEPS = 1_000_000;

const { values } = parseArgs({ options: { tiny: { type: 'boolean' }, json: { type: 'boolean' } } });
const say = values.json ? console.error : console.log;

const folder = mkdtempSync(join(tmpdir(), 'edgeloop-bench-'));
try {
  say(`${cpus()[0].model}, ${cpus().length} threads, ${process.arch}, Node ${process.versions.node}`);
  const cases = await measureAll(values.tiny ? TINY : EFFORT);
  report(cases, await inFreshThread<Control>('meterControl', CONTROL_STEPS));
} finally {
  rmSync(folder, { recursive: true });
}

type Control = ReturnType<typeof meterControl>;

/** What the compiler has learned from one case must not decide how the next one runs. */
async function inFreshThread<Result>(name: string, task: unknown): Promise<Result> {
  const pool = new Piscina({ filename: join(import.meta.dirname, 'measure.ts'), maxThreads: 1 });
  try {
    return (await pool.run(task, { name })) as Result;
  } finally {
    await pool.close();
  }
}

async function measureAll(effort: Effort): Promise<Case[]> {
  const { programs, missing } = compileNative(folder);
  for (const one of missing) say(`not here, not measured: ${one}`);
  const cases: Case[] = [];
  for (const shape of SHAPES) {
    for (const pass of PASSES) {
      for (const batch of BATCHES) {
        const task: CaseTask = { shape, batch, pass, effort, folder, programs };
        const result = await inFreshThread<CaseResult>('measureCase', task);
        cases.push({ shape, batch, pass, result });
        const done = `${cases.length}/${SHAPES.length * PASSES.length * BATCHES.length}`;
        const us = result.times.strict?.usMin.toFixed(3);
        say(`${done} ${shape.join('-')} batch ${batch} ${pass}: ${us} µs, predictions ${result.fingerprint}`);
      }
    }
  }
  return cases;
}

function report(cases: readonly Case[], control: Control): void {
  const rows = rowsOf(cases);
  const { gflops, sustainedGflops, by } = peakOf(cases);
  const perStep = control.allocatedBytes / control.steps;
  say(`\n${tableOf(rows)}`);
  say(
    '\nµs and heap are of one sample and a million samples; x: own time over theirs. ' +
      'Learning: samples are queued. Inference at batch 1: one call per sample, with the copies.',
  );
  say(
    `peak of one core: ${gflops.toFixed(1)} GF/s in 128-bit vectors, multiplication and addition, by ${by}; ` +
      `the median slice of that loop: ${sustainedGflops.toFixed(1)}`,
  );
  say(
    `heap meter's control, one array per step: ${perStep.toFixed(0)} bytes and ` +
      `${((control.gcEvents / control.steps) * 1e6).toFixed(0)} collections per million`,
  );
  say(`\nlearning one by one, strict:\n${aimsOf(rows, gflops / sustainedGflops)}`);
  if (values.json) console.log(JSON.stringify(rows));
  if (perStep >= 32 && control.gcEvents > 0) return;
  say('The heap meter does not see what the control allocates: its zeros mean nothing.');
  process.exitCode = 1;
}
