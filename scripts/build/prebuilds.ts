/**
 * serialport's native code for the machines that the one file runs on, as its package brings it: one file for each
 * processor and C library. A board has either; an Alpine container has musl.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import type { Prebuild, Prebuilds } from './inside/native-binding.ts';

const PLATFORMS = ['linux-arm64', 'linux-x64'];
const LIBCS = ['glibc', 'musl'];
const BASE64_LINE_LENGTH = 100;

/** @param bindingsFolder the installed package @serialport/bindings-cpp */
export function readPrebuilds(bindingsFolder: string): Prebuilds {
  const prebuilds: Prebuilds = {};
  for (const platform of PLATFORMS) {
    const folder = join(bindingsFolder, 'prebuilds', platform);
    for (const libc of LIBCS)
      prebuilds[`${platform}-${libc}`] = pack(join(folder, prebuildName(folder, libc)));
  }
  return prebuilds;
}

/** Names look like `@serialport+bindings-cpp.armv8.glibc.node`. */
function prebuildName(folder: string, libc: string): string {
  const names = readdirSync(folder).filter((name) => name.endsWith(`.${libc}.node`));
  if (names.length === 1) return names[0];
  throw new Error(
    `${folder}: expected one .${libc}.node file, got ${names.length}. Look at what serialport ships.`,
  );
}

function pack(file: string): Prebuild {
  const bytes = readFileSync(file);
  const params = { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  return {
    sha256: createHash('sha256').update(bytes).digest('hex'),
    brotliBase64: foldLines(brotliCompressSync(bytes, { params }).toString('base64')),
  };
}

/** Short lines keep a file with 200 KB of base64 in it readable in an editor and in the output of grep. */
function foldLines(text: string): string {
  return text.replaceAll(new RegExp(`.{1,${BASE64_LINE_LENGTH}}`, 'g'), '$&\n');
}
