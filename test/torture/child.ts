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
}

export interface ChildResult {
  readonly sequence: number;
  readonly sha256: string;
  /** Longest time between two turns of the main thread's loop, beyond the pause that it makes itself. */
  readonly mainPauseMs: number;
  /** Longest time between a record's publication and its being learned. */
  readonly learnerPauseMs: number;
  /** Bytes that the process caused to be written to a disk, by its own account; and those of its values. */
  readonly writtenBytes: number;
  readonly valueBytes: number;
  readonly keeper: KeeperResult;
  readonly notices: readonly string[];
}

interface LearnTask {
  readonly ring: RingLayout;
  readonly memory: WebAssembly.Memory;
  readonly snapshot: SharedArrayBuffer;
  readonly clockZeroUs: number;
}

const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);

/** Task of the pool: learns until the stop flag is set. @returns the longest pause in ms */
export function learn({ ring, memory, snapshot, clockZeroUs }: LearnTask): number {
  const model = openModel(memory);
  const reader = new RingReader(ring);
  const copy = new Uint8Array(snapshot);
  const row = new Float32Array(COLUMNS);
  let pauseUs = 0;
  for (;;) {
    const signal = Atomics.load(reader.control, CONTROL.signal);
    const stop = Atomics.load(reader.control, CONTROL.stop) === 1;
    for (let left = reader.available(); left > 0; left--) {
      pauseUs = Math.max(pauseUs, nowUs() - clockZeroUs - reader.timeUs(reader.slot()));
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
  const learning = pool.run({ ring, memory, snapshot, clockZeroUs }, { name: learn.name }) as Promise<number>;
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
  const writtenBefore = writtenBytes();
  const writer = new RingWriter(ring);
  const mainPauseMs = await send(options, writer, keeper);
  Atomics.store(writer.control, CONTROL.stop, 1);
  signalReader(writer.control);
  const learnerPauseMs = await learning;
  const kept = await keeper.stop();
  await pool.close();
  store.close();
  const result: ChildResult = {
    sequence: writer.nextSequence - 1,
    sha256: createHash('sha256').update(model.arena.slice()).digest('hex'),
    mainPauseMs,
    learnerPauseMs,
    writtenBytes: writtenBytes() - writtenBefore,
    valueBytes: 4 * COLUMNS * (writer.nextSequence - 1 - start.sequence),
    keeper: kept,
    notices,
  };
  say(`done ${JSON.stringify(result)}`);
}

/** The source: at its pace, and no faster than there is room. @returns the longest pause in ms */
async function send(options: ChildOptions, writer: RingWriter, keeper: KeeperClient): Promise<number> {
  const stream = new Stream(options.seed);
  let said = 0;
  let pauseMs = 0;
  const startedMs = performance.now();
  // Records that were learned already are sent again, and known by their numbers.
  let next = options.from;
  if (next > writer.nextSequence)
    throw new Error(`record ${writer.nextSequence} was acknowledged and is lost`);
  while (next <= options.until) {
    const beforeMs = performance.now();
    const due = options.from + ((beforeMs - startedMs) * options.recordsPerSecond) / 1000;
    for (let room = writer.room; next <= Math.min(due, options.until); next++) {
      if (next < writer.nextSequence) continue;
      if (room-- <= 0) break;
      stream.push(writer, Math.floor(performance.now() * 1000));
    }
    writer.publish();
    const safe = keeper.acknowledged(SAFE_FROM.crash);
    if (safe !== said) say(`safe ${safe}`);
    said = safe;
    const workedMs = performance.now() - beforeMs;
    await sleep(2);
    if (beforeMs - startedMs > 1000) pauseMs = Math.max(pauseMs, performance.now() - beforeMs - 2, workedMs);
  }
  return pauseMs;
}

function writtenBytes(): number {
  return Number(/^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'latin1'))![1]);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

if (isMainThread) await main(JSON.parse(process.argv[2]) as ChildOptions);
