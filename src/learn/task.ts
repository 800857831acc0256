/**
 * The learner's thread: one long-lived task of the pool for one model. It waits on the ring, takes what is there,
 * and waits again, until the stop flag. Nothing in the loop allocates.
 */
import { ArenaPlan } from '../engine/arena.ts';
import type { NetworkConfig } from '../engine/network.ts';
import { mulberry32 } from '../engine/random.ts';
import { CONTROL, NO_LABEL, RECORD, type RingLayout, RingReader } from '../stream/ring.ts';
import { HeapMeter, type HeapUse } from './heap-meter.ts';
import { type Learner, openLearner, planLearner, takeGap, takeRow } from './learner.ts';

export interface LearnTask {
  readonly config: NetworkConfig;
  readonly ring: RingLayout;
  /** The model's arena, initialised. */
  readonly arena: SharedArrayBuffer;
  /** As large as the arena: snapshots are copied here. */
  readonly snapshot: SharedArrayBuffer;
}

export interface LearnTaskResult {
  /** Time of one row, from statistics to updated weights; mean over every 64th row. NaN if there were too few. */
  readonly stepNs: number;
  /** What this thread allocated while it took `heapRows` rows, waiting included. */
  readonly heap: HeapUse;
  readonly heapRows: number;
}

/** Reading the clock allocates a little, so only every 64th row is timed. */
const TIMED_ROW_EVERY = 64;

/**
 * Rows that a copy of the learner takes before the first real one. Until code is compiled every number in it is an
 * object on the heap (3.5 KB per row); at 200 rows a second that would go on for a minute.
 */
const WARM_UP_ROWS = 20_000;
/** A large network is compiled after fewer rows, and must not keep the first real ones waiting. */
const WARM_UP_MS_MAX = 500;
const WARM_UP_ROWS_PER_LOOK = 500;

/** Rows taken over `rows` records; split from the loop so that it can be compiled by itself. */
interface Meter {
  rows: number;
  timedRows: number;
  timedMs: number;
}

/** Task of the pool. Ends when the stop flag is set and everything published has been taken. */
export function learnStream({ config, ring, arena, snapshot }: LearnTask): LearnTaskResult {
  const learner = openLearner(arena, config, planLearner(new ArenaPlan(), config));
  const reader = new RingReader(ring);
  const { control } = reader;
  const arenaBytes = new Uint8Array(arena);
  const snapshotBytes = new Uint8Array(snapshot);
  const meter: Meter = { rows: 0, timedRows: 0, timedMs: 0 };
  const heapMeter = new HeapMeter();
  warmUp(config, arena);
  heapMeter.start();
  for (;;) {
    const signal = Atomics.load(control, CONTROL.signal);
    const stop = Atomics.load(control, CONTROL.stop) === 1;
    for (let available = reader.available(); available > 0; available--) {
      takeRecord(learner, reader, meter);
      if (snapshotIsAsked(control)) makeSnapshot(control, arenaBytes, snapshotBytes);
    }
    if (snapshotIsAsked(control)) makeSnapshot(control, arenaBytes, snapshotBytes);
    if (stop) break;
    Atomics.wait(control, CONTROL.signal, signal);
  }
  const heap = heapMeter.stop();
  return { stepNs: (meter.timedMs * 1e6) / meter.timedRows, heap, heapRows: meter.rows };
}

/** Has the row's code compiled, on a copy of the arena that is then thrown away. */
function warmUp(config: NetworkConfig, arena: SharedArrayBuffer): void {
  const copy = new SharedArrayBuffer(arena.byteLength);
  new Uint8Array(copy).set(new Uint8Array(arena));
  const learner = openLearner(copy, config, planLearner(new ArenaPlan(), config));
  const random = mulberry32(1);
  const values = Float32Array.from({ length: 64 * config.inputs }, random);
  values[0] = NaN; // missing values and rows without a label take ways of their own
  const untilMs = performance.now() + WARM_UP_MS_MAX;
  for (let row = 0; row < WARM_UP_ROWS; row++) {
    const label = row % 16 === 0 ? NO_LABEL : row % config.outputs;
    takeRow(learner, values, (row % 64) * config.inputs, label);
    if (row % WARM_UP_ROWS_PER_LOOK === 0 && performance.now() > untilMs) break;
  }
  takeGap(learner, 1);
}

function takeRecord(learner: Learner, reader: RingReader, meter: Meter): void {
  const slot = reader.slot();
  if (reader.kind(slot) === RECORD.row) takeMeteredRow(learner, reader, slot, meter);
  else takeGap(learner, reader.datum(slot));
  reader.release();
}

function takeMeteredRow(learner: Learner, reader: RingReader, slot: number, meter: Meter): void {
  const first = slot * reader.columns;
  const label = reader.datum(slot);
  meter.rows += 1;
  if (meter.rows % TIMED_ROW_EVERY !== 0) {
    takeRow(learner, reader.values, first, label);
    return;
  }
  const before = performance.now();
  takeRow(learner, reader.values, first, label);
  meter.timedMs += performance.now() - before;
  meter.timedRows += 1;
}

function snapshotIsAsked(control: Int32Array): boolean {
  return Atomics.load(control, CONTROL.snapshotAsked) !== Atomics.load(control, CONTROL.snapshotDone);
}

/** Between two rows the arena is whole: copy it and say so. */
function makeSnapshot(control: Int32Array, arena: Uint8Array, snapshot: Uint8Array): void {
  const asked = Atomics.load(control, CONTROL.snapshotAsked);
  snapshot.set(arena);
  Atomics.store(control, CONTROL.snapshotDone, asked);
  Atomics.notify(control, CONTROL.snapshotDone);
}
