/**
 * The program that the torture kills: ring, learner and keeper on threads of their own, over the fixed stream.
 *
 *     node child.ts <options as JSON>
 *
 * Prints `resumed <sequence>`, then `safe <sequence>` whenever more is acknowledged, and at the end of the stream
 * `done <json>`.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { SAFE_FROM } from '../../src/store/acknowledged.ts';
import { systemFiles } from '../../src/store/files.ts';
import { KeeperClient, type KeeperTask, keepModel } from '../../src/store/keeper-task.ts';
import type { KeeperResult, KeeperSettings } from '../../src/store/keeper.ts';
import { ModelStore } from '../../src/store/model-store.ts';
import {
  CONTROL,
  READER,
  type RingLayout,
  RingReader,
  RingWriter,
  makeRing,
  signalReader,
} from '../../src/stream/ring.ts';
import { ASKER, serveSnapshot } from '../../src/stream/snapshots.ts';
import { COLUMNS, Stream, newModel, openModel, takeFromRing } from '../support/stored-model.ts';

export { keepModel };

export interface ChildOptions {
  readonly directory: string;
  readonly seed: number;
  readonly settings: KeeperSettings;
  /** The source sends from this record on. */
  readonly from: number;
  /** The last record of the stream. */
  readonly until: number;
  readonly recordsPerSecond: number;
  readonly ringRecords: number;
  /** Every fdatasync and fsync takes so much longer. */
  readonly syncDelayMs: number;
  /** What is measured is measured from then on, when the threads are there; halfway a checkpoint is asked for. */
  readonly measureAfterMs?: number;
}

export interface ChildResult {
  readonly sequence: number;
  readonly sha256: string;
  readonly measured: Measured;
  /** Longest time between a record's publication and its being learned. */
  readonly learnerPauseMs: number;
  readonly keeper: KeeperResult;
  readonly notices: readonly string[];
}

export interface Measured {
  /** Longest turn of the main thread's loop, without the pause that it makes itself. */
  readonly mainPauseMs: number;
  /** Bytes that the process caused to be written to a disk, by the system's account; and those of the values sent. */
  readonly writtenBytes: number;
  readonly valueBytes: number;
}

interface LearnTask {
  readonly ring: RingLayout;
  readonly memory: WebAssembly.Memory;
  readonly snapshot: SharedArrayBuffer;
  readonly clockZeroUs: number;
  readonly measureAfterMs: number;
}

const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);

/** Task of the pool: learns until the stop flag is set. @returns the longest pause in ms */
export function learn({ ring, memory, snapshot, clockZeroUs, measureAfterMs }: LearnTask): number {
  const model = openModel(memory);
  const reader = new RingReader(ring);
  const copy = new Uint8Array(snapshot);
  const row = new Float32Array(COLUMNS);
  let pauseUs = 0;
  for (;;) {
    const signal = Atomics.load(reader.control, CONTROL.signal);
    const stop = Atomics.load(reader.control, CONTROL.stop) === 1;
    for (let left = reader.available(); left > 0; left--) {
      const timeUs = reader.timeUs(reader.slot());
      if (timeUs > 1000 * measureAfterMs) pauseUs = Math.max(pauseUs, nowUs() - clockZeroUs - timeUs);
      takeFromRing(model, reader, row);
    }
    serveSnapshot(reader.control, ASKER.keeper, model.arena, copy);
    if (stop && reader.available() === 0) return pauseUs / 1000;
    Atomics.wait(reader.control, CONTROL.signal, signal);
  }
}

/** Task of the pool: a keeper whose disk is slow. */
export function keepSlowly({
  task,
  syncDelayMs,
}: {
  task: KeeperTask;
  syncDelayMs: number;
}): Promise<KeeperResult> {
  const { create, syncDirectory } = systemFiles;
  systemFiles.create = async (path) => {
    const file = await create(path);
    const datasync = async (): Promise<void> => {
      await sleep(syncDelayMs);
      await file.datasync();
    };
    return { ...file, datasync };
  };
  systemFiles.syncDirectory = async (path) => {
    await sleep(syncDelayMs);
    await syncDirectory(path);
  };
  return keepModel(task);
}

async function main(options: ChildOptions): Promise<void> {
  const store = await ModelStore.open(options.directory);
  const model = newModel();
  const resumed = await store.resume(model);
  const start = await store.begin(model);
  say(`resumed ${resumed.sequence}`);
  const ring = makeRing(COLUMNS, options.ringRecords, start.sequence + 1, [READER.learner, READER.keeper]);
  const pool = new Piscina({ filename: fileURLToPath(import.meta.url), minThreads: 2, maxThreads: 2 });
  const snapshot = new SharedArrayBuffer(model.arena.length);
  const clockZeroUs = nowUs() - performance.now() * 1000;
  const { memory, sequenceOffset } = model;
  const task: LearnTask = {
    ring,
    memory,
    snapshot,
    clockZeroUs,
    measureAfterMs: options.measureAfterMs ?? 0,
  };
  const learning = pool.run(task, { name: learn.name }) as Promise<number>;
  const notices: string[] = [];
  const keeper = new KeeperClient(
    start,
    {
      settings: options.settings,
      ring,
      arena: memory,
      snapshot,
      sequenceOffset,
      onNotice: ({ kind, text }) => void (kind === 'checkpoint' || notices.push(text)),
    },
    (task, transferList) =>
      options.syncDelayMs > 0
        ? pool.run({ task, syncDelayMs: options.syncDelayMs }, { name: keepSlowly.name, transferList })
        : pool.run(task, { name: keepModel.name, transferList }),
  );
  keeper.addEvent('started');
  const writer = new RingWriter(ring);
  const measured = await send(options, writer, keeper);
  Atomics.store(writer.control, CONTROL.stop, 1);
  signalReader(writer.control);
  const learnerPauseMs = await learning;
  const kept = await keeper.stop();
  await pool.close();
  store.close();
  const result: ChildResult = {
    sequence: writer.nextSequence - 1,
    sha256: createHash('sha256').update(model.arena.slice()).digest('hex'),
    measured,
    learnerPauseMs,
    keeper: kept,
    notices,
  };
  say(`done ${JSON.stringify(result)}`);
}

/** The source: at its pace, and no faster than there is room. */
async function send(options: ChildOptions, writer: RingWriter, keeper: KeeperClient): Promise<Measured> {
  const { from, until, recordsPerSecond, measureAfterMs = 0 } = options;
  const stream = new Stream(options.seed);
  const startedMs = performance.now();
  // Records that were learned already are sent again, and known by their numbers.
  let next = from;
  if (next > writer.nextSequence)
    throw new Error(`record ${writer.nextSequence} was acknowledged and is lost`);
  let said = 0;
  let mainPauseMs = 0;
  let before: { writtenBytes: number; next: number } | undefined;
  let halfway = from + (until - from) / 2;
  while (next <= until) {
    const beforeMs = performance.now();
    const due = from + ((beforeMs - startedMs) * recordsPerSecond) / 1000;
    for (let room = writer.room; next <= Math.min(due, until); next++) {
      if (next < writer.nextSequence) continue;
      if (room-- <= 0) break;
      stream.push(writer, Math.floor(performance.now() * 1000));
    }
    writer.publish();
    const safe = keeper.acknowledged(SAFE_FROM.crash);
    if (safe !== said) say(`safe ${safe}`);
    said = safe;
    if (before) mainPauseMs = Math.max(mainPauseMs, performance.now() - beforeMs);
    await sleep(2);
    if (before) mainPauseMs = Math.max(mainPauseMs, performance.now() - beforeMs - 2);
    if (!before && beforeMs > measureAfterMs) before = { writtenBytes: writtenBytes(), next };
    if (next > halfway) keeper.checkpoint();
    if (next > halfway) halfway = Infinity;
  }
  const since = before ?? { writtenBytes: 0, next: from };
  return {
    mainPauseMs,
    writtenBytes: writtenBytes() - since.writtenBytes,
    valueBytes: 4 * COLUMNS * (next - since.next),
  };
}

function writtenBytes(): number {
  return Number(/^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'latin1'))![1]);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

if (isMainThread) await main(JSON.parse(process.argv[2]) as ChildOptions);
