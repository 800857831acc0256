/**
 * The keeper: reads the ring as its second reader and keeps what goes by. On a thread of its own (keeper-task.ts), so
 * that nobody else ever waits for a disk; here are its decisions, without a clock or a thread.
 *
 *     ring ──work()──> batch ──> journal: written (safe from a crash) ──every commitMs──> synced (from a power cut)
 *     learner ──snapshot──> journal synced up to it ──> checkpoint ──> old checkpoints and covered segments go
 *
 * Invariants
 * - A checkpoint is written only when the journal up to it is on the disk: the journal has no hole below a checkpoint.
 * - When the disk fails the keeper detaches from the ring and says so; learning goes on. When the disk takes data again
 *   a new session and a new epoch begin, and nothing is acknowledged before a checkpoint has covered the hole.
 */
import type { EdgeloopError } from '../errors.ts';
import { READER, type RingLayout, RingReader } from '../stream/ring.ts';
import { SAFE_FROM, acknowledge, acknowledged } from './acknowledged.ts';
import { type CheckpointDescription, checkpointName, configDigest, writeCheckpoint } from './checkpoints.ts';
import type { Files } from './files.ts';
import { type GenerationLimits, Generations } from './generations.ts';
import { GuardedCatalogue } from './guarded-catalogue.ts';
import { JournalWriter } from './journal-writer.ts';
import { type JournalDescription, type StoreEvent } from './journal.ts';
import { type KeeperStart, pathsOf, sequenceOf } from './model-store.ts';

export interface KeeperSettings extends GenerationLimits {
  /** Age at which records are synced: what a power cut may cost. */
  readonly commitMs: number;
  /** Between checkpoints: what a resume has to replay. */
  readonly checkpointMs: number;
  readonly segmentBytesMax: number;
  /** Of each of the two buffers that hold what the disk has not taken. */
  readonly bufferBytes: number;
  /** Between attempts to go on after a failure. */
  readonly retryMs: number;
  /** Space that must be free before journaling begins again. */
  readonly freeBytesMin: number;
  readonly hasCatalogue: boolean;
}

export const KEEPER_DEFAULTS: KeeperSettings = {
  commitMs: 1000,
  checkpointMs: 300_000,
  checkpointsMax: 64,
  journalBytesMax: 1024 ** 3,
  journalSecondsMax: Infinity,
  segmentBytesMax: 16 * 1024 ** 2,
  bufferBytes: 2 * 1024 ** 2,
  retryMs: 10_000,
  freeBytesMin: 16 * 1024 ** 2,
  hasCatalogue: true,
};

/** What the keeper has to do with the rest of the world. */
export interface KeeperWorld {
  readonly files: Files;
  readonly ring: RingLayout;
  /** See acknowledged.ts. */
  readonly acknowledged: SharedArrayBuffer;
  readonly sequenceOffset: number;
  /** @returns the arena as it is between two records, in memory that nobody changes; undefined if it cannot be had */
  snapshot(): Promise<Uint8Array | undefined>;
  /** Hands over, by `addEvent` and `describe`, what came before the records that are about to be taken. */
  takeNotes(): void;
  /** Something to tell the user. */
  notify(notice: KeeperNotice): void;
  /** Monotonic, in microseconds: the clock of the records. */
  nowUs(): number;
}

export interface KeeperNotice {
  readonly kind:
    'journalLost' | 'journalBack' | 'checkpointFailed' | 'catalogueFailed' | 'removalFailed' | 'checkpoint';
  /** A sentence. */
  readonly text: string;
  readonly sequence: number;
}

export interface KeeperResult {
  /** Sequence number of the last record that is safe from a power cut. */
  readonly sequence: number;
  /** Why not everything is, if it is not. */
  readonly error: string | undefined;
  /** Written by this keeper. */
  readonly journalBytes: number;
  readonly checkpointBytes: number;
}

/** A resume after more than this takes a while: a checkpoint is taken at once. */
const REPLAYED_RECORDS_MAX = 50_000;
/** Events that wait for the journal to come back; the oldest go. */
const PENDING_EVENTS_MAX = 256;
/** From 10 s to 10 minutes. */
const RETRY_DOUBLINGS_MAX = 6;
/** A snapshot for a new epoch must have taken all records that went by unseen. */
const EPOCH_SNAPSHOTS_MAX = 100;

type Note = Omit<StoreEvent, 'index'>;

export class Keeper {
  readonly #start: KeeperStart;
  readonly #settings: KeeperSettings;
  readonly #world: KeeperWorld;
  readonly #paths: ReturnType<typeof pathsOf>;
  readonly #reader: RingReader;
  /** Bit patterns of the ring's values. */
  readonly #values: Uint32Array;
  readonly #acknowledged: Int32Array;
  readonly #startedUs: number;
  readonly #catalogue: GuardedCatalogue;
  readonly #generations: Generations;

  #journal: JournalWriter | undefined;
  #classes: readonly string[];
  #epoch: number;
  /** The one that ended when the journal was lost. */
  #lostEpoch = 0;
  #pending: Note[] = [];
  #failure: string | undefined;

  /** Last record that the journal has taken, that was handed to the system, and that was handed to the disk. */
  #taken: number;
  #written: number;
  #synced: number;
  /** A hole in the journal that no checkpoint covers yet: nothing after it is safe. */
  #uncovered = false;
  #unsyncedSinceUs = Infinity;
  #syncing: Promise<void> | undefined;
  /** One at a time: there is one buffer for snapshots. */
  #checkpointing: Promise<boolean> | undefined;
  #checkpointDueUs: number;
  #returning: Promise<void> | undefined;
  #retryDueUs = 0;
  #retries = 0;
  #journalBytes = 0;
  #checkpointBytes = 0;

  private constructor(start: KeeperStart, settings: KeeperSettings, world: KeeperWorld) {
    this.#start = start;
    this.#settings = settings;
    this.#world = world;
    this.#paths = pathsOf(start.directory);
    this.#reader = new RingReader(world.ring, READER.keeper);
    const { values } = this.#reader;
    this.#values = new Uint32Array(world.ring.buffer, values.byteOffset, values.length);
    this.#acknowledged = new Int32Array(world.acknowledged);
    this.#startedUs = world.nowUs();
    this.#generations = new Generations(world.files, this.#paths, settings, start.checkpoint);
    this.#catalogue = new GuardedCatalogue(this.#paths, (text) => {
      world.notify({ kind: 'catalogueFailed', text, sequence: this.#taken });
    });
    this.#classes = start.classes;
    this.#epoch = start.epoch;
    this.#taken = this.#written = this.#synced = start.sequence;
    const soon = start.records > REPLAYED_RECORDS_MAX ? 0 : settings.checkpointMs;
    this.#checkpointDueUs = this.#startedUs + 1000 * soon;
  }

  /**
   * Begins a session after what is there. The ring's keeper is attached from the start, and its first record follows
   * the start's. A disk that fails here is as one that fails later.
   */
  static async start(start: KeeperStart, settings: KeeperSettings, world: KeeperWorld): Promise<Keeper> {
    const keeper = new Keeper(start, settings, world);
    keeper.#acknowledge(SAFE_FROM.crash, start.sequence);
    keeper.#acknowledge(SAFE_FROM.powerCut, start.sequence);
    if (settings.hasCatalogue) keeper.#catalogue.open(start.events);
    try {
      keeper.#install(await keeper.#newSession(start.startSha256));
    } catch (error) {
      keeper.#lose((error as EdgeloopError).message);
    }
    return keeper;
  }

  /** Whether there is nothing to do until somebody signals, or until `dueMs`. */
  get isIdle(): boolean {
    return this.#unsyncedSinceUs === Infinity && this.#reader.available() === 0;
  }

  /** Milliseconds until something is due by itself. */
  get dueMs(): number {
    const syncUs = this.#unsyncedSinceUs + 1000 * this.#settings.commitMs;
    const retryUs = this.#journal === undefined ? this.#retryDueUs : Infinity;
    return Math.max(0, Math.min(syncUs, retryUs, this.#checkpointDueUs) - this.#world.nowUs()) / 1000;
  }

  /** Where this keeper's LATE lies among the control words of the ring. */
  get late(): number {
    return this.#reader.late;
  }

  /** Bytes handed to files by this keeper, the catalogue not counted. */
  get bytes(): Pick<KeeperResult, 'journalBytes' | 'checkpointBytes'> {
    const journalBytes = this.#journalBytes + (this.#journal?.bytesWritten ?? 0);
    return { journalBytes, checkpointBytes: this.#checkpointBytes };
  }

  /** Takes what is published, hands it to the system, and begins what is due. Never waits. */
  work(): void {
    this.#drain();
    const nowUs = this.#world.nowUs();
    if (this.#journal !== undefined) {
      this.#write(this.#journal);
      const syncDue = nowUs >= this.#unsyncedSinceUs + 1000 * this.#settings.commitMs;
      if (syncDue && this.#syncing === undefined) this.#syncing = this.#sync(this.#journal);
    } else if (nowUs >= this.#retryDueUs && this.#returning === undefined) {
      this.#returning = this.#return().finally(() => (this.#returning = undefined));
    }
    if (nowUs >= this.#checkpointDueUs) void this.checkpoint();
  }

  /** Notes something that happened, after the last record taken. */
  addEvent(kind: string, detail: StoreEvent['detail'] = {}): void {
    this.#note({ kind, sequence: this.#taken, at: wallTime(), detail });
  }

  /** Names of the classes, before the first record that needs them. */
  describe(classes: readonly string[]): void {
    this.#classes = classes;
    if (this.#journal === undefined) return; // the next session says so
    this.#journal.describe(classes);
    this.#unsyncedNow();
  }

  /** Takes a checkpoint now, unless there is nothing new. @returns when it is on the disk, or has failed and said so */
  async checkpoint(): Promise<void> {
    await (this.#checkpointing ?? this.#beginCheckpoint());
  }

  /** Ends the session: all records published are in the journal, and all they did in a checkpoint. */
  async stop(): Promise<KeeperResult> {
    await Promise.allSettled([this.#checkpointing, this.#returning]);
    this.#drain();
    this.addEvent('stopped');
    const hasJournal = this.#journal !== undefined;
    const covered = await this.#takeCheckpoint();
    try {
      await this.#journal?.close();
    } catch {
      // it has said so by `onFailure`
    }
    await this.#catalogue.close();
    const isSafe = covered || (hasJournal && this.#failure === undefined);
    const sequence = isSafe ? this.#taken : this.#generations.newest.sequence;
    return { sequence, error: isSafe ? undefined : this.#failure, ...this.bytes };
  }

  // --- Records and events

  #drain(): void {
    // In this order: what was noted before a record was published is known by now.
    const count = this.#reader.available();
    this.#world.takeNotes();
    const journal = this.#journal;
    if (journal === undefined || count === 0) return;
    const taken = journal.takeRecords(this.#reader, this.#values, count);
    this.#taken = journal.sequence;
    this.#unsyncedNow();
    if (taken < count) this.#lose(`${this.#paths.journal}: the disk does not keep up.`);
  }

  #note(note: Note): void {
    const journal = this.#journal;
    if (journal === undefined) {
      this.#pending.push(note);
      if (this.#pending.length > PENDING_EVENTS_MAX) this.#pending.shift();
      return;
    }
    const event = { ...journal.takeEvent(note), session: journal.session };
    this.#unsyncedNow();
    this.#catalogue.do((catalogue) => catalogue.addEvent(event));
  }

  #unsyncedNow(): void {
    if (this.#unsyncedSinceUs === Infinity) this.#unsyncedSinceUs = this.#world.nowUs();
  }

  // --- The journal

  #newSession(startSha256: string): Promise<JournalWriter> {
    const { files, nowUs, ring } = this.#world;
    const { identity } = this.#start;
    const description: JournalDescription = {
      ...identity,
      configSha256: configDigest(identity),
      classes: this.#classes,
      epoch: this.#epoch,
      firstSequence: this.#taken + 1,
      startSha256,
      runSeconds: this.#runSeconds(),
      startedTimeUs: nowUs(),
      startedAt: wallTime(),
    };
    const { segmentBytesMax, bufferBytes } = this.#settings;
    return JournalWriter.create(description, {
      files,
      directory: this.#paths.journal,
      segmentBytesMax,
      bufferBytes,
      columns: ring.columns,
      runSeconds: () => this.#runSeconds(),
    });
  }

  #install(journal: JournalWriter): void {
    this.#journal = journal;
    // One that was given up may fail once more when it is closed.
    journal.onFailure = (error) => void (journal === this.#journal && this.#lose(error.message));
  }

  #write(journal: JournalWriter): void {
    const { sequence } = journal;
    if (sequence === this.#written) return;
    this.#written = sequence;
    const acknowledge = (): void => {
      if (journal === this.#journal && !this.#uncovered) this.#acknowledge(SAFE_FROM.crash, sequence);
    };
    journal.flush().then(acknowledge, () => {}); // reported by onFailure
  }

  async #sync(journal: JournalWriter): Promise<void> {
    const { sequence } = journal;
    this.#unsyncedSinceUs = Infinity;
    try {
      await journal.sync();
      if (journal !== this.#journal) return;
      this.#synced = sequence;
      if (!this.#uncovered) this.#acknowledgeAll(sequence);
    } catch {
      // reported by onFailure
    } finally {
      this.#syncing = undefined;
    }
  }

  /** The disk has failed: learning goes on without a journal. */
  #lose(reason: string): void {
    const journal = this.#journal;
    if (journal === undefined && this.#failure !== undefined) return;
    this.#reader.detach();
    this.#journal = undefined;
    this.#lostEpoch = this.#epoch;
    this.#failure = reason;
    this.#unsyncedSinceUs = Infinity;
    this.#retryLater();
    this.#journalBytes += journal?.bytesWritten ?? 0;
    if (journal !== undefined) {
      this.#generations.endSession(journal.segments);
      void journal.close().catch(() => {}); // whatever it still takes is as good as lost
    }
    this.addEvent('journalLost', { reason });
    this.#world.notify({
      kind: 'journalLost',
      text: `Journaling has stopped: ${reason}`,
      sequence: this.#taken,
    });
  }

  /** Tries to go on after a failure, with a new session and a new epoch. */
  async #return(): Promise<void> {
    try {
      const { files } = this.#world;
      const free = await files.freeBytes(this.#paths.journal);
      if (free < this.#settings.freeBytesMin) throw new Error(`${free} bytes are free`);
      this.#epoch = this.#lostEpoch + 1;
      const journal = await this.#newSession('');
      while (this.#checkpointing) await this.#checkpointing;
      const head = this.#reader.attach();
      this.#uncovered = true;
      this.#install(journal);
      this.#failure = undefined;
      if (!(await this.#beginCheckpoint(head))) throw new Error('no checkpoint could be taken');
      if (journal !== this.#journal) return; // lost again meanwhile
      this.#uncovered = false;
      this.#retries = 0;
      this.addEvent('journalBack');
      for (const note of this.#pending.splice(0)) this.#note(note);
      const text = 'Journaling goes on in a new epoch; what was learned in between is in a checkpoint.';
      this.#world.notify({ kind: 'journalBack', text, sequence: this.#taken });
    } catch (error) {
      if (this.#journal === undefined) this.#retryLater();
      else this.#lose((error as Error).message);
    }
  }

  /** Less and less often: each attempt on a failing disk may leave an empty file. */
  #retryLater(): void {
    const waitMs = this.#settings.retryMs * 2 ** Math.min(this.#retries++, RETRY_DOUBLINGS_MAX);
    this.#retryDueUs = this.#world.nowUs() + 1000 * waitMs;
  }

  // --- Checkpoints

  #beginCheckpoint(head?: number): Promise<boolean> {
    this.#checkpointDueUs = Infinity;
    this.#checkpointing = this.#takeCheckpoint(head).finally(() => {
      this.#checkpointing = undefined;
      this.#checkpointDueUs = this.#world.nowUs() + 1000 * this.#settings.checkpointMs;
    });
    return this.#checkpointing;
  }

  /**
   * @param head low word of the first record after a hole, which the checkpoint must cover
   * @returns whether everything up to now, or up to the hole, is in a checkpoint
   */
  async #takeCheckpoint(head?: number): Promise<boolean> {
    try {
      const arena = await this.#coveringSnapshot(head);
      if (arena === undefined) throw new Error('the learner gives no snapshot');
      const sequence = sequenceOf(arena, this.#world.sequenceOffset);
      if (head === undefined && sequence === this.#generations.newest.sequence) return true;
      const journal = this.#journal;
      if (journal !== undefined) await this.#syncUpTo(journal, sequence);
      const number = this.#generations.nextNumber();
      const whole = { number, sequence, description: this.#description(sequence, journal), arena };
      await writeCheckpoint(this.#world.files, this.#paths.checkpoints, whole);
      const bytes = this.#generations.add({ number, sequence });
      this.#checkpointBytes += bytes;
      this.#taken = Math.max(this.#taken, sequence);
      this.#catalogue.do((catalogue) => catalogue.addCheckpoint(whole, bytes));
      this.#acknowledgeAll(Math.max(sequence, this.#uncovered ? 0 : this.#synced));
      this.#world.notify({ kind: 'checkpoint', text: checkpointName(number), sequence });
    } catch (error) {
      const text = `No checkpoint (${(error as Error).message}). What was there before is kept.`;
      this.#world.notify({ kind: 'checkpointFailed', text, sequence: this.#taken });
      return false;
    }
    await this.#removeOld().catch((error: Error) => {
      const text = `Old files stay for now (${error.message}).`;
      this.#world.notify({ kind: 'removalFailed', text, sequence: this.#taken });
    });
    return true;
  }

  async #coveringSnapshot(head: number | undefined): Promise<Uint8Array | undefined> {
    for (let attempt = 0; attempt < EPOCH_SNAPSHOTS_MAX; attempt++) {
      const arena = await this.#world.snapshot();
      this.#drain();
      if (arena === undefined || head === undefined) return arena;
      const next = (sequenceOf(arena, this.#world.sequenceOffset) + 1) | 0;
      if (((next - head) | 0) >= 0) return arena;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return undefined;
  }

  /** The learner may be ahead: what it has taken is in the ring, and goes to the disk first. */
  async #syncUpTo(journal: JournalWriter, sequence: number): Promise<void> {
    this.#drain();
    if (journal.sequence < sequence && !this.#uncovered) {
      throw new Error(`the learner has taken record ${sequence}, and the ring has ${journal.sequence}`);
    }
    this.#written = Math.max(this.#written, journal.sequence);
    await this.#sync(journal);
    if (journal !== this.#journal) throw new Error(this.#failure);
  }

  #description(sequence: number, journal: JournalWriter | undefined): CheckpointDescription {
    const { identity } = this.#start;
    return {
      ...identity,
      configSha256: configDigest(identity),
      classes: this.#classes,
      epoch: this.#epoch,
      session: journal?.session ?? '',
      // Without a journal the next session is the first that can have it.
      segment: journal?.segmentOf(sequence + 1) ?? this.#generations.nextSegment(),
      runSeconds: this.#runSeconds(),
      takenAt: wallTime(),
    };
  }

  async #removeOld(): Promise<void> {
    for (const number of await this.#generations.thinCheckpoints()) {
      this.#catalogue.do((catalogue) => catalogue.removeCheckpoint(number));
    }
    if (this.#journal === undefined || this.#catalogue.isRebuilding) return;
    await this.#generations.removeSegments(this.#journal.segments, this.#runSeconds());
  }

  // --- Small things

  #acknowledge(safeFrom: number, sequence: number): void {
    if (sequence > acknowledged(this.#acknowledged, safeFrom))
      acknowledge(this.#acknowledged, safeFrom, sequence);
  }

  #acknowledgeAll(sequence: number): void {
    for (const safeFrom of Object.values(SAFE_FROM)) this.#acknowledge(safeFrom, sequence);
  }

  #runSeconds(): number {
    return this.#start.runSeconds + (this.#world.nowUs() - this.#startedUs) / 1e6;
  }
}

function wallTime(): string {
  return new Date().toISOString();
}
