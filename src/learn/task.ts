/**
 * The learner's thread: one long-lived task of the pool for one model. It waits on the ring, takes what is there,
 * and waits again, until the stop flag. Nothing in the loop allocates.
 */
import { mulberry32 } from '../engine/random.ts';
import { type AnswersLayout, AnswerWriter, makeAnswers } from '../stream/answers.ts';
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
import {
  type Model,
  type ModelConfig,
  answeredClass,
  answeredNumbers,
  columnsOf,
  numbersOf,
  openModel,
  planModel,
  takeRecord,
} from './model.ts';

export interface LearnTask {
  readonly config: ModelConfig;
  readonly ring: RingLayout;
  /** The model's arena, initialised; shared. */
  readonly arena: WebAssembly.Memory;
  /** As large as the arena: snapshots are copied here. */
  readonly snapshot: WebAssembly.Memory;
  /** Where the answer to each row goes; undefined: nobody listens. */
  readonly answers: AnswersLayout | undefined;
}

export interface LearnTaskResult {
  /** Time of one row, from statistics to updated weights: median of the timed ones. NaN if there were none. */
  readonly stepNs: number;
  /** What this thread allocated while it took `heapRows` rows, waiting included. */
  readonly heap: HeapUse;
  readonly heapRows: number;
}

/** A snapshot waits for this many records at the most, so that one asked for in a flood comes soon. */
const SNAPSHOT_ROWS_MAX = 256;

/** Reading the clock allocates a little, so only every 64th row is timed; the newest of these count. */
const TIMED_ROW_EVERY = 64;
const TIMED_ROWS_KEPT = 1024;

/**
 * Rows that a copy of the learner takes before the first real one. Until code is compiled every number in it is an
 * object on the heap (3.5 KB per row); at 200 rows a second that would go on for a minute.
 */
const WARM_UP_ROWS = 20_000;
/** A large network is compiled after fewer rows, and must not keep the first real ones waiting. */
const WARM_UP_MS_MAX = 500;
const WARM_UP_RING_ROWS = 256;

/** What the thread works with; made once. Its last fields are the meter. */
interface Work {
  readonly model: Model;
  readonly reader: RingReader;
  readonly answers: AnswerWriter | undefined;
  rows: number;
  timedRows: number;
  /** [TIMED_ROWS_KEPT], written round and round. */
  readonly timesMs: Float64Array;
}

function openWork({ config, arena, ring, answers }: Omit<LearnTask, 'snapshot'>): Work {
  return {
    model: openModel(planModel(config), arena),
    reader: new RingReader(ring),
    answers: answers && new AnswerWriter(answers),
    rows: 0,
    timedRows: 0,
    timesMs: new Float64Array(TIMED_ROWS_KEPT),
  };
}

/** Task of the pool. Ends when the stop flag is set and everything published has been taken. */
export function learnStream(task: LearnTask): LearnTaskResult {
  const work = openWork(task);
  const { control } = work.reader;
  const arenaBytes = new Uint8Array(task.arena.buffer);
  const snapshotBytes = new Uint8Array(task.snapshot.buffer);
  const heapMeter = new HeapMeter();
  warmUp(task);
  heapMeter.start();
  for (;;) {
    const signal = Atomics.load(control, CONTROL.signal);
    const stop = Atomics.load(control, CONTROL.stop) === 1;
    while (takeSome(work)) {
      if (snapshotIsAsked(control)) makeSnapshot(control, arenaBytes, snapshotBytes);
    }
    if (snapshotIsAsked(control)) makeSnapshot(control, arenaBytes, snapshotBytes);
    if (stop) break;
    Atomics.wait(control, CONTROL.signal, signal);
  }
  const heap = heapMeter.stop();
  return { stepNs: 1e6 * medianMs(work), heap, heapRows: work.rows };
}

/** Has a row's way through the code compiled, on a copy of the arena and a ring that are then thrown away. */
function warmUp({ config, arena, answers }: LearnTask): void {
  const copy = planModel(config).arena.allocate();
  new Uint8Array(copy.buffer).set(new Uint8Array(arena.buffer));
  const ring = makeRing(columnsOf(config), WARM_UP_RING_ROWS);
  const writer = new RingWriter(ring);
  const work = openWork({ config, arena: copy, ring, answers: answers && makeAnswers(numbersOf(config)) });
  const random = mulberry32(1);
  const values = new Float32Array(columnsOf(config));
  const classes = config.kind === 'supervised' ? config.supervised.outputs : 2;
  const untilMs = performance.now() + WARM_UP_MS_MAX;
  while (work.rows < WARM_UP_ROWS && performance.now() < untilMs) {
    for (let row = 0; row < WARM_UP_RING_ROWS; row++) {
      for (let column = 0; column < values.length; column++) values[column] = random();
      if (row % 16 === 0) values[0] = NaN; // missing values and rows without a label take ways of their own
      writer.pushRow(values, row % 16 === 1 ? NO_LABEL : row % classes, row);
    }
    if (work.rows % 1024 === 0) writer.markGap(1);
    writer.publish();
    takeSome(work);
  }
}

/** Takes what has been published, but no more than SNAPSHOT_ROWS_MAX. @returns whether there was any */
function takeSome(work: Work): boolean {
  const count = Math.min(work.reader.available(), SNAPSHOT_ROWS_MAX);
  for (let record = 0; record < count; record++) takeNext(work);
  return count > 0;
}

function takeNext(work: Work): void {
  const { model, reader, answers } = work;
  const slot = reader.slot();
  const isRow = reader.kind(slot) === RECORD.row;
  if (isRow) work.rows += 1;
  const isAnswered = isRow && work.rows % TIMED_ROW_EVERY === 0 ? takeTimed(work, slot) : take(work, slot);
  if (isAnswered === 1 && answers !== undefined) {
    answers.push(
      reader.sequenceLow(slot),
      reader.sequenceHigh(slot),
      answeredClass(model),
      reader.datum(slot),
      answeredNumbers(model),
    );
  }
  reader.release();
}

function take({ model, reader }: Work, slot: number): number {
  return takeRecord(
    model,
    reader.kind(slot),
    reader.datum(slot),
    reader.sequenceLow(slot),
    reader.sequenceHigh(slot),
    reader.timeUs(slot),
    reader.values,
    slot * reader.columns,
  );
}

function takeTimed(work: Work, slot: number): number {
  const before = performance.now();
  const isAnswered = take(work, slot);
  work.timesMs[work.timedRows % TIMED_ROWS_KEPT] = performance.now() - before;
  work.timedRows += 1;
  return isAnswered;
}

/** Not the mean: one row that the scheduler interrupted would count as much as a hundred others. */
function medianMs({ timesMs, timedRows }: Work): number {
  const kept = timesMs.slice(0, Math.min(timedRows, TIMED_ROWS_KEPT)).sort();
  return kept[kept.length >> 1] ?? NaN;
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
