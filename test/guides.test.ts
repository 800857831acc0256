import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { formatValue, Matrix } from '../src/engine/matrix.ts';
import { publishedRun } from '../src/engine/published-run.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const GUIDES = join(ROOT, 'device/guides');
const guide = read('device/guides/backpropagation.md');

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** What stands under the heading that begins so, up to the next heading. */
function section(heading: string): string {
  const found = guide.split(/^(?=## )/m).filter((part) => part.startsWith(`## ${heading}`));
  expect(found.length, heading).toBe(1);
  return found[0];
}

function codeSpans(text: string): string[] {
  return Array.from(text.matchAll(/`([^`]+)`/g), ([, span]) => span);
}

/** The cells of every row of the section's table, without its heading. */
function tableRows(text: string): string[][] {
  const rows = text.split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) =>
    row
      .split('|')
      .map((cell) => cell.trim())
      .slice(1, -1),
  );
}

/** The fenced blocks of a language, in order. */
function blocks(text: string, language: string): string[] {
  return Array.from(text.matchAll(/^```(\w*)\n(.*?)^```$/gms))
    .filter(([, of]) => of === language)
    .map(([, , content]) => content);
}

const QUOTE = /^- Code: \[`([^`]+)`\]\(\.\.\/\.\.\/([^)]+)\) — `([^`]+)`$/;

test('every line of code that a guide quotes is in the file it names', () => {
  for (const name of readdirSync(GUIDES).filter((each) => each.endsWith('.md'))) {
    for (const line of read(`device/guides/${name}`).split('\n')) {
      if (!line.includes('Code:')) continue;
      const [, file, link, snippet] = QUOTE.exec(line) ?? [];
      expect(file, `${name}: a quotation of another form: ${line}`).toBeDefined();
      expect(link, `${name}: link and name differ`).toBe(file);
      const lines = read(file).split('\n');
      const found = lines.some((each) => each.includes(snippet));
      expect(found, `${name}: ${file} has no line with ${snippet}`).toBe(true);
    }
  }
});

test('every link of a guide leads to a file', () => {
  for (const name of readdirSync(GUIDES).filter((each) => each.endsWith('.md'))) {
    for (const [, target] of read(`device/guides/${name}`).matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      expect(existsSync(join(GUIDES, target)), `${name}: ${target}`).toBe(true);
    }
  }
});

test('forward pass, loss, BP1 to BP4 and update each point at code', () => {
  for (const heading of ['Forward', 'Loss', 'BP1:', 'BP2:', 'BP3:', 'BP4:', 'The update']) {
    expect(section(heading), heading).toMatch(/^- Code: /m);
  }
});

const ORIGINAL_NAMES =
  'CreateMatrix CreateRandMat ones change_va mul mul_simple get_T times_mat subtract cout_mat Node edge_network ' +
  'forward forward_without_act end_layer_backward backward';

/** The names that a source file exports. */
function exportsOf(file: string): string[] {
  const source = read(`src/engine/${file}`);
  return Array.from(
    source.matchAll(/^export (?:function|const|class|interface|type) (\w+)/gm),
    ([, name]) => name,
  );
}

function isOurs(name: string, files: readonly string[]): boolean {
  const [, holder, method] = /^(Matrix|matrix)\.(\w+)$/.exec(name) ?? [];
  if (holder === undefined) return files.some((file) => exportsOf(file).includes(name));
  return (
    files.includes('matrix.ts') && Object.hasOwn(holder === 'Matrix' ? Matrix : Matrix.prototype, method)
  );
}

test('the table maps every name of the original engine to names that exist here', () => {
  const rows = tableRows(section("The original engine's names"));
  expect(rows.map(([original]) => original)).toEqual(ORIGINAL_NAMES.split(' ').map((name) => `\`${name}\``));
  for (const [original, ours, where] of rows) {
    const files = codeSpans(where);
    expect(codeSpans(ours).length, original).toBeGreaterThan(0);
    for (const name of codeSpans(ours)) expect(isOurs(name, files), `${original}: ${name}`).toBe(true);
    for (const file of files) {
      expect(
        codeSpans(ours).some((name) => isOurs(name, [file])),
        `${original}: ${file}`,
      ).toBe(true);
    }
  }
});

function digits(matrix: Matrix): string[] {
  return Array.from(matrix.data, formatValue);
}

test('the deltas shown for the published run are the ones that the code computes', () => {
  const text = section('The published run').replaceAll(/(?<!\|)\n(?!\|)/g, ' '); // one line per paragraph or row
  const runs = [publishedRun('W'), publishedRun('Wᵀ')];
  const rows = runs[0].outputDeltas.map((_, epoch) => [
    `${epoch + 1}`,
    ...runs.map(({ outputDeltas }) => `\`${digits(outputDeltas[epoch]).join(' ')}\``),
  ]);
  expect(tableRows(text)).toEqual(rows);
  for (const { weights1 } of runs) expect(text).toContain(`stays ${digits(weights1).join(', ')} in both`);
  const apart = runs[0].outputDeltas.flatMap((delta, epoch) =>
    Array.from(delta.data, (value, k) => Math.abs(value - runs[1].outputDeltas[epoch].data[k])),
  );
  expect(text).toContain('by 0.0000002 at most');
  expect(Math.max(...apart)).toBeLessThan(0.000_000_25);
});

test('the worked example prints what the guide shows, and its gradients pass the check', () => {
  const text = section('A 2-2-2 network in numbers');
  const [script] = blocks(text, 'js');
  const [shown, byHand] = blocks(text, 'text');
  const run = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect(run.stderr).toBe('');
  expect(run.stdout).toBe(shown);

  const rows = new Map<string, number[]>();
  let gradient = '';
  for (const line of shown.trimEnd().split('\n')) {
    const name = line.slice(0, 16).trim();
    if (name.startsWith('dL/d')) gradient = name;
    const key = name === 'by differences' ? `${gradient} ${name}` : name;
    rows.set(key, line.slice(17).split('  ').map(Number));
  }
  let compared = 0;
  for (const name of ['weights1', 'bias1', 'weights2', 'bias2']) {
    const differences = rows.get(`dL/d ${name} by differences`)!;
    for (const [index, value] of rows.get(`dL/d ${name}`)!.entries()) {
      expect(Math.abs(value - differences[index]), `${name}[${index}]`).toBeLessThan(0.000_01);
      expect(Math.abs(value), 'a gradient of zeros passes any check').toBeGreaterThan(0.001);
      compared++;
    }
  }
  expect(compared).toBe(12);
  const wrong = rows.get('delta1 with W2')!;
  for (const [index, value] of rows.get('dL/d bias1 by differences')!.entries()) {
    expect(Math.abs(value - wrong[index]), 'W2 without its transpose passes').toBeGreaterThan(0.01);
  }

  for (const line of byHand.trimEnd().split('\n')) {
    const [, sum, result] = /^\S+ += (.+) = (\S+)$/.exec(line) ?? [];
    expect(runInNewContext(sum, { exp: Math.exp }), line).toBeCloseTo(Number(result), 6);
    expect(shown, line).toContain(` ${result}`);
  }
});
