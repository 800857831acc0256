import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildLibrary } from '../../scripts/build.ts';
import { temporaryFolder } from '../support/program.ts';

const root = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);

/** A user's project with edgeloop installed and nothing else. */
const project = temporaryFolder();
beforeAll(async () => {
  const installed = join(project.path, 'node_modules/edgeloop');
  mkdirSync(installed, { recursive: true });
  copyFileSync(join(root, 'package.json'), join(installed, 'package.json'));
  await buildLibrary(join(installed, 'dist'));
  writeFileSync(join(project.path, 'package.json'), '{"type": "module"}');
});
afterAll(project.dispose);

function use(line: string): string {
  return `import { TwoLayerNetwork } from 'edgeloop';\ndeclare const network: TwoLayerNetwork;\n${line}\n`;
}

describe("import ... from 'edgeloop'", () => {
  it('runs the example of the README, which is under 20 lines', async () => {
    const readme = readFileSync(join(root, 'README.md'), 'utf8');
    const example = /```js\n(import \{ TwoLayerNetwork \} from 'edgeloop';\n[^]*?)```/.exec(readme)![1];
    expect(example.trim().split('\n').length).toBeLessThan(20);
    const file = join(project.path, 'example.js');
    writeFileSync(file, example);
    const { stdout } = await run(process.execPath, [file]);
    expect(stdout).toMatch(/^\d+ bytes, taken once\n0 0 0\.0\d\n0 1 0\.9\d\n1 0 0\.9\d\n1 1 0\.0\d\n$/);
  });

  it('is typed', async () => {
    writeFileSync(
      join(project.path, 'right.ts'),
      use('export const y: Float32Array = network.predict([1, 2]);'),
    );
    writeFileSync(join(project.path, 'wrong.ts'), use("export const y: string = network.predict('1, 2');"));
    const tsc = join(root, 'node_modules/.bin/tsc');
    const check = (file: string): Promise<unknown> =>
      run(tsc, [
        '--ignoreConfig',
        '--strict',
        '--noEmit',
        '--module',
        'nodenext',
        '--target',
        'es2024',
        join(project.path, file),
      ]);
    await check('right.ts').catch((error: { stdout: string }) => expect.fail(error.stdout));
    await expect(check('wrong.ts')).rejects.toMatchObject({ stdout: expect.stringContaining('wrong.ts') });
  });
});
