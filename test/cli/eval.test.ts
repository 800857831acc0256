import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mulberry32 } from '../../src/engine/random.ts';
import { run, temporaryFolder } from '../support/program.ts';

let folder: ReturnType<typeof temporaryFolder>;
let file: string;

beforeEach(() => {
  folder = temporaryFolder();
  file = join(folder.path, 'motor.csv');
  const random = mulberry32(3);
  const lines = Array.from({ length: 3000 }, (_, row) => {
    const state = Math.floor(row / 100) % 2;
    const x = state + 0.4 * random();
    return `${row},${x.toFixed(3)},${(2 * x + random()).toFixed(3)},${state === 1 ? 'on' : 'off'}`;
  });
  writeFileSync(file, `time,x,y,state\n${lines.join('\n')}\n1,bad,2,on\n`);
});
afterEach(() => folder.dispose());

const evaluate = (...args: string[]) => run(['eval', file, ...args], folder.path);

describe('edgeloop eval', () => {
  it('predicts, scores and learns a file as a stream, and says how good it was', async () => {
    const { status, stdout } = await evaluate('--label', 'state', '--columns', 'x,y', '--json');
    expect(status).toBe(0);
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({ task: 'classify', rows: 3000, learned: 3000, classes: ['off', 'on'] });
    expect(document.dropped.notANumber).toEqual({ rows: 1, firstLine: 3002 });
    expect(document.scores.all.accuracy).toBeGreaterThan(0.97);
    expect(document.scores.against.majority.verdict).toBe('better');
  });

  it('learns numbers, foretells, and guards', async () => {
    const numbers = await evaluate('--target', 'y', '--columns', 'x', '--json');
    expect(JSON.parse(numbers.stdout).scores.targets[0].all.rmse).toBeLessThan(0.35);
    const forecast = await evaluate(
      '--forecast',
      'x',
      '--columns',
      'x',
      '--set',
      'task.horizonRows=3',
      '--json',
    );
    expect(JSON.parse(forecast.stdout)).toMatchObject({ task: 'forecast', labelled: 3000 - 3 - 23 });
    const guard = await evaluate('--anomaly', '--columns', 'x,y');
    expect(guard.stdout).toMatch(/learned 2,000 rows/);
  });

  it('refuses what it cannot do with a sentence', async () => {
    expect((await evaluate()).stderr).toMatch(/expected one of --label, --target, --forecast and --anomaly/);
    expect((await evaluate('--label', 'colour')).stderr).toMatch(/colour/);
    expect((await evaluate('--label', 'state', '--set', 'network.hidden=0')).stderr).toMatch(
      /network\.hidden.*expected an integer from 1/,
    );
  });
});
