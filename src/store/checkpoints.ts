/**
 * Checkpoints: whole arenas, each with the sequence number of the last record in it and what gives it its meaning.
 * Layout and promises: FORMAT.md, "Checkpoints".
 *
 * A file appears whole or not at all (temporary, fdatasync, rename, fsync of the directory). Any change of any byte is
 * found by the SHA-256 at its end.
 */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { Files } from './files.ts';
import { DESCRIPTION_BYTES_MAX, formatError } from './segments.ts';
import { readUint64, writeUint64 } from './varint.ts';

const MAGIC = 'ELOOPCKP';
export const CHECKPOINT_VERSION = 1;
const HEADER_BYTES = 32;
const DIGEST_BYTES = 32;
const AT = { magic: 0, version: 8, description: 12, sequence: 16, arena: 24 } as const;

/** What gives numbers their meaning: records and arenas of equal identity fit each other. */
export interface ModelIdentity {
  /** Version of the engine's arithmetic. */
  readonly arithmetic: string;
  /** All that decides what a record does to the arena, and where things lie in it. */
  readonly config: object;
}

export interface CheckpointDescription extends ModelIdentity {
  readonly configSha256: string;
  readonly classes: readonly string[];
  /** Rises when the journal has a hole; within one, every checkpoint can be computed from the one before. */
  readonly epoch: number;
  /** Session and number of the journal's segment that holds the record after this state, or will. */
  readonly session: string;
  readonly segment: number;
  /** How long this model has been learning, over all its runs: what ages are counted in, since clocks jump. */
  readonly runSeconds: number;
  /** Wall time, ISO 8601, for people. */
  readonly takenAt: string;
}

export interface Checkpoint {
  readonly path: string;
  readonly number: number;
  /** Of the last record that the arena has taken. */
  readonly sequence: number;
  readonly description: CheckpointDescription;
  readonly arena: Uint8Array;
}

/** A file that cannot be used, and why: a half sentence. */
export interface Rejected {
  readonly path: string;
  readonly reason: string;
}

export function checkpointName(number: number): string {
  return `${String(number).padStart(10, '0')}.ckpt`;
}

/** @returns the numbers of the checkpoints in a directory, ascending */
export function checkpointNumbers(names: readonly string[]): number[] {
  return names
    .map((name) => Number(/^(\d{10})\.ckpt$/.exec(name)?.[1] ?? 0))
    .filter((number) => number > 0)
    .sort((a, b) => a - b);
}

export function configDigest({ config }: ModelIdentity): string {
  return createHash('sha256').update(JSON.stringify(config)).digest('hex');
}

/**
 * Writes a checkpoint; on return it is on the disk, and so is its name.
 * @param arena in memory that nobody changes meanwhile
 * @throws what the system says; then there is no such checkpoint
 */
export async function writeCheckpoint(
  files: Files,
  directory: string,
  { number, sequence, description, arena }: Omit<Checkpoint, 'path'>,
): Promise<void> {
  const bytes = encodeCheckpoint(sequence, description, arena);
  const temporary = join(directory, `.${checkpointName(number)}.tmp`);
  const file = await files.create(temporary);
  try {
    try {
      for (let from = 0; from < bytes.length;) from += await file.write(bytes, from, bytes.length - from);
      await file.datasync();
    } finally {
      await file.close();
    }
    await files.rename(temporary, join(directory, checkpointName(number)));
  } catch (error) {
    await files.unlink(temporary).catch(() => {}); // the first error is the one to report
    throw error;
  }
  await files.syncDirectory(directory);
}

function encodeCheckpoint(
  sequence: number,
  description: CheckpointDescription,
  arena: Uint8Array,
): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(description));
  if (text.length > DESCRIPTION_BYTES_MAX) throw new RangeError(`description of ${text.length} bytes`);
  const bytes = new Uint8Array(HEADER_BYTES + text.length + arena.length + DIGEST_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(Buffer.from(MAGIC, 'latin1'), AT.magic);
  view.setUint16(AT.version, CHECKPOINT_VERSION, true);
  view.setUint32(AT.description, text.length, true);
  writeUint64(view, AT.sequence, sequence);
  writeUint64(view, AT.arena, arena.length);
  bytes.set(text, HEADER_BYTES);
  bytes.set(arena, HEADER_BYTES + text.length);
  const end = bytes.length - DIGEST_BYTES;
  bytes.set(createHash('sha256').update(bytes.subarray(0, end)).digest(), end);
  return bytes;
}

/**
 * @returns the checkpoint, or why there is none to be had
 * @throws EdgeloopError ELOOP_FORMAT if it is whole and of a version that is not known: not to be passed over
 */
export function readCheckpoint(directory: string, number: number): Checkpoint | Rejected {
  const path = join(directory, checkpointName(number));
  const bytes = readWhole(path);
  if (typeof bytes === 'string') return { path, reason: bytes };
  const view = new DataView(bytes.buffer);
  const end = bytes.length - DIGEST_BYTES;
  const digest = createHash('sha256').update(bytes.subarray(0, end)).digest();
  if (!digest.equals(bytes.subarray(end))) return { path, reason: 'it fails its checksum' };
  const version = view.getUint16(AT.version, true);
  if (version !== CHECKPOINT_VERSION) {
    const remedy = 'Use the edgeloop that wrote it, or a newer one; nothing was changed.';
    throw formatError(
      path,
      `expected a checkpoint of version ${CHECKPOINT_VERSION}, got version ${version}. ${remedy}`,
    );
  }
  const arenaStart = HEADER_BYTES + view.getUint32(AT.description, true);
  const sequence = readUint64(view, AT.sequence);
  if (arenaStart + readUint64(view, AT.arena) !== end || !(sequence >= 0)) {
    return { path, reason: 'its sizes do not add up' };
  }
  const description = parseDescription(bytes.subarray(HEADER_BYTES, arenaStart));
  if (description === undefined) return { path, reason: 'its description breaks the rules of FORMAT.md' };
  return { path, number, sequence, description, arena: bytes.subarray(arenaStart, end) };
}

/** @returns the content; or why not. Nothing is taken for a file that is not of the size it claims. */
function readWhole(path: string): Uint8Array<ArrayBuffer> | string {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const { size } = fstatSync(file);
    const header = new Uint8Array(HEADER_BYTES);
    const got = readSync(file, header, 0, HEADER_BYTES, 0);
    if (got < HEADER_BYTES) return 'it ends within its header';
    if (Buffer.from(header.subarray(0, MAGIC.length)).toString('latin1') !== MAGIC) {
      return 'it does not begin as a checkpoint';
    }
    const view = new DataView(header.buffer);
    const textBytes = view.getUint32(AT.description, true);
    const claimed = HEADER_BYTES + textBytes + readUint64(view, AT.arena) + DIGEST_BYTES;
    if (claimed !== size) return `its header says ${claimed} bytes, there are ${size}`;
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size;) {
      const count = readSync(file, bytes, at, size - at, at);
      if (count === 0) return 'it ended while it was read';
      at += count;
    }
    return bytes;
  } catch (cause) {
    return `it cannot be read (${(cause as NodeJS.ErrnoException).code ?? String(cause)})`;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function parseDescription(text: Uint8Array): CheckpointDescription | undefined {
  try {
    const found = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text)) as CheckpointDescription;
    const sound =
      typeof found.arithmetic === 'string' &&
      typeof found.config === 'object' &&
      found.config !== null &&
      found.configSha256 === configDigest(found) &&
      Array.isArray(found.classes) &&
      found.classes.every((name) => typeof name === 'string') &&
      typeof found.session === 'string' &&
      [found.epoch, found.segment, found.runSeconds].every(Number.isFinite);
    return sound ? found : undefined;
  } catch {
    return undefined;
  }
}

/** Checkpoints this new are all kept; in each doubling of age beyond, half as many. */
const RECENT = 8;

/**
 * Thins generations with age: dense where one looks for the state before a mistake, sparse far back. Only numbers
 * count, no clock: age is how many were taken since.
 * @param numbers ascending
 * @param countMax the oldest beyond this go
 * @returns those to keep
 */
export function keptCheckpoints(numbers: readonly number[], countMax: number): number[] {
  const newest = numbers.at(-1) ?? 0;
  const kept = numbers.filter((number) => {
    let spacing = 1;
    while (newest - number >= RECENT * spacing) spacing *= 2;
    return number % spacing === 0;
  });
  return kept.slice(-countMax);
}
