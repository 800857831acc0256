/**
 * The learner's thread: one long-lived task of the pool for one model. It waits on the ring, takes what is there,
 * and waits again, until the stop flag. Nothing in the loop allocates.
 */
import { ArenaPlan } from '../engine/arena.ts';
import { openKernels } from '../engine/kernels.ts';
import type { NetworkConfig } from '../engine/network.ts';
import { mulberry32 } from '../engine/random.ts';
import {
  CONTROL,
  NO_LABEL,
  RECORD,
  type RingLayout,
  RingReader,
  RingWriter,
  makeRing,
} from '../stream/ring.ts';
import { HeapMeter, type HeapUse } from './heap-meter.ts';
import { type Engine, type Learner, openLearner, planLearner, takeGap, takeRow } from './learner.ts';

export interface LearnTask {
  readonly config: NetworkConfig;
  readonly ring: RingLayout;
  /** The model's arena, initialised; shared. */
  readonly arena: WebAssembly.Memory;
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

/** A snapshot waits for this many records at the most, so that one asked for in a flood comes soon. */
const SNAPSHOT_ROWS_MAX = 256;

/** Reading the clock allocates a little, so only every 64th row is timed. */
const TIMED_ROW_EVERY = 64;

/**
 * Rows that a copy of the learner takes before the first real one. Until code is compiled every number in it is an
 * object on the heap (3.5 KB per row); at 200 rows a second that would go on for a minute.
 */
const WARM_UP_ROWS = 20_000;
/** A large network is compiled after fewer rows, and must not keep the first real ones waiting. */
const WARM_UP_MS_MAX = 500;
const WARM_UP_RING_ROWS = 256;

/** Rows taken, and the time of those that were timed. */
interface Meter {
  rows: number;
  timedRows: number;
  timedMs: number;
}

/** Task of the pool. Ends when the stop flag is set and everything published has been taken. */
export function learnStream({ config, ring, arena, snapshot }: LearnTask): LearnTaskResult {
  const learner = openLearner(arena.buffer, config, planLearner(new ArenaPlan(), config));
  const engine = openKernels(arena, learner.network);
  const reader = new RingReader(ring);
  const { control } = reader;
  const arenaBytes = new Uint8Array(arena.buffer);
  const snapshotBytes = new Uint8Array(snapshot);
  const meter: Meter = { rows: 0, timedRows: 0, timedMs: 0 };
  const heapMeter = new HeapMeter();
  warmUp(config, arena);
  heapMeter.start();
  for (;;) {
    const signal = Atomics.load(control, CONTROL.signal);
    const stop = Atomics.load(control, CONTROL.stop) === 1;
    while (takeSome(learner, engine, reader, meter)) {
      if (snapshotIsAsked(control)) makeSnapshot(control, arenaBytes, snapshotBytes);
    }
    if (snapshotIsAsked(control)) makeSnapshot(control, arenaBytes, snapshotBytes);
    if (stop) break;
    Atomics.wait(control, CONTROL.signal, signal);
  }
  const heap = heapMeter.stop();
  return { stepNs: (meter.timedMs * 1e6) / meter.timedRows, heap, heapRows: meter.rows };
}

/** Has a row's way through the code compiled, on a copy of the arena and a ring that are then thrown away. */
function warmUp(config: NetworkConfig, arena: WebAssembly.Memory): void {
  const plan = new ArenaPlan();
  const parts = planLearner(plan, config);
  const copy = plan.allocate();
  new Uint8Array(copy.buffer).set(new Uint8Array(arena.buffer));
  const learner = openLearner(copy.buffer, config, parts);
  const engine = openKernels(copy, learner.network);
  const ring = makeRing(config.inputs, WARM_UP_RING_ROWS);
  const writer = new RingWriter(ring);
  const reader = new RingReader(ring);
  const meter: Meter = { rows: 0, timedRows: 0, timedMs: 0 };
  const random = mulberry32(1);
  const values = new Float32Array(config.inputs);
  const untilMs = performance.now() + WARM_UP_MS_MAX;
  while (meter.rows < WARM_UP_ROWS && performance.now() < untilMs) {
    for (let row = 0; row < WARM_UP_RING_ROWS; row++) {
      for (let input = 0; input < values.length; input++) values[input] = random();
      if (row % 16 === 0) values[0] = NaN; // missing values and rows without a label take ways of their own
      writer.pushRow(values, row % 16 === 1 ? NO_LABEL : row % config.outputs, row);
    }
    writer.publish();
    takeSome(learner, engine, reader, meter);
  }
  takeGap(learner, 1);
}

/** Takes what has been published, but no more than SNAPSHOT_ROWS_MAX. @returns whether there was any */
function takeSome(learner: Learner, engine: Engine, reader: RingReader, meter: Meter): boolean {
  const count = Math.min(reader.available(), SNAPSHOT_ROWS_MAX);
  for (let record = 0; record < count; record++) takeRecord(learner, engine, reader, meter);
  return count > 0;
}

function takeRecord(learner: Learner, engine: Engine, reader: RingReader, meter: Meter): void {
  const slot = reader.slot();
  if (reader.kind(slot) === RECORD.row) takeMeteredRow(learner, engine, reader, slot, meter);
  else takeGap(learner, reader.datum(slot));
  reader.release();
}

function takeMeteredRow(
  learner: Learner,
  engine: Engine,
  reader: RingReader,
  slot: number,
  meter: Meter,
): void {
  const first = slot * reader.columns;
  const label = reader.datum(slot);
  meter.rows += 1;
  if (meter.rows % TIMED_ROW_EVERY !== 0) {
    takeRow(learner, engine, reader.values, first, label);
    return;
  }
  const before = performance.now();
  takeRow(learner, engine, reader.values, first, label);
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
