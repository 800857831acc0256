/**
 * Builds `dist/edgeloop.mjs`: edgeloop, piscina, serialport and its native code for Linux as one file that runs
 * where there is nothing but Node. Not minified, so that a stack trace can be read; the same sources and packages
 * give the same bytes.
 *
 *   node scripts/build.ts [--out dist] [--json]
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import * as esbuild from 'esbuild';
import { bundledPackages, noticesComment, readPackage } from './build/notices.ts';
import { oneFile } from './build/plugin.ts';

const root = resolve(import.meta.dirname, '..');

const FILE_NAME = 'edgeloop.mjs';

/** `debug`, which serialport logs with, colours its lines when this one happens to be installed. */
const DISPENSABLE = new Set(['supports-color']);

export type BuildReport = {
  file: string;
  fileBytes: number;
  sha256: string; // hexadecimal
  packages: { name: string; version: string; licence: string }[];
};

/**
 * Writes edgeloop.mjs, executable, and SHA256SUMS into `outDir`, which is made if need be.
 * @param entry the module whose exports the file has: the command line, and the tasks that pool threads run
 * @throws Error when something would have to be loaded from outside the file, or a package has no licence text
 */
export async function build(outDir: string, entry = join(root, 'src', 'main.ts')): Promise<BuildReport> {
  const own = readPackage(root);
  const { outputFiles, metafile } = await esbuild.build({
    stdin: { contents: entryModule(entry), resolveDir: root, sourcefile: 'entry' },
    absWorkingDir: root,
    bundle: true,
    write: false,
    metafile: true,
    outfile: FILE_NAME,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    charset: 'utf8',
    legalComments: 'none', // the notices at the end hold the whole texts
    banner: { js: banner(`${own.name} ${own.version}`) },
    plugins: [oneFile],
    logLevel: 'silent', // errors are thrown
  });
  assertStandsAlone(metafile);
  const packages = bundledPackages(metafile, root);
  const bytes = Buffer.from(`${outputFiles[0].text}\n${noticesComment(own, packages)}`);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const file = join(outDir, FILE_NAME);
  mkdirSync(outDir, { recursive: true });
  writeFileSync(file, bytes);
  chmodSync(file, 0o755);
  writeFileSync(join(outDir, 'SHA256SUMS'), `${sha256}  ${FILE_NAME}\n`);
  return {
    file,
    fileBytes: bytes.length,
    sha256,
    packages: packages.map(({ name, version, licence }) => ({ name, version, licence })),
  };
}

/**
 * Writes the library for `import ... from 'edgeloop'` into `outDir`: index.mjs, which needs nothing but Node, and its
 * type declarations in types/.
 */
export async function buildLibrary(outDir: string): Promise<void> {
  const { metafile } = await esbuild.build({
    entryPoints: [join(root, 'src', 'index.ts')],
    absWorkingDir: root,
    bundle: true,
    metafile: true,
    outfile: join(outDir, 'index.mjs'),
    format: 'esm',
    platform: 'node',
    target: 'node24',
    charset: 'utf8',
    logLevel: 'silent', // errors are thrown
  });
  assertStandsAlone(metafile);
  const tsc = join(root, 'node_modules', '.bin', 'tsc');
  execFileSync(tsc, ['--project', join(root, 'scripts', 'build'), '--outDir', join(outDir, 'types')]);
}

/** On a pool thread piscina's worker takes over; it imports this same file, already evaluated, for its tasks. */
function entryModule(entry: string): string {
  return (
    `import { isPoolThread } from 'edgeloop:pool-thread';\n` +
    `export * from ${JSON.stringify(entry)};\n` +
    `if (isPoolThread) require('edgeloop:pool-worker');\n`
  );
}

/**
 * The packages are CommonJS and ask for Node's modules by `require`. This one gives them Node's modules and nothing
 * else, so that the file never picks up a package that happens to lie near it.
 */
function banner(title: string): string {
  return `#!/usr/bin/env node
// ${title}. The notices are at the end of this file.
const __dirname = import.meta.dirname;
const require = (name) => {
  const builtin = process.getBuiltinModule(name);
  if (builtin) return builtin;
  throw Object.assign(new Error(\`\${name} is not in this file\`), { code: 'MODULE_NOT_FOUND' });
};
`;
}

function assertStandsAlone(metafile: esbuild.Metafile): void {
  const outside = Object.values(metafile.outputs)
    .flatMap(({ imports }) => imports)
    .filter(({ path, external }) => external && !isBuiltin(path) && !DISPENSABLE.has(path));
  if (outside.length === 0) return;
  throw new Error(
    `expected only Node's own modules outside the file, got ${outside.map(({ path }) => path)}`,
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { out: { type: 'string' }, json: { type: 'boolean' } } });
  const report = await build(values.out ?? join(root, 'dist'));
  await buildLibrary(values.out ?? join(root, 'dist'));
  const file = relative(process.cwd(), report.file);
  console.log(`${file}  ${report.fileBytes} bytes  sha256 ${report.sha256}`);
  if (values.json) console.log(JSON.stringify({ ...report, file }));
}

if (import.meta.main) await main();
