/** The contenders in C: compiled on the spot if gcc is there, run as programs that time themselves. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const SOURCES = join(import.meta.dirname, 'native');

export const NATIVE_CONTENDERS = ['c', 'c128', 'fann'] as const;

export type NativeName = (typeof NATIVE_CONTENDERS)[number];

/** Paths of the programs that could be made. */
export type NativePrograms = { readonly [name in NativeName | 'peak']: string | null };

interface Recipe {
  readonly source: string;
  readonly flags: readonly string[];
  readonly libraries: readonly string[];
}

const COMMON = ['-O3', '-march=native', '-Wall', '-Wextra'];

const RECIPES: { readonly [name in keyof NativePrograms]: Recipe } = {
  c: { source: 'plain.c', flags: ['-ffast-math'], libraries: ['-lm'] },
  // Separate multiplications and additions, as WebAssembly has them.
  c128: { source: 'vector128.c', flags: ['-ffp-contract=off'], libraries: ['-lm'] },
  fann: { source: 'fann.c', flags: [], libraries: ['-lfann', '-lm'] },
  peak: { source: 'peak.c', flags: ['-ffp-contract=off'], libraries: [] },
};

export interface Compiled {
  readonly programs: NativePrograms;
  /** What is missing and would be measured otherwise. */
  readonly missing: readonly string[];
}

/** @throws Error if gcc is there but does not take a source of ours */
export function compileNative(folder: string): Compiled {
  if (spawnSync('gcc', ['--version']).status !== 0) {
    return {
      programs: { c: null, c128: null, fann: null, peak: null },
      missing: ['gcc: no C, no FANN'],
    };
  }
  const hasFann = spawnSync('gcc', ['-E', '-include', 'fann.h', '-x', 'c', '/dev/null']).status === 0;
  return {
    programs: {
      c: compile('c', folder),
      c128: compile('c128', folder),
      fann: hasFann ? compile('fann', folder) : null,
      peak: compile('peak', folder),
    },
    missing: hasFann ? [] : ["FANN (Debian's libfann-dev)"],
  };
}

function compile(name: keyof NativePrograms, folder: string): string {
  const { source, flags, libraries } = RECIPES[name];
  const program = join(folder, name);
  const { status, stderr } = spawnSync(
    'gcc',
    [...COMMON, ...flags, '-o', program, join(SOURCES, source), ...libraries],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`gcc does not take ${source}:\n${stderr}`);
  return program;
}

/** Only plain C knows batches. */
export function knowsBatch(name: NativeName, batch: number): boolean {
  return name === 'c' || batch === 1;
}

/** Runs a program; its standard output as numbers. */
export function runNumbers(program: string, args: readonly (string | number)[]): number[] {
  const { status, stdout, stderr } = spawnSync(program, args.map(String), { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr}`);
  return stdout.trim().split('\n').map(Number);
}
