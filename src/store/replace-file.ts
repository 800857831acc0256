/**
 * Replace a file so that a reader, a crash or a power cut meets the old content or the new one, never a mixture.
 *
 *   temporary, 0600 ──write──> fsync ──rename over path──> fsync of the directory
 *                                         │
 *              old content until here <───┴───> new content from here
 *
 * What is promised: when the promise is fulfilled, the new content is on the disk (as far as the disk tells the
 * truth). When it is rejected, path still holds what it held, unless the message says that only the last step
 * failed: then the new content is there but a power cut may bring the old one back.
 *
 * A writer that dies leaves its temporary behind; the next writer of the same path removes it.
 */
import fs from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { threadId } from 'node:worker_threads';
import { EdgeloopError } from '../errors.ts';
import { syncDirectory } from './files.ts';

/** The calls on one path: the last of them, and the content that waits for its turn, if one does. */
interface Queue {
  last: Promise<void>;
  waiting: Uint8Array | undefined;
}

/** By absolute path. At most one content is being written and one waits, however many calls there are. */
const queues = new Map<string, Queue>();

/**
 * Make `bytes` the content of `path`, readable by its owner alone. A symbolic link at `path` is itself replaced.
 * Calls on one path take turns. A call that still waits when a newer one comes is fulfilled by the newer content.
 * Do not change `bytes` before the promise settles.
 * @throws EdgeloopError ELOOP_STORE: the path, why, and what to do
 */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const target = resolve(path);
  const queue = queues.get(target) ?? { last: Promise.resolve(), waiting: undefined };
  queues.set(target, queue);
  const isQueued = queue.waiting !== undefined;
  queue.waiting = bytes;
  if (!isQueued) {
    const turn = () => {
      const newest = queue.waiting!;
      queue.waiting = undefined;
      return replaceNow(target, newest);
    };
    queue.last = queue.last.then(turn, turn);
  }
  return queue.last;
}

async function replaceNow(target: string, bytes: Uint8Array): Promise<void> {
  const directory = dirname(target);
  // The threads of one process share its id, so the name has both.
  const temporary = join(directory, `${temporaryPrefix(target)}${process.pid}.${threadId}.tmp`);
  let renamed = false;
  try {
    await removeLeftovers(target);
    await writeDurably(temporary, bytes);
    await fs.rename(temporary, target);
    renamed = true;
    await syncDirectory(directory);
  } catch (error) {
    // The first error is the one to report; a temporary that stays is removed by the next writer.
    if (!renamed) await fs.rm(temporary, { force: true }).catch(() => {});
    throw storeError(target, error as NodeJS.ErrnoException, renamed);
  }
}

async function writeDurably(temporary: string, bytes: Uint8Array): Promise<void> {
  const file = await fs.open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

// --- Leftovers -------------------------------------------------------------------------------------------------

function temporaryPrefix(target: string): string {
  return `.${basename(target)}.`;
}

/** Remove the temporaries of this path whose writer is dead, and our own of an earlier life with the same id. */
async function removeLeftovers(target: string): Promise<void> {
  const directory = dirname(target);
  const prefix = temporaryPrefix(target);
  for (const name of await fs.readdir(directory)) {
    if (!name.startsWith(prefix)) continue;
    const writer = /^(\d+)\.(\d+)\.tmp$/.exec(name.slice(prefix.length));
    if (writer === null || isAlive(Number(writer[1]), Number(writer[2]))) continue;
    await fs.rm(join(directory, name), { force: true });
  }
}

/** Our own thread is here, not in the middle of a write; of another thread of ours we cannot tell. */
function isAlive(processId: number, thread: number): boolean {
  if (processId === process.pid) return thread !== threadId;
  try {
    return process.kill(processId, 0); // asks, sends nothing
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // alive, but another user's
  }
}

// --- Errors ----------------------------------------------------------------------------------------------------

/** What the system's error code means for a user, and what to do about it. */
const REASONS: Readonly<Record<string, readonly [reason: string, remedy: string]>> = {
  ENOSPC: ['the disk is full', 'Free some space there.'],
  EDQUOT: ['the disk quota is used up', 'Free some space there, or raise the quota.'],
  EACCES: ['no access to the directory', 'Let the user that runs edgeloop read and write the directory.'],
  EPERM: ['the system does not permit it', 'Let the user that runs edgeloop read and write the directory.'],
  EROFS: ['the file system is read-only', 'Choose a path on a writable one, or mount it writable.'],
  ENOENT: ['the directory is missing, or takes no files', 'Create it, or choose another path.'],
  ENOTDIR: ['a part of the path is not a directory', 'Choose another path.'],
  EISDIR: ['there is a directory of this name', 'Choose another path.'],
  ENAMETOOLONG: ['the name is too long', 'Choose a shorter one.'],
  EIO: ['the disk reports an input/output error', 'Check the disk or SD card; it may be failing.'],
};

function storeError(target: string, error: NodeJS.ErrnoException, renamed: boolean): EdgeloopError {
  const [reason, remedy] = REASONS[error.code ?? ''] ?? [error.message, 'Choose another path, or try again.'];
  const got = error.code === undefined ? reason : `${error.code} (${reason})`;
  const state = renamed ? 'The new content is there, but a power cut may undo it.' : 'The file is as it was.';
  const sentence = `${target}: expected to replace the file, got ${got}. ${state} ${remedy}`;
  const failure = new EdgeloopError('ELOOP_STORE', sentence);
  failure.cause = error;
  return failure;
}
