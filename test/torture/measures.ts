/** What the store costs: bytes on the device, pauses while the disk is slow, and how fast a resume is. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeAcknowledged } from '../../src/store/acknowledged.ts';
import { systemFiles } from '../../src/store/files.ts';
import { KEEPER_DEFAULTS, Keeper } from '../../src/store/keeper.ts';
import { ModelStore } from '../../src/store/model-store.ts';
import { READER, RingWriter, makeRing } from '../../src/stream/ring.ts';
import { COLUMNS, Stream, newModel } from '../support/stored-model.ts';
import type { ChildResult } from './child.ts';
import { runChild } from './kills.ts';

const RATE_HZ = 1000;
const RING_RECORDS = 4096;
/** By then all threads are there. */
const STARTED_MS = 5000;
const SYNC_DELAY_MS = 500;

export interface Costs {
  /** Bytes that the process caused to be written per byte of values; NaN where the system does not count them. */
  readonly writeAmplification: number;
  /** While every fdatasync takes 500 ms longer: the worst of the main thread's loop and of the learner. */
  readonly worstPauseMs: number;
  /** The same when the disk is left alone: what the machine itself does to them. */
  readonly worstPauseUnslowedMs: number;
  /** Records replayed, in time that they took to come. */
  readonly resumeTimesRealTime: number;
}

export async function measureCosts(seconds: number, seed: number, replayed = 300_000): Promise<Costs> {
  const plain = await runLive(seconds, seed, 0);
  const slowed = await runLive(seconds, seed, SYNC_DELAY_MS);
  const { writtenBytes, valueBytes } = plain.measured;
  return {
    writeAmplification: writtenBytes > 0 ? writtenBytes / valueBytes : NaN,
    worstPauseMs: worst(slowed),
    worstPauseUnslowedMs: worst(plain),
    resumeTimesRealTime: await measureResume(replayed, seed),
  };
}

function worst({ measured, learnerPauseMs }: ChildResult): number {
  return Math.max(measured.mainPauseMs, learnerPauseMs);
}

async function runLive(seconds: number, seed: number, syncDelayMs: number): Promise<ChildResult> {
  const root = mkdtempSync(join(tmpdir(), 'edgeloop-costs-'));
  try {
    const { done } = await runChild({
      directory: join(root, 'model'),
      seed,
      settings: KEEPER_DEFAULTS,
      from: 1,
      until: seconds * RATE_HZ,
      recordsPerSecond: RATE_HZ,
      ringRecords: RING_RECORDS,
      syncDelayMs,
      measureAfterMs: STARTED_MS,
    });
    if (done!.notices.length > 0) throw new Error(done!.notices.join('\n'));
    return done!;
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** A journal without a checkpoint after the first, as a crash leaves it behind. */
async function measureResume(records: number, seed: number): Promise<number> {
  const root = mkdtempSync(join(tmpdir(), 'edgeloop-resume-'));
  try {
    await writeJournal(root, records, seed);
    const store = await ModelStore.open(root);
    const model = newModel();
    const beforeMs = performance.now();
    const resumed = await store.resume(model);
    const seconds = (performance.now() - beforeMs) / 1000;
    store.close();
    if (resumed.records !== records)
      throw new Error(`${resumed.records} of ${records} records were replayed`);
    return records / RATE_HZ / seconds;
  } finally {
    rmSync(root, { recursive: true });
  }
}

async function writeJournal(root: string, records: number, seed: number): Promise<void> {
  const store = await ModelStore.open(root);
  const model = newModel();
  await store.resume(model);
  const ring = makeRing(COLUMNS, RING_RECORDS, 1, [READER.keeper]);
  const keeper = await Keeper.start(
    await store.begin(model),
    { ...KEEPER_DEFAULTS, hasCatalogue: false },
    {
      files: systemFiles,
      ring,
      acknowledged: makeAcknowledged(),
      sequenceOffset: model.sequenceOffset,
      snapshot: () => Promise.resolve(model.arena.slice()),
      takeNotes: () => {},
      notify: ({ text }) => {
        throw new Error(text);
      },
      nowUs: () => 0,
    },
  );
  const writer = new RingWriter(ring);
  const stream = new Stream(seed);
  while (writer.nextSequence <= records) {
    for (let left = RING_RECORDS / 2; left > 0 && writer.nextSequence <= records; left--) {
      stream.push(writer, writer.nextSequence * 1000);
    }
    writer.publish();
    keeper.work();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await keeper.stop(); // the model has taken nothing, so there is no new checkpoint
  store.close();
}
