import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeSafetensors } from '../../src/store/safetensors.ts';
import { Program, run, temporaryFolder } from '../support/program.ts';

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.dispose());

const weightFile = (): string => join(folder.path, 'edgeloop/demo.safetensors');

/** Reads the weight file as the program would; throws if it is not whole. */
function learnedSoFar(): number {
  const file = decodeSafetensors(readFileSync(weightFile()), 'demo.safetensors');
  return Number(file.metadata['edgeloop.learned']);
}

describe('the demo', () => {
  it('learns from the virtual board and prints its document last', async () => {
    const { status, stdout, stderr } = await run(['demo', '--for', '8s', '--json'], folder.path);
    expect(stderr).toMatch(/4 inputs -> 16 hidden -> 3 classes/);
    expect(status).toBe(0);
    const document = JSON.parse(stdout.trim().split('\n').at(-1)!);
    expect(document.rows).toBeGreaterThan(1000);
    expect(document.learned).toBe(document.rows);
    expect(document.accuracy).toBeGreaterThan(document.baselines.majority + 0.2);
    expect(document.changes).toBeGreaterThanOrEqual(1);
    expect(document.dropped).toMatchObject({ tooLong: 0, columnCount: 0, notANumber: 0, ringFull: 0 });
    expect(document.stepNs).toBeGreaterThan(0);
    expect(document.gcEvents).toBe(0);
    expect(document.weights).toBe(weightFile());
    expect(learnedSoFar()).toBe(document.learned);
  });

  it('goes on where it was, unless told to begin afresh', async () => {
    await run(['demo', '--for', '1500ms'], folder.path);
    const first = learnedSoFar();
    const second = await run(['demo', '--for', '1500ms'], folder.path);
    expect(second.stdout).toContain(`Going on after ${first} samples`);
    expect(learnedSoFar()).toBeGreaterThan(first);
    const fresh = await run(['demo', '--for', '1500ms', '--fresh'], folder.path);
    expect(fresh.stdout).toContain('Starting with new weights');
    expect(readdirSync(join(folder.path, 'edgeloop')).toSorted()).toEqual([
      'demo.safetensors',
      'demo.safetensors.old',
    ]);
  });

  it('prints a plain line every second where there is no terminal', async () => {
    const { stdout } = await run(['demo', '--for', '3500ms'], folder.path);
    const lines = stdout.match(
      /^ *\d+ rows\/s \| right .*most frequent.*at changes \d+\/\d+ \| dropped \d+$/gm,
    );
    expect(lines).toHaveLength(3);
    expect(stdout).not.toContain('\x1b');
  });

  it('saves at Ctrl-C, says how it went and ends well', async () => {
    const program = new Program(['demo'], folder.path);
    await program.prints(/rows\/s/);
    const { status, stdout } = await program.kill('SIGINT');
    expect(status).toBe(0);
    expect(stdout).toMatch(/ rows, the last of them in a run of .* learned/);
    expect(learnedSoFar()).toBeGreaterThan(50);
  });

  it('leaves a whole weight file whenever it is told to end: 20 tries', async () => {
    let learned = 0;
    for (let attempt = 0; attempt < 20; attempt++) {
      const program = new Program(['demo'], folder.path);
      await program.prints(/Learning "state"/);
      await new Promise((resolve) => setTimeout(resolve, 20 + 23 * attempt));
      const { status } = await program.kill('SIGTERM');
      expect(status, `attempt ${attempt}`).toBe(0);
      expect(learnedSoFar(), `attempt ${attempt}`).toBeGreaterThanOrEqual(learned);
      learned = learnedSoFar();
    }
    expect(learned).toBeGreaterThan(100);
  }, 120_000);

  it('saves and ends well when whoever read its predictions has gone', async () => {
    const program = new Program(['demo', '--output', 'jsonl'], folder.path);
    await program.prints(/"class"/);
    program.child.stdout!.destroy();
    const { status } = await program.ended;
    expect(status).toBe(0);
    expect(learnedSoFar()).toBeGreaterThan(0);
  });

  it('prints its summary and its document when it cannot save, and says so', async () => {
    const weights = '/sys/no-such-folder/demo.safetensors'; // where nobody can make a directory, not even root
    const { status, stdout, stderr } = await run(
      ['demo', '--for', '2s', '--json', '--weights', weights],
      folder.path,
    );
    expect(stderr).toMatch(/ rows, the last of them in a run of .* learned/);
    expect(stderr).toMatch(/edgeloop: ELOOP_STORE: .*cannot make its directory \(E[A-Z]+\).*\n$/);
    expect(stderr).not.toMatch(/^ +at .*:\d+:\d+\)?$/m);
    expect(JSON.parse(stdout).rows).toBeGreaterThan(0);
    expect(status).toBe(1);
  });

  it('refuses a damaged weight file with a sentence and leaves it as it is', async () => {
    await run(['demo', '--for', '1s'], folder.path);
    const bytes = readFileSync(weightFile());
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(weightFile(), bytes);
    const { status, stderr } = await run(['demo', '--for', '1s'], folder.path);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^edgeloop: ELOOP_FORMAT: .*demo\.safetensors/);
    expect(readFileSync(weightFile())).toEqual(bytes);
  });
});
