/**
 * Which other programs hold a serial port. Only opening it would tell for sure, and opening resets many boards; so
 * this looks where the kernel and the programs themselves leave traces:
 *
 *   /proc/PID/stat          the controlling terminal; anybody may read it
 *   /proc/PID/fd            open descriptors; only root may read those of others
 *   /run/lock/LCK..ttyUSB0  what minicom, pppd and others leave there, with their process id
 *
 * "no" is said only when every process could be looked at.
 */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type Roots, printable, readFolder, readLink } from './machine.ts';

export interface PortUser {
  readonly pid: number;
  /** Of the process, as the kernel knows it: up to 15 characters; "" if it cannot be seen. */
  readonly command: string;
}

export interface PortUse {
  readonly inUse: 'yes' | 'no' | 'unknown';
  /** Who holds it, as far as it can be seen. */
  readonly usedBy: readonly PortUser[];
}

export interface Process extends PortUser {
  /** Device number of the controlling terminal as in `ttyNumber`; 0: none. */
  readonly tty: number;
}

/** The kernel's number for the first process-id namespace: outside it, processes exist that we cannot see. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';

/** All processes that can be seen, but for this one. */
export function readProcesses({ proc }: Roots): Process[] {
  const own = readLink(join(proc, 'self'));
  return readFolder(proc)
    .filter((name) => /^\d+$/.test(name) && name !== own)
    .map((name) => readProcess(proc, Number(name)))
    .filter((process) => process !== null);
}

/** "204:74", as in sysfs, to the number that /proc/PID/stat gives for a terminal; NaN if it is neither. */
export function ttyNumber(device: string | null): number {
  const [major, minor] = (device ?? '').split(':').map(Number);
  return ((minor & ~0xff) << 12) | (major << 8) | (minor & 0xff) || NaN;
}

/** Looks once for all ports of a listing: reading every descriptor of every process takes tens of milliseconds. */
export class PortUsers {
  readonly #roots: Roots;
  readonly #processes: readonly Process[];
  /** By what the descriptor's link says, for example /dev/ttyACM0. */
  readonly #holders = new Map<string, PortUser[]>();
  /** Every process of the machine is in the list. */
  readonly #allListed: boolean;
  /** The descriptors of every process in the list could be read. */
  #allRead = true;

  constructor(roots: Roots, processes: readonly Process[]) {
    this.#roots = roots;
    this.#processes = processes;
    this.#allListed =
      readLink(join(roots.proc, 'self/ns/pid')) === FIRST_PID_NAMESPACE &&
      // /proc can be mounted so that it shows nobody else's processes (hidepid).
      processes.some(({ pid }) => pid === 1);
    for (const process of processes) this.#readDescriptors(process);
  }

  /**
   * @param path  the device, not a link to it
   * @param names that it might be locked by: its own, and those of the links to it
   * @param tty   its number, see `ttyNumber`
   */
  of(path: string, names: readonly string[], tty: number): PortUse {
    const users = new Map<number, PortUser>();
    for (const user of this.#holders.get(path) ?? []) users.set(user.pid, user);
    for (const user of this.#processes) if (user.tty === tty) users.set(user.pid, user);
    const locks = names.map((name) => this.#readLock(name));
    for (const lock of locks) if (typeof lock === 'object') users.set(lock.pid, lock);
    const usedBy = [...users.values()].map(({ pid, command }) => ({ pid, command }));
    if (usedBy.length > 0) return { inUse: 'yes', usedBy };
    const certain = this.#allListed && this.#allRead && !locks.includes('unclear');
    return { inUse: certain ? 'no' : 'unknown', usedBy };
  }

  #readDescriptors(process: Process): void {
    const folder = join(this.#roots.proc, String(process.pid), 'fd');
    const descriptors = this.#unlessRefused(() => readdirSync(folder)) ?? [];
    for (const descriptor of descriptors) {
      const target = this.#unlessRefused(() => readlinkSync(join(folder, descriptor)));
      if (target?.startsWith(this.#roots.dev)) this.#note(target, process);
    }
  }

  #note(target: string, process: Process): void {
    const holders = this.#holders.get(target);
    if (holders === undefined) this.#holders.set(target, [process]);
    else holders.push(process);
  }

  /** @returns null also when the process has ended, or closed the descriptor, while we looked */
  #unlessRefused<T>(read: () => T): T | null {
    try {
      return read();
    } catch (cause) {
      if (isRefusal(cause)) this.#allRead = false;
      return null;
    }
  }

  /** A lock whose owner has ended counts for nothing: whoever finds it may remove it. */
  #readLock(name: string): PortUser | 'none' | 'unclear' {
    let bytes: Buffer;
    try {
      bytes = readFileSync(join(this.#roots.run, 'lock', `LCK..${name}`));
    } catch (cause) {
      return isRefusal(cause) ? 'unclear' : 'none';
    }
    const pid = lockOwner(bytes);
    if (pid === null) return 'unclear';
    const process = this.#processes.find((process) => process.pid === pid);
    if (process !== undefined) return process;
    return this.#allListed ? 'none' : 'unclear';
  }
}

/** Ten characters of decimal digits as the old UUCP has it, or its older form, four bytes. */
function lockOwner(bytes: Buffer): number | null {
  const digits = /^\s*(\d{1,10})(?:\s|$)/.exec(bytes.toString('latin1'))?.[1];
  if (digits !== undefined) return Number(digits);
  return bytes.length === 4 ? bytes.readInt32LE() : null;
}

function readProcess(proc: string, pid: number): Process | null {
  let stat: string;
  try {
    stat = readFileSync(join(proc, String(pid), 'stat'), 'utf8');
  } catch {
    return null; // it has just ended
  }
  // "612 (agetty) S 1 612 612 52298 ...": the name may itself hold spaces and brackets.
  const nameEnd = stat.lastIndexOf(')');
  const tty = Number(stat.slice(nameEnd + 2).split(' ', 5)[4]);
  return { pid, command: printable(stat.slice(stat.indexOf('(') + 1, nameEnd)), tty };
}

function isRefusal(cause: unknown): boolean {
  const { code } = cause as NodeJS.ErrnoException;
  return code === 'EACCES' || code === 'EPERM';
}
