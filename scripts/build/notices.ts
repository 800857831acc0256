/**
 * Whose code is in the one file: the packages that esbuild's metafile names, and the licence text of each, as the
 * licences demand that it goes wherever the code goes.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Metafile } from 'esbuild';

export type BundledPackage = {
  name: string;
  version: string;
  licence: string; // as package.json says: an SPDX expression
  folder: string;
};

/** The header-only C++ library that is compiled into serialport's native code: no JavaScript of it is bundled. */
const COMPILED_IN = 'node-addon-api';
const COMPILED_INTO = '@serialport/bindings-cpp';

/** Sorted by name and version. @param root the folder that the metafile's paths are relative to */
export function bundledPackages(metafile: Metafile, root: string): BundledPackage[] {
  const folders = new Set<string>();
  for (const output of Object.values(metafile.outputs)) {
    for (const [input, { bytesInOutput }] of Object.entries(output.inputs)) {
      const folder = bytesInOutput > 0 ? packageFolder(input) : undefined;
      if (folder !== undefined) folders.add(folder);
    }
  }
  for (const folder of folders) {
    if (folder.endsWith(`node_modules/${COMPILED_INTO}`))
      folders.add(folder.replace(COMPILED_INTO, COMPILED_IN));
  }
  return [...folders].map((folder) => readPackage(resolve(root, folder))).toSorted(byNameAndVersion);
}

/** The comment block for the end of the file. Packages with one and the same text share it. */
export function noticesComment(own: BundledPackage, packages: BundledPackage[]): string {
  const namesByText = new Map<string, string[]>();
  for (const bundled of [own, ...packages]) {
    const text = licenceText(bundled);
    const names = namesByText.get(text) ?? [];
    names.push(`${bundled.name} ${bundled.version} (${bundled.licence})`);
    namesByText.set(text, names);
  }
  const sections = [...namesByText].map(([text, names]) => `${names.join('\n')}\n\n${text}\n`);
  const rule = `\n${'-'.repeat(80)}\n\n`;
  const head = `Notices: the licences of ${own.name} and of the packages inside this file.\n`;
  return `/*\n${[head, ...sections].join(rule).replaceAll('*/', '* /')}*/\n`;
}

/** @throws Error when the folder has no package.json with name, version and licence */
export function readPackage(folder: string): BundledPackage {
  const { name, version, license } = readManifest(folder);
  for (const [field, value] of Object.entries({ name, version, license })) {
    if (typeof value !== 'string' || value === '')
      throw new Error(`${folder}/package.json: expected "${field}"`);
  }
  return { name: name!, version: version!, licence: license!, folder };
}

/** `node_modules/a/node_modules/@b/c/dist/x.js` is of the package in `node_modules/a/node_modules/@b/c`. */
function packageFolder(input: string): string | undefined {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(input)?.[0];
}

function licenceText(bundled: BundledPackage): string {
  const names = readdirSync(bundled.folder).filter((name) => /^(licen[cs]e|copying|notice)\b/i.test(name));
  if (names.length === 0) return licenceFromManifest(bundled);
  const texts = names.toSorted().map((name) => readFileSync(join(bundled.folder, name), 'utf8'));
  return texts
    .join('\n')
    .replaceAll(/[ \t\r]+$/gm, '')
    .trim();
}

function licenceFromManifest({ name, version, licence, folder }: BundledPackage): string {
  const { author } = readManifest(folder);
  const authorName = typeof author === 'string' ? author : author?.name;
  if (authorName !== undefined) return `No licence file; package.json says: ${licence}, by ${authorName}.`;
  throw new Error(
    `${name} ${version}: expected a licence text in ${folder}, got none. It cannot be shipped.`,
  );
}

type Manifest = { name?: string; version?: string; license?: string; author?: string | { name?: string } };

function readManifest(folder: string): Manifest {
  const file = join(folder, 'package.json');
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
}

function byNameAndVersion(a: BundledPackage, b: BundledPackage): number {
  const [left, right] = [`${a.name} ${a.version}`, `${b.name} ${b.version}`];
  return left < right ? -1 : Number(left > right);
}
