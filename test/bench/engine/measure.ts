/**
 * Pool tasks of the engine bench. One case is one shape, batch and pass: all contenders take turns in short slices,
 * several rounds of them, so that a busy moment of the machine hits nobody alone; the minimum is what they are
 * compared by.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type HeapUse, HeapMeter } from '../../../src/learn/heap-meter.ts';
import { type Contender, LOCAL_CONTENDERS, type LocalName, makeLocal } from './contenders.ts';
import { NATIVE_CONTENDERS, type NativeName, type NativePrograms, knowsBatch, runNumbers } from './native.ts';
import { type Peak, makePeak } from './peak.ts';
import {
  type Pass,
  SAMPLES,
  type Shape,
  encodeTask,
  fingerprintOf,
  makeTask,
  sameFingerprint,
} from './task.ts';

export interface Effort {
  readonly sliceUs: number;
  readonly slicesPerRound: number;
  readonly rounds: number;
  /** Compiled by then. */
  readonly warmUpUs: number;
  /** Under the heap meter, for each of its attempts. */
  readonly meterUs: number;
  /** Passes over the samples after which all contenders must predict the same, but for their rounding. */
  readonly checkPasses: number;
}

export interface CaseTask {
  readonly shape: Shape;
  readonly batch: number;
  readonly pass: Pass;
  readonly effort: Effort;
  /** Where the programs are and the task for them is written. */
  readonly folder: string;
  readonly programs: NativePrograms;
}

/** Per sample. */
export interface Times {
  readonly usMin: number;
  readonly usMedian: number;
}

/** For each million samples. */
export interface HeapRate {
  readonly heapBytesPerMillion: number;
  readonly gcEvents: number;
}

export interface CaseResult {
  readonly times: { readonly [name in LocalName | NativeName]: Times | null };
  readonly heap: { readonly strict: HeapRate; readonly reference: HeapRate };
  /** Of 128-bit vectors on one core, in 10^9 operations per second, of every slice; `c` is empty without gcc. */
  readonly peaks: { readonly wasm: readonly number[]; readonly c: readonly number[] };
  /** Of the predictions of the strict kernels. */
  readonly fingerprint: number;
}

/** @throws Error if a contender does not predict what the reference predicts: then it does something else */
export function measureCase(given: CaseTask): CaseResult {
  const { shape, batch, pass, effort, folder, programs } = given;
  const task = makeTask(shape);
  const taskFile = join(folder, 'task.bin');
  writeFileSync(taskFile, encodeTask(task));
  const locals = LOCAL_CONTENDERS.map((name) => ({ name, contender: makeLocal(name, task, pass, batch) }));
  const fingerprints = locals.map(({ contender }) => fingerprintAfter(contender, given));
  const expected = fingerprints[LOCAL_CONTENDERS.indexOf('reference')];
  locals.forEach(({ name }, i) => checkFingerprint(given, name, fingerprints[i], expected));
  const runs = locals.map(({ name, contender }) => ({
    name,
    contender,
    passes: passesFor(contender, effort),
  }));
  const natives = NATIVE_CONTENDERS.filter((name) => programs[name] !== null && knowsBatch(name, batch));
  const peak = makePeak();
  const peaks = { wasm: [] as number[], c: [] as number[] };
  const times: Record<LocalName | NativeName, number[]> = {
    strict: [],
    reference: [],
    plainJs: [],
    c: [],
    c128: [],
    fann: [],
  };
  const { sliceUs, slicesPerRound } = effort;
  for (let round = 0; round < effort.rounds; round++) {
    for (const { name, contender, passes } of runs) times[name].push(...timeLocal(contender, passes, effort));
    for (const name of natives) {
      const how = [taskFile, pass, batch, effort.checkPasses, sliceUs, slicesPerRound];
      const [fingerprint, ...slicesNs] = runNumbers(programs[name] as string, how);
      checkFingerprint(given, name, fingerprint, expected);
      times[name].push(...slicesNs.map((ns) => ns / 1000));
    }
    peaks.wasm.push(...timePeak(peak, effort));
    if (programs.peak !== null) peaks.c.push(...runNumbers(programs.peak, [sliceUs, slicesPerRound]));
  }
  const [strict, reference] = runs.map(({ contender, passes }) => meter(contender, passes, effort));
  return {
    times: {
      strict: summary(times.strict),
      reference: summary(times.reference),
      plainJs: summary(times.plainJs),
      c: summary(times.c),
      c128: summary(times.c128),
      fann: summary(times.fann),
    },
    heap: { strict, reference },
    peaks,
    fingerprint: fingerprints[0],
  };
}

function checkFingerprint(
  { shape, batch, pass }: CaseTask,
  name: string,
  got: number,
  expected: number,
): void {
  // The kernels give the reference's bytes; the others round as they like.
  if (name === 'strict' ? got === expected : sameFingerprint(got, expected)) return;
  const where = `${shape.join('-')} batch ${batch} ${pass}`;
  throw new Error(`${where}: ${name} predicts ${got}, the reference ${expected}`);
}

/** Of the network as it is, or after it has learned for a while. */
function fingerprintAfter(local: Contender, { pass, effort }: CaseTask): number {
  if (pass === 'train') local.run(effort.checkPasses);
  return fingerprintOf(local.predict());
}

/** @param us in any order; none of a contender that did not run */
function summary(us: readonly number[]): Times | null {
  if (us.length === 0) return null;
  const sorted = us.toSorted((a, b) => a - b);
  return { usMin: sorted[0], usMedian: sorted[sorted.length >> 1] };
}

function timeUs(run: (count: number) => unknown, count: number): number {
  const beforeMs = performance.now();
  run(count);
  return (performance.now() - beforeMs) * 1000;
}

/** Warms up. @returns how many passes fill a slice */
function passesFor(local: Contender, { sliceUs, warmUpUs }: Effort): number {
  for (let us = 0; us < warmUpUs;) us += timeUs((count) => local.run(count), 1);
  let passes = 1;
  while (timeUs((count) => local.run(count), passes) < sliceUs) passes *= 2;
  return passes;
}

function timeLocal(local: Contender, passes: number, { slicesPerRound }: Effort): number[] {
  local.run(1); // into the caches again
  return Array.from(
    { length: slicesPerRound },
    () => timeUs((count) => local.run(count), passes) / (passes * SAMPLES),
  );
}

function timePeak(peak: Peak, { sliceUs, slicesPerRound }: Effort): number[] {
  let operations = 0;
  const run = (rounds: number): void => {
    operations = peak.run(rounds);
  };
  let rounds = 1000;
  while (timeUs(run, rounds) < sliceUs) rounds *= 2;
  return Array.from({ length: slicesPerRound }, () => {
    const us = timeUs(run, rounds);
    return operations / (us * 1000);
  });
}

const METER_ATTEMPTS = 3;

/** What metering no passes shows, which is the meter itself. */
function meterItself(local: Contender): number {
  let least = Infinity;
  for (let attempt = 0; attempt < 2 * METER_ATTEMPTS; attempt++) {
    least = Math.min(least, metered(() => local.run(0)).allocatedBytes);
  }
  return least;
}

function metered(work: () => void): HeapUse {
  const heap = new HeapMeter();
  heap.start();
  work();
  return heap.stop();
}

/**
 * What every sample allocates is in every attempt; what is in only some of them (a function compiled at last) is not
 * of the steps. Collections are counted in all.
 */
function meter(local: Contender, passesOfSlice: number, { meterUs }: Effort): HeapRate {
  const sliceUs = timeUs((count) => local.run(count), passesOfSlice);
  const passes = Math.ceil((passesOfSlice * meterUs) / sliceUs);
  const itself = meterItself(local);
  let least = Infinity;
  let gcEvents = 0;
  for (let attempt = 0; attempt < METER_ATTEMPTS; attempt++) {
    const use = metered(() => local.run(passes));
    least = Math.min(least, use.allocatedBytes - itself);
    gcEvents += use.gcEvents;
  }
  const millions = (passes * SAMPLES) / 1e6;
  return {
    heapBytesPerMillion: Math.max(0, Math.round(least / millions)),
    gcEvents: gcEvents / METER_ATTEMPTS / millions,
  };
}

/** Where the control leaves its arrays, so that the compiler cannot leave them out. */
let kept: Float64Array | undefined;

/** The negative control: one small array per step, which the meter must see, or its zeros mean nothing. */
export function meterControl(steps: number): HeapUse & { readonly steps: number } {
  const use = metered(() => {
    for (let step = 0; step < steps; step++) kept = new Float64Array(4);
  });
  if (kept?.length !== 4) throw new Error('the control allocated nothing');
  return { ...use, steps };
}
