/**
 * One model, one fixed stream, many power cuts, in one process. Time is simulated; every cut comes during an operation
 * on the disk, at random, during a start or in the middle of work. After each cut the state is compared with that of a
 * model that took the same records without any interruption.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { mulberry32 } from '../../src/engine/random.ts';
import { SAFE_FROM, acknowledged, makeAcknowledged } from '../../src/store/acknowledged.ts';
import { checkpointName, checkpointNumbers } from '../../src/store/checkpoints.ts';
import { KEEPER_DEFAULTS, Keeper, type KeeperSettings } from '../../src/store/keeper.ts';
import { ModelStore, pathsOf, sequenceOf } from '../../src/store/model-store.ts';
import { READER, RingReader, RingWriter, makeRing } from '../../src/stream/ring.ts';
import { PowerCutFiles, openDisk } from '../support/power-cut-files.ts';
import { COLUMNS, Stream, newModel, takeFromRing } from '../support/stored-model.ts';

const RING_RECORDS = 256;
const STEP_US = 10_000;
const RECORDS_PER_STEP_MAX = 12;

const SETTINGS: KeeperSettings = {
  ...KEEPER_DEFAULTS,
  commitMs: 100,
  checkpointMs: 600,
  checkpointsMax: 12,
  segmentBytesMax: 6000,
  journalBytesMax: 40_000,
  bufferBytes: 400_000,
  hasCatalogue: false,
};

export interface PowerCutResult {
  readonly powerCuts: number;
  readonly records: number;
  /** Cuts after which the state was not that of an uninterrupted run. */
  readonly different: number;
  /** Acknowledged records that were missing after a cut. */
  readonly lostAcknowledged: number;
  /** Longest time before a cut of which nothing was found. */
  readonly lostMsMax: number;
  /** Lives that ended before they had started. */
  readonly duringStart: number;
  /** Kills between the cuts, and newest checkpoints in which a bit was changed. */
  readonly kills: number;
  readonly damaged: number;
  readonly problems: readonly string[];
}

class Torture {
  readonly root = mkdtempSync(join(tmpdir(), 'edgeloop-cuts-'));
  readonly random: () => number;
  readonly stream: Stream;
  readonly reference = newModel();
  /** Of the reference after each record. */
  readonly sums: number[] = [];
  readonly problems: string[] = [];
  nowUs = 1_000_000;
  different = 0;
  lostAcknowledged = 0;
  lostMsMax = 0;
  duringStart = 0;
  cuts = 0;
  kills = 0;
  damaged = 0;
  #damaged = 0;
  #disk: ReturnType<typeof openDisk> | undefined;
  /** When each record was published. */
  readonly publishedUs: number[] = [];
  safe = 0;
  last = 0;

  constructor(seed: number) {
    this.random = mulberry32(seed);
    this.stream = new Stream(seed);
    this.sums.push(crc32(this.reference.arena));
  }

  /** From one end to the next: a power cut, or now and then a kill, after which a power cut finds more to take. */
  async life(): Promise<void> {
    const paths = pathsOf(join(this.root, 'model'));
    await ModelStore.open(paths.root).then((store) => store.close()); // directories are there from the beginning
    this.#disk ??= openDisk([paths.journal, paths.checkpoints]);
    const cutAt = 1 + Math.floor(this.random() ** 2 * 300);
    const files = new PowerCutFiles(this.#disk, cutAt, this.random);
    let started = false;
    const work = this.#work(files, paths.root, () => (started = true));
    await Promise.race([files.off, work]);
    if (!files.isOff) await work; // it has thrown
    if (!started) this.duringStart += 1;
    rmSync(join(paths.root, 'lock')); // of a process that is no more
    if (this.random() < 0.2) {
      await files.kill();
      this.kills += 1;
      return;
    }
    await files.cut();
    this.cuts += 1;
    this.#disk = undefined;
    if (this.random() < 0.1) this.#damageNewest(paths.checkpoints);
  }

  /** As long as the one before it is good, nothing may be lost by it. */
  #damageNewest(directory: string): void {
    const number = checkpointNumbers(readdirSync(directory)).at(-1) ?? 0;
    if (number <= this.#damaged) return;
    const path = join(directory, checkpointName(number));
    const bytes = readFileSync(path);
    bytes[Math.floor(this.random() * bytes.length)] ^= 1 << Math.floor(this.random() * 8);
    writeFileSync(path, bytes);
    this.#damaged = number;
    this.damaged += 1;
  }

  async #work(files: PowerCutFiles, root: string, onStarted: () => void): Promise<void> {
    const store = await ModelStore.open(root, files);
    const model = newModel();
    const resumed = await store.resume(model);
    this.#check(resumed.sequence, model.arena, sequenceOf(model.arena, model.sequenceOffset));
    const start = await store.begin(model);
    const ring = makeRing(COLUMNS, RING_RECORDS, start.sequence + 1, [READER.learner, READER.keeper]);
    const [writer, learner] = [new RingWriter(ring), new RingReader(ring)];
    const row = new Float32Array(COLUMNS);
    const words = makeAcknowledged();
    const keeper = await Keeper.start(start, SETTINGS, {
      files,
      ring,
      acknowledged: words,
      sequenceOffset: model.sequenceOffset,
      snapshot: () => Promise.resolve(model.arena.slice()),
      takeNotes: () => {},
      notify: ({ kind, text }) => void (kind === 'checkpoint' || this.problems.push(text)),
      nowUs: () => this.nowUs,
    });
    onStarted();
    while (!files.isOff) {
      this.nowUs += STEP_US;
      for (let count = Math.floor(this.random() * RECORDS_PER_STEP_MAX); count > 0; count--) {
        const sequence = writer.nextSequence;
        if (!this.stream.push(writer, this.nowUs)) throw new Error('no room in the ring');
        this.publishedUs[sequence] = this.nowUs;
      }
      writer.publish();
      if (this.random() < 0.01) keeper.addEvent('torture', { at: this.nowUs });
      if (this.random() < 0.05) keeper.work(); // the keeper may be ahead of the learner
      // Or the learner is behind: it takes some of what there is.
      for (let left = Math.ceil(this.random() * learner.available()); left > 0; left--) {
        takeFromRing(model, learner, row);
      }
      keeper.work();
      this.safe = acknowledged(new Int32Array(words), SAFE_FROM.powerCut);
      this.last = writer.nextSequence - 1;
      // Now and then the disk is still busy when more comes.
      if (this.random() < 0.9) await files.quiet();
      else await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise(() => {});
  }

  #check(sequence: number, arena: Uint8Array, stored: number): void {
    for (let next = this.sums.length; next <= sequence; next++) {
      this.stream.apply(this.reference, next);
      this.sums.push(crc32(this.reference.arena));
    }
    const same = crc32(arena) === this.sums[sequence] && stored === sequence;
    if (!same) this.different += 1;
    if (!same) this.problems.push(`the state after record ${sequence} is not that of an uninterrupted run`);
    if (sequence < this.safe) {
      this.lostAcknowledged += this.safe - sequence;
      this.problems.push(`record ${this.safe} was acknowledged, and ${sequence} is the last`);
    }
    if (sequence < this.last) {
      this.lostMsMax = Math.max(this.lostMsMax, (this.nowUs - this.publishedUs[sequence + 1]) / 1000);
    }
    this.safe = sequence;
    this.last = sequence;
  }
}

export const PROMISED_MS = SETTINGS.commitMs;

export async function runPowerCuts(cuts: number, seed: number): Promise<PowerCutResult> {
  const torture = new Torture(seed);
  try {
    while (torture.cuts < cuts) {
      await torture.life().catch((error: Error) => {
        throw new Error(`cut ${torture.cuts} of seed ${seed}: ${error.message}`, { cause: error });
      });
    }
    const { different, lostAcknowledged, lostMsMax, duringStart, kills, damaged, problems } = torture;
    const counts = { powerCuts: torture.cuts, kills, damaged, duringStart, records: torture.sums.length - 1 };
    return { ...counts, different, lostAcknowledged, lostMsMax, problems };
  } finally {
    rmSync(torture.root, { recursive: true });
  }
}
