/**
 * What the store does to a disk, and nothing else: few operations, so that a test can put a disk underneath that is
 * slow, full, or loses its power. Reading goes to `node:fs` directly.
 */
import fs from 'node:fs/promises';

/** A file that is written from its beginning to its end. */
export interface OpenFile {
  /** Appends bytes[from..from + count). @returns how many the system took */
  write(bytes: Uint8Array, from: number, count: number): Promise<number>;
  /** @returns when the content is on the disk */
  datasync(): Promise<void>;
  close(): Promise<void>;
}

export interface Files {
  /** @returns the topmost directory that was made, or undefined if there was nothing to make */
  makeDirectory(path: string): Promise<string | undefined>;
  list(directory: string): Promise<string[]>;
  /** Makes a file that was not there, mode 0600. */
  create(path: string): Promise<OpenFile>;
  /** Puts what an earlier life wrote on the disk. */
  sync(path: string): Promise<void>;
  /** The name shows the old file or the new one, never neither. */
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Makes names in the directory as lasting as the files behind them. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes that an ordinary user may still write there. */
  freeBytes(path: string): Promise<number>;
}

export const systemFiles: Files = {
  makeDirectory: (path) => fs.mkdir(path, { recursive: true, mode: 0o700 }),
  list: (directory) => fs.readdir(directory),
  async create(path) {
    const handle = await fs.open(path, 'wx', 0o600);
    return {
      write: async (bytes, from, count) => (await handle.write(bytes, from, count)).bytesWritten,
      datasync: () => handle.datasync(),
      close: () => handle.close(),
    };
  },
  sync: (path) => syncPath(path),
  rename: (from, to) => fs.rename(from, to),
  unlink: (path) => fs.unlink(path),
  syncDirectory,
  async freeBytes(path) {
    const { bavail, bsize } = await fs.statfs(path);
    return bavail * bsize;
  },
};

export async function syncDirectory(directory: string): Promise<void> {
  await syncPath(directory).catch((error: NodeJS.ErrnoException) => {
    // Some network and user-space file systems cannot sync a directory: then there is no more to be had.
    if (error.code !== 'EINVAL') throw error;
  });
}

async function syncPath(path: string): Promise<void> {
  const handle = await fs.open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
