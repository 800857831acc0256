/** What a test needs to see of processes and ttys, from the kernel's own files. */
import { closeSync, constants, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** State letter and parent of a process, or undefined if there is none. */
function status(pid: number): { state: string; parent: number } | undefined {
  try {
    // pid (name, which may hold spaces and brackets) state parent ...
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}

/** A zombie does not live: it waits only for its parent to ask how it ended. */
export function lives(pid: number): boolean {
  const found = status(pid);
  return found !== undefined && found.state !== 'Z';
}

/** All processes under this one, children first. */
export function descendants(pid: number): number[] {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const children = all.map(Number).filter((candidate) => status(candidate)?.parent === pid);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** @returns whether the condition came true within the time */
export async function eventually(condition: () => boolean, msMax = 5000): Promise<boolean> {
  const end = performance.now() + msMax;
  while (!condition()) {
    if (performance.now() > end) return false;
    await sleep(5);
  }
  return true;
}

/** The other side of a pty: reads and writes it as a program does that has no serial library. */
export class Tty {
  text = '';
  bytesRead = 0;
  /** The cable was pulled. */
  hungUp = false;
  readonly fd: number;
  readonly #buffer = Buffer.alloc(65_536);

  constructor(path: string) {
    this.fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  }

  /** Take what is there. */
  read(): void {
    for (;;) {
      try {
        const length = readSync(this.fd, this.#buffer);
        if (length === 0) this.hungUp = true;
        if (length === 0) return;
        this.bytesRead += length;
        if (this.text.length < 1e6) this.text += this.#buffer.toString('latin1', 0, length);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EIO') this.hungUp = true;
        else if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
        return;
      }
    }
  }

  /** @returns whether the condition came true while reading */
  async readUntil(condition: () => boolean, msMax = 5000): Promise<boolean> {
    return eventually(() => {
      this.read();
      return condition();
    }, msMax);
  }

  close(): void {
    closeSync(this.fd);
  }
}
