/**
 * A disk that loses its power at a chosen moment. Everything reaches the real directory at once, so that it can be read;
 * what a real disk would not have yet is remembered, and taken away when the power goes:
 *
 * - of data not synced any sectors may be missing (zeros in their place), the end cut off, or all of it;
 * - of names not synced (made, renamed, removed) any may be as before.
 */
import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Files, type OpenFile, systemFiles } from '../../src/store/files.ts';

const SECTOR_BYTES = 512;

class Inode {
  /** What the disk has. */
  durable: Uint8Array;
  /** Appended since. */
  pending: Uint8Array[] = [];

  constructor(durable: Uint8Array) {
    this.durable = durable;
  }

  sync(): void {
    this.durable = Buffer.concat([this.durable, ...this.pending]);
    this.pending = [];
  }

  /** What is found after the cut. */
  survivor(random: () => number): Uint8Array {
    const pending = Buffer.concat(this.pending);
    const way = random();
    if (pending.length === 0 || way < 0.25) return this.durable;
    const kept = Buffer.from(pending.subarray(0, Math.ceil(random() * pending.length)));
    if (way < 0.6) return Buffer.concat([this.durable, kept]);
    // In any order: sectors count from the beginning of the file.
    let from = 0;
    while (from < kept.length) {
      const to = from + SECTOR_BYTES - ((this.durable.length + from) % SECTOR_BYTES);
      if (random() < 0.5) kept.fill(0, from, Math.min(to, kept.length));
      from = to;
    }
    return Buffer.concat([this.durable, kept]);
  }
}

class Directory {
  readonly path: string;
  readonly names = new Map<string, Inode>();
  readonly durable: Map<string, Inode>;
  pending: ((names: Map<string, Inode>) => void)[] = [];

  constructor(path: string) {
    this.path = path;
    for (const name of readdirSync(path)) {
      if (statSync(join(path, name)).isFile()) {
        this.names.set(name, new Inode(readFileSync(join(path, name))));
      }
    }
    this.durable = new Map(this.names);
  }

  change(work: (names: Map<string, Inode>) => void): void {
    work(this.names);
    this.pending.push(work);
  }

  sync(): void {
    for (const work of this.pending.splice(0)) work(this.durable);
  }

  cut(random: () => number): void {
    for (const work of this.pending.splice(0)) if (random() < 0.5) work(this.durable);
    for (const name of this.names.keys()) rmSync(join(this.path, name), { force: true });
    for (const [name, inode] of this.durable) writeFileSync(join(this.path, name), inode.survivor(random));
  }
}

/** @param directories that are there and keep files */
export function openDisk(directories: readonly string[]): ReadonlyMap<string, Directory> {
  return new Map(directories.map((path) => [path, new Directory(path)]));
}

export class PowerCutFiles implements Files {
  /** Resolves when the power is gone. */
  readonly off: Promise<void>;
  isOff = false;
  operations = 0;
  #running = 0;
  readonly #random: () => number;
  readonly #cutAt: number;
  readonly #turnOff: () => void;
  readonly #disk: ReadonlyMap<string, Directory>;
  readonly #open = new Set<OpenFile>();

  /**
   * @param disk   where files are kept; as an earlier life of the program left it if that ended without a cut
   * @param cutAt  the end comes during this operation; that and what comes after is never answered
   */
  constructor(disk: ReadonlyMap<string, Directory>, cutAt: number, random: () => number) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.off = promise;
    this.#turnOff = resolve;
    this.#cutAt = cutAt;
    this.#random = random;
    this.#disk = disk;
  }

  /** The end of the program, not of the power: the system has all that it has taken. */
  async kill(): Promise<void> {
    this.isOff = true;
    await this.quiet();
    for (const file of this.#open) await file.close();
  }

  /** Makes the real directories what the disk has after the cut. */
  async cut(): Promise<void> {
    await this.kill();
    for (const directory of this.#disk.values()) directory.cut(this.#random);
  }

  /** @returns when the disk has done all that was asked of it, and what followed from that */
  async quiet(): Promise<void> {
    for (let turns = 0; turns < 3; turns++) {
      if (this.#running > 0) turns = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  makeDirectory(path: string): Promise<string | undefined> {
    return this.#busy(() => systemFiles.makeDirectory(path));
  }

  list(directory: string): Promise<string[]> {
    return this.#busy(() => systemFiles.list(directory));
  }

  freeBytes(): Promise<number> {
    return Promise.resolve(2 ** 40);
  }

  async create(path: string): Promise<OpenFile> {
    const inode = new Inode(new Uint8Array(0));
    let file: OpenFile | undefined;
    await this.#step(async () => {
      file = await systemFiles.create(path);
      this.#open.add(file);
      this.#at(path).change((names) => void names.set(basename(path), inode));
    });
    const write = async (bytes: Uint8Array, from: number, count: number): Promise<number> => {
      // A system may take less than it is offered.
      const taken = this.#random() < 0.1 ? Math.ceil(count / 2) : count;
      await this.#step(async () => {
        inode.pending.push(bytes.slice(from, from + taken));
        for (let at = 0; at < taken;) at += await file!.write(bytes, from + at, taken - at);
      });
      return taken;
    };
    return {
      write,
      datasync: () => this.#step(() => inode.sync()),
      close: () => this.#busy(async () => void (this.#open.delete(file!) && (await file!.close()))),
    };
  }

  sync(path: string): Promise<void> {
    return this.#step(() => this.#at(path).names.get(basename(path))!.sync());
  }

  rename(from: string, to: string): Promise<void> {
    return this.#step(async () => {
      await systemFiles.rename(from, to);
      const inode = this.#at(from).names.get(basename(from))!;
      this.#at(from).change((names) => {
        names.delete(basename(from));
        names.set(basename(to), inode);
      });
    });
  }

  unlink(path: string): Promise<void> {
    return this.#step(async () => {
      await systemFiles.unlink(path);
      this.#at(path).change((names) => void names.delete(basename(path)));
    });
  }

  syncDirectory(path: string): Promise<void> {
    return this.#step(() => this.#disk.get(path)?.sync());
  }

  #at(path: string): Directory {
    return this.#disk.get(dirname(path))!;
  }

  /** The power may go before the operation or after it, but nobody hears of it. */
  async #step(work: () => void | Promise<void>): Promise<void> {
    if (this.isOff) await new Promise(() => {});
    this.operations += 1;
    const isLast = this.operations >= this.#cutAt;
    if (isLast) this.isOff = true;
    if (!isLast || this.#random() < 0.5) await this.#busy(async () => work());
    if (!isLast) return;
    this.#turnOff();
    await new Promise(() => {});
  }

  async #busy<T>(work: () => Promise<T>): Promise<T> {
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
    }
  }
}
