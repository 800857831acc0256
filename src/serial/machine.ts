/**
 * Linux's own trees of small files and links, as far as they are there. What is absent, refused, or goes away while
 * it is looked at is nothing: null or an empty list.
 */
import { readFileSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';

/** Where the trees are mounted. */
export interface Roots {
  readonly sys: string;
  readonly dev: string;
  readonly proc: string;
  readonly run: string;
  readonly etc: string;
  readonly boot: string;
}

export const LINUX: Roots = {
  sys: '/sys',
  dev: '/dev',
  proc: '/proc',
  run: '/run',
  etc: '/etc',
  boot: '/boot',
};

/** What a device says about itself is shown on a terminal: no longer than USB allows, nothing that steers it. */
const TEXT_CHARS_MAX = 126;

/** @returns the file's text without white space around it; null if it cannot be read */
export function readText(path: string): string | null {
  return orNull(() => readFileSync(path, 'utf8').trim());
}

/** @returns a name that a device or process gave itself, safe to print; null if there is none */
export function readName(path: string): string | null {
  const text = readText(path);
  return text === null || text === '' ? null : printable(text);
}

export function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, '?').slice(0, TEXT_CHARS_MAX);
}

/** @returns names, in order */
export function readFolder(path: string): string[] {
  return orNull(() => readdirSync(path).sort()) ?? [];
}

/** @returns what the link says, unresolved */
export function readLink(path: string): string | null {
  return orNull(() => readlinkSync(path));
}

/** @returns the path with every link in it followed; null if it leads nowhere */
export function realPath(path: string): string | null {
  return orNull(() => realpathSync(path));
}

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === undefined) throw cause;
    return null;
  }
}
