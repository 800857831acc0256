/**
 * One process at a time in a directory: the file `lock` says who holds it. A process is told from a later one with the
 * same id by its start time and the boot; so a lock that a killed process or a power cut left behind is known as stale.
 */
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EdgeloopError } from '../errors.ts';

interface Holder {
  readonly pid: number;
  /** In clock ticks since the boot. */
  readonly started: string;
  readonly boot: string;
  /** Wall time, for people. */
  readonly since: string;
}

/** Who has made the file and not yet written it, or is about to replace a stale one, is done well before. */
const PATIENCE_MS = 1000;
const LOOK_EVERY_MS = 20;

export interface DirectoryLock {
  release(): void;
}

/** @throws EdgeloopError ELOOP_STORE if a living process holds it, or the directory cannot be written */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const path = join(directory, 'lock');
  const text = JSON.stringify(ourselves());
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    if (makeExclusively(path, text)) return { release: () => void (read(path) === text && remove(path)) };
    const found = read(path);
    if (found === undefined) continue; // released this moment
    const holder = parse(found);
    if (holder && lives(holder)) throw heldBy(directory, holder);
    const patient = performance.now() < endMs;
    if (holder || !patient) removeStale(path, found, patient);
    await sleep(LOOK_EVERY_MS);
  }
}

/** Of several that find the same stale lock only the one that makes the guard may remove it. */
function removeStale(path: string, found: string, patient: boolean): void {
  const guard = `${path}.stale`;
  if (!makeExclusively(guard, '')) {
    if (!patient) remove(guard); // its maker died in the middle
    return;
  }
  if (read(path) === found) remove(path);
  remove(guard);
}

/** @returns false if there is such a file already */
function makeExclusively(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    const remedy = 'See to the disk and to the rights of the directory, or choose another.';
    throw new EdgeloopError('ELOOP_STORE', `${path}: expected to make the lock, got ${code}. ${remedy}`);
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // gone already, or not to be removed: whoever comes next looks again
  }
}

function parse(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Holder | null;
    return Number.isInteger(holder?.pid) ? holder! : undefined;
  } catch {
    return undefined;
  }
}

function ourselves(): Holder {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return {
    pid: process.pid,
    started: startOf(process.pid) ?? '',
    boot,
    since: new Date().toISOString(),
  };
}

function lives(holder: Holder): boolean {
  return holder.boot === ourselves().boot && holder.started === startOf(holder.pid);
}

/** @returns when the process started, undefined if there is none */
function startOf(pid: number): string | undefined {
  const stat = read(`/proc/${pid}/stat`);
  // pid (name, which may hold spaces and brackets) state ...; the start is the 22nd field, state the third. A zombie
  // holds nothing any more.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields?.[0] === 'Z' ? undefined : fields?.[19];
}

function heldBy(directory: string, { pid, since }: Holder): EdgeloopError {
  const who = pid === process.pid ? 'this very process' : `the process ${pid}`;
  return new EdgeloopError(
    'ELOOP_STORE',
    `${directory}: expected to be alone with this model, but ${who} has had it since ${since}. ` +
      'Stop that one, or choose another directory.',
  );
}
