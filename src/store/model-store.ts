/**
 * A model's directory, from the start of a run to the keeper's: lock, last good checkpoint, exact resume.
 *
 *     <model>/lock                       who is at work here
 *     <model>/checkpoints/*.ckpt         whole arenas, thinned with age
 *     <model>/journal/*.seg              the records, from some checkpoint on
 *     <model>/catalogue.sqlite           what happened, for people; made anew from the other two when it is damaged
 *
 *     open ──> found: config, classes ──> resume(model) ──> begin ──> the keeper has it (keeper.ts) ──> close
 */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { EdgeloopError } from '../errors.ts';
import {
  type Checkpoint,
  type ModelIdentity,
  type Rejected,
  checkpointNumbers,
  configDigest,
  readCheckpoint,
  writeCheckpoint,
} from './checkpoints.ts';
import { type DirectoryLock, lockDirectory } from './directory-lock.ts';
import { type Files, systemFiles } from './files.ts';
import {
  type Apply,
  type PlacedEvent,
  type SegmentInfo,
  replayJournal,
  scanJournal,
  voidFrom,
} from './journal.ts';
import { type Cut, segmentName } from './segments.ts';

export function pathsOf(directory: string) {
  const root = resolve(directory);
  return {
    root,
    journal: join(root, 'journal'),
    checkpoints: join(root, 'checkpoints'),
    catalogue: join(root, 'catalogue.sqlite'),
  };
}

/** A model as the store sees it: an arena, and what takes records into it. */
export interface StoredModel {
  readonly identity: ModelIdentity;
  /** All that is saved; views of the model lie over the same memory. As a new model has it when it is given. */
  readonly arena: Uint8Array;
  /** Byte in the arena where the sequence number of the last record taken stands, two u32, low first; 0: none yet. */
  readonly sequenceOffset: number;
  readonly apply: Apply;
}

export interface Resumed {
  /** Number of the checkpoint, undefined if the model is new or the journal goes back to its beginning. */
  readonly checkpoint: number | undefined;
  /** Whether there was nothing before. */
  readonly isNew: boolean;
  /** Sequence number of the last record in the arena; the next one has the number after it. */
  readonly sequence: number;
  /** Records replayed after the checkpoint. */
  readonly records: number;
  readonly classes: readonly string[];
  readonly epoch: number;
  readonly runSeconds: number;
  /** Damage met in the journal; cuts of 0 bytes at the end are the mark of a writer that was killed. */
  readonly cuts: readonly Cut[];
  /** Checkpoints that should have been newer and cannot be used. */
  readonly rejected: readonly Rejected[];
  /** Met on the way. */
  readonly events: readonly PlacedEvent[];
}

/** What a keeper starts from. */
export interface KeeperStart {
  readonly directory: string;
  readonly identity: ModelIdentity;
  readonly classes: readonly string[];
  readonly sequence: number;
  readonly epoch: number;
  readonly runSeconds: number;
  readonly startSha256: string;
  /** The newest checkpoint, and the records since then. */
  readonly checkpoint: { readonly number: number; readonly sequence: number };
  readonly records: number;
  /** What the catalogue may have missed. */
  readonly events: readonly PlacedEvent[];
}

/** The sequence number that an arena says it has taken last. */
export function sequenceOf(arena: Uint8Array, sequenceOffset: number): number {
  const view = new DataView(arena.buffer, arena.byteOffset + sequenceOffset, 8);
  return view.getUint32(4, true) * 4_294_967_296 + view.getUint32(0, true);
}

export class ModelStore {
  readonly directory: string;
  /** The newest checkpoint that can be used: with whose config the model is to be opened. */
  readonly found: Checkpoint | undefined;
  /** Newer ones that cannot. */
  readonly rejected: readonly Rejected[];
  readonly #files: Files;
  readonly #lock: DirectoryLock;
  readonly #segments: readonly SegmentInfo[];
  #resumed: Resumed | undefined;

  private constructor(
    files: Files,
    directory: string,
    lock: DirectoryLock,
    segments: readonly SegmentInfo[],
    newest: { found: Checkpoint | undefined; rejected: readonly Rejected[] },
  ) {
    this.#files = files;
    this.directory = directory;
    this.#lock = lock;
    this.#segments = segments;
    this.found = newest.found;
    this.rejected = newest.rejected;
  }

  /**
   * Takes the directory, which is made if need be, and looks what is there.
   * @throws EdgeloopError ELOOP_STORE if another process has it or it cannot be written, ELOOP_FORMAT if a newer
   *   edgeloop wrote it
   */
  static async open(directory: string, files: Files = systemFiles): Promise<ModelStore> {
    const paths = pathsOf(directory);
    for (const path of [paths.root, paths.journal, paths.checkpoints]) await makeDurably(files, path);
    const lock = await lockDirectory(paths.root);
    try {
      for (const name of readdirSync(paths.checkpoints)) {
        if (name.endsWith('.tmp')) await files.unlink(join(paths.checkpoints, name));
      }
      const segments = scanJournal(paths.journal);
      return new ModelStore(files, paths.root, lock, segments, newestOf(paths.checkpoints, segments));
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /**
   * Brings the model to where the last run was: the checkpoint, then the records after it.
   * @param model of the identity of `found`, if there is one
   * @throws EdgeloopError ELOOP_STORE if it is of another, or nothing that is there can be used
   */
  async resume(model: StoredModel): Promise<Resumed> {
    const { found } = this;
    if (found !== undefined) this.#load(found, model);
    const segments = found === undefined ? this.#fromTheBeginning(model) : this.#from(found);
    const start = sequenceOf(model.arena, model.sequenceOffset);
    const digest = { arithmetic: model.identity.arithmetic, configSha256: configDigest(model.identity) };
    const replayed = replayJournal(pathsOf(this.directory).journal, segments, start, digest, model.apply);
    if (replayed.records > 0) requireTaken(model, replayed.sequence);
    await this.#makeDurable();
    const isNew = found === undefined && replayed.description === undefined;
    this.#resumed = {
      checkpoint: found?.number,
      isNew,
      sequence: replayed.sequence,
      records: replayed.records,
      classes: longer(found?.description.classes, replayed.description?.classes),
      epoch: Math.max(found?.description.epoch ?? 1, replayed.description?.epoch ?? 1),
      runSeconds: Math.max(
        found?.description.runSeconds ?? 0,
        (replayed.description?.runSeconds ?? 0) + Math.max(0, replayed.sessionSeconds),
      ),
      cuts: replayed.cuts,
      rejected: this.rejected,
      events: replayed.events,
    };
    return this.#resumed;
  }

  /**
   * Makes the state of the arena the one that a session starts from. Where a checkpoint has to say so (a new model, or
   * one whose config has changed since `found`), it is on the disk on return.
   * @throws what the system says
   */
  async begin({ identity, arena, sequenceOffset }: StoredModel): Promise<KeeperStart> {
    const resumed = this.#resumed!;
    const { found } = this;
    const start = {
      directory: this.directory,
      identity,
      classes: resumed.classes,
      sequence: sequenceOf(arena, sequenceOffset),
      epoch: resumed.epoch,
      runSeconds: resumed.runSeconds,
      startSha256: createHash('sha256').update(arena.slice()).digest('hex'),
      records: resumed.records,
      events: resumed.events,
    };
    const digest = configDigest(identity);
    if (found?.description.configSha256 === digest) {
      return { ...start, checkpoint: { number: found.number, sequence: found.sequence } };
    }
    const { checkpoints } = pathsOf(this.directory);
    const number = (checkpointNumbers(readdirSync(checkpoints)).at(-1) ?? 0) + 1;
    const description = {
      ...identity,
      configSha256: digest,
      classes: start.classes,
      epoch: start.epoch,
      // The keeper's first segment; no segment of this session is there yet.
      session: '',
      segment: (this.#segments.at(-1)?.number ?? 0) + 1,
      runSeconds: start.runSeconds,
      takenAt: new Date().toISOString(),
    };
    const whole = { number, sequence: start.sequence, description, arena: arena.slice() };
    await writeCheckpoint(this.#files, checkpoints, whole);
    return { ...start, records: 0, checkpoint: { number, sequence: start.sequence } };
  }

  /** Lets others have the directory. The keeper must have ended. */
  close(): void {
    this.#lock.release();
  }

  #load({ path, arena, sequence, description }: Checkpoint, model: StoredModel): void {
    const { identity } = model;
    const remedy =
      'Go back to the config and the edgeloop that it was learned with, or start anew with --fresh.';
    const refuse = (expected: string, got: string): EdgeloopError =>
      new EdgeloopError('ELOOP_STORE', `${path}: expected ${expected}, got ${got}. ${remedy}`);
    if (description.arithmetic !== identity.arithmetic) {
      throw refuse(`arithmetic version ${identity.arithmetic}`, `version ${description.arithmetic}`);
    }
    if (description.configSha256 !== configDigest(identity)) {
      throw refuse(
        'the config of this model',
        `another one: ${differing(description.config, identity.config)}`,
      );
    }
    if (arena.length !== model.arena.length) {
      throw refuse(`an arena of ${model.arena.length} bytes`, `${arena.length}`);
    }
    if (sequenceOf(arena, model.sequenceOffset) !== sequence) {
      throw refuse(`record ${sequence} as its last`, `${sequenceOf(arena, model.sequenceOffset)}`);
    }
    model.arena.set(arena);
  }

  /** Segments with records after the checkpoint; what sessions before its own say does not count any more. */
  #from({ description: { segment } }: Checkpoint): readonly SegmentInfo[] {
    return this.#segments.filter(({ number }) => number >= segment);
  }

  /** Without a checkpoint the journal must begin with the first record, learned from the arena that a new model has. */
  #fromTheBeginning(model: StoredModel): readonly SegmentInfo[] {
    const first = this.#segments.find((segment) => segment.first !== undefined);
    if (first === undefined && this.rejected.length === 0) return [];
    const start = createHash('sha256').update(model.arena.slice()).digest('hex');
    const begins =
      first?.first?.sequence === first?.description?.firstSequence &&
      first?.description?.startSha256 === start;
    if (first !== undefined && begins) return this.#segments.filter(({ number }) => number >= first.number);
    const damaged =
      this.rejected.map(({ path, reason }) => `${path}: ${reason}`).join('; ') || 'there is none';
    throw new EdgeloopError(
      'ELOOP_STORE',
      `${this.directory}: expected a good checkpoint, got none (${damaged}), and the journal does not go back ` +
        'to the beginning. Restore a backup, or start anew with --fresh, which keeps what is there.',
    );
  }

  /**
   * What a killed program wrote is not on the disk for that. New records must not rest on what a power cut may still
   * take: so it is synced before anything is added.
   */
  async #makeDurable(): Promise<void> {
    const { journal, checkpoints } = pathsOf(this.directory);
    const last = this.#segments.at(-1);
    if (last !== undefined) await this.#files.sync(join(journal, segmentName(last.number)));
    await this.#files.syncDirectory(journal);
    await this.#files.syncDirectory(checkpoints);
  }
}

function newestOf(
  directory: string,
  segments: readonly SegmentInfo[],
): { found: Checkpoint | undefined; rejected: readonly Rejected[] } {
  const rejected: Rejected[] = [];
  for (const number of checkpointNumbers(readdirSync(directory)).toReversed()) {
    const read = readCheckpoint(directory, number);
    if ('reason' in read) rejected.push(read);
    // A rewound model left it behind.
    else if (read.sequence < voidFrom(segments, read.description.segment, read.description.session)) {
      return { found: read, rejected };
    }
  }
  return { found: undefined, rejected };
}

async function makeDurably(files: Files, path: string): Promise<void> {
  try {
    const made = await files.makeDirectory(path);
    // Each name on the way to it.
    const top = made === undefined ? path : dirname(made);
    for (let at = path; at !== top; at = dirname(at)) await files.syncDirectory(dirname(at));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const remedy = 'See to the disk and the rights of its parent, or choose another place.';
    throw new EdgeloopError('ELOOP_STORE', `${path}: expected to make the directory, got ${code}. ${remedy}`);
  }
}

function requireTaken({ arena, sequenceOffset }: StoredModel, sequence: number): void {
  const taken = sequenceOf(arena, sequenceOffset);
  if (taken !== sequence)
    throw new Error(`the arena says that it took record ${taken}, and it was ${sequence}`);
}

/** Names of classes are only ever added. */
function longer(a: readonly string[] = [], b: readonly string[] = []): readonly string[] {
  return b.length > a.length ? b : a;
}

/** Names of the settings that differ, for a sentence. */
function differing(before: object, now: object): string {
  const [old, young] = [before, now] as Record<string, unknown>[];
  const keys = [...new Set([...Object.keys(old), ...Object.keys(young)])];
  const changed = keys.filter((key) => JSON.stringify(old[key]) !== JSON.stringify(young[key]));
  return changed.map((key) => `${key} was ${JSON.stringify(old[key])}`).join(', ') || 'in another order';
}
