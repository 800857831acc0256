import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ArenaPlan } from '../../src/engine/arena.ts';
import { type Network, openNetwork, planNetwork, writeParameters } from '../../src/engine/network.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import { forward } from '../../src/engine/reference.ts';
import { RecordingWriter } from '../../src/store/recording.ts';
import { type TensorFile, decodeSafetensors } from '../../src/store/safetensors.ts';
import { type Ended, Program, run, temporaryFolder } from '../support/program.ts';
import { DATA } from '../bench/learning/offline-sets.ts';

let folder: ReturnType<typeof temporaryFolder>;
let csv = '';
let weights = '';
beforeEach(() => {
  folder = temporaryFolder();
  csv = join(folder.path, 'motor.csv');
  weights = join(folder.path, 'motor.safetensors');
});
afterEach(() => folder.dispose());

const train = (...args: string[]): Promise<Ended> =>
  run(['train', csv, '--out', weights, ...args], folder.path);

interface Document {
  task: string;
  rows: { train: number; validation: number; unanswered: number };
  dropped: Record<string, { rows: number; firstLine: number }>;
  inputs: string[];
  classes?: string[];
  targets?: string[];
  epochs: number;
  bestEpoch: number;
  stopped: boolean;
  workers: number;
  validation: {
    rows: number;
    network: { accuracy: number; targets?: { target: string; rmse: number; r2: number }[] };
    beside: Record<string, { accuracy: number; gain: { verdict: string } }>;
  };
  weights: string;
}

const documentOf = ({ stdout }: Ended): Document => JSON.parse(stdout) as Document;

/** Whether x and y have the same sign, in stretches of five rows; a number that depends on both; some noise. */
function rows(count: number): string[] {
  const random = mulberry32(4);
  let [x, y] = [0, 0];
  return Array.from({ length: count }, (_, row) => {
    if (row % 5 === 0) [x, y] = [2 * random() - 1, 2 * random() - 1];
    const state = x * y > 0 ? 'same' : 'other';
    const time = new Date(Date.UTC(2026, 0, 1, 0, 0, row)).toISOString();
    return `${time},${row},${x.toFixed(4)},${(y + 0.01 * random()).toFixed(4)},${state},${(x * y).toFixed(4)}`;
  });
}

const HEADER = 'when,No,x,y,state,product';

function writeCsv(lines = rows(3000), header = HEADER): void {
  writeFileSync(csv, `${header}\n${lines.join('\n')}\n`);
}

describe('edgeloop train', () => {
  it('needs no more than a file and a label, and says how good the result is', async () => {
    writeCsv();
    const { status, stdout, stderr } = await train('--label', 'state');
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const said = [
      /motor\.csv: 3,000 rows\. Classify: 2 classes: (same, other|other, same); from 3 inputs: x, y, product\./,
      /"state" is taken as classes: it holds texts\./,
      /Not used: No \(row numbers\)\./,
      /"when" is the time of a row, and no input\./,
      /3 inputs -> 32 hidden \(tanh\) -> 2 outputs; adam 0\.001, batches of 32, up to 200 epochs/,
      /Learning from 2,400 rows; the last 600 are kept for validation\./,
      /On the 600 rows kept, which also chose the epoch:/,
      / right +\d+\.\d % +balanced \d+\.\d %, kappa [\d.]+, F1 [\d.]+, log loss 0\.\d+/,
      / the most frequent class +\d+\.\d % +the network is better: \d+\.\d points \(\d+\.\d to \d+\.\d\)/,
      / the label before +\d+\.\d %/,
      / a linear model +\d+\.\d %/,
      /hidden = 32, classes = 2, activation = "tanh"/,
    ];
    for (const pattern of said) expect(stdout).toMatch(pattern);
    expect(existsSync(weights)).toBe(true);
  });

  it('prints the same as JSON, and the words on standard error', async () => {
    writeCsv();
    const ended = await train('--label', 'state', '--columns', 'x,y', '--json', '--rate', '0.01');
    expect(ended.stdout.trimEnd().split('\n').length).toBe(1);
    expect(ended.stderr).toContain('On the 600 rows kept');
    const { task, rows: counts, inputs, validation, stopped, epochs, bestEpoch } = documentOf(ended);
    expect({ task, counts, inputs, stopped }).toEqual({
      task: 'classify',
      counts: { train: 2400, validation: 600, unanswered: 0 },
      inputs: ['x', 'y'],
      stopped: false,
    });
    expect(epochs).toBeGreaterThanOrEqual(bestEpoch);
    expect(validation.network.accuracy).toBeGreaterThan(0.95);
    expect(Object.keys(validation.beside)).toEqual(['majority', 'lastLabel', 'linear']);
    for (const { accuracy, gain } of Object.values(validation.beside)) {
      expect(accuracy).toBeLessThan(0.94);
      expect(gain.verdict).toBe('better');
    }
  });

  it('gives the same bytes for the same seed, and others for another', async () => {
    writeCsv(rows(500));
    const bytes: string[] = [];
    for (const seed of ['1', '1', '2']) {
      await train('--label', 'state', '--seed', seed, '--epochs', '5');
      bytes.push(readFileSync(weights, 'hex'));
    }
    expect(bytes[0]).toBe(bytes[1]);
    expect(bytes[0]).not.toBe(bytes[2]);
    expect(readFileSync(`${weights}.old`, 'hex')).toBe(bytes[1]);
  });

  it('writes weights that predict as it says, with the statistics that standardise', async () => {
    writeCsv();
    const { validation } = documentOf(
      await train('--label', 'state', '--columns', 'x,y', '--rate', '0.01', '--json'),
    );
    const file = decodeSafetensors(readFileSync(weights), weights);
    const classes = JSON.parse(file.metadata['edgeloop.classes']) as string[];
    expect(JSON.parse(file.metadata['edgeloop.config'])).toEqual({
      inputs: ['x', 'y'],
      hiddenActivation: 'tanh',
      outputActivation: 'identity',
      loss: 'crossEntropy',
    });
    const network = networkOf(file, 2, 32, 2);
    const [mean, m2, count] = ['mean', 'm2', 'count'].map((name) => file.tensors.get(`scaler.${name}`)!.data);
    expect([...count]).toEqual([2400, 2400]);
    let right = 0;
    for (const line of rows(3000).slice(2400)) {
      const cells = line.split(',');
      [cells[2], cells[3]].forEach((cell, i) => {
        network.inputs[i] = (Number(cell) - mean[i]) / Math.sqrt(m2[i] / count[i]);
      });
      forward(network);
      right += Number(classes[network.outputs[1] > network.outputs[0] ? 1 : 0] === cells[4]);
    }
    expect(right / 600).toBeCloseTo(validation.network.accuracy, 2);
  });

  it('regresses where the label holds numbers, or targets are named', async () => {
    writeCsv();
    const one = documentOf(await train('--label', 'product', '--columns', 'x,y', '--rate', '0.01', '--json'));
    expect([one.task, one.targets]).toEqual(['regress', ['product']]);
    expect(one.validation.network.targets![0].r2).toBeGreaterThan(0.95);
    expect(Object.keys(one.validation.beside)).toEqual(['mean', 'persistence', 'linear']);
    expect(one.validation.beside.linear.gain.verdict).toBe('better');
    const file = decodeSafetensors(readFileSync(weights), weights);
    expect(file.metadata['edgeloop.targets']).toBe('["product"]');
    expect(file.metadata['edgeloop.classes']).toBe('[]');
    expect([...file.tensors.get('target.count')!.data]).toEqual([2400]);
    const mean = rows(2400).reduce((sum, line) => sum + Number(line.split(',')[5]) / 2400, 0);
    expect(file.tensors.get('target.mean')!.data[0]).toBeCloseTo(mean, 6);
    expect(file.tensors.get('target.m2')!.data[0]).toBeGreaterThan(0);

    const two = await train('--target', 'product,y', '--columns', 'x');
    expect(two.stdout).toMatch(/Regress: product, y; from 1 input: x\.[^]*product, RMSE[^]*y, RMSE/);
  });

  it('takes few integers as classes and says so, and as a number when told', async () => {
    writeCsv(
      rows(300).map((line, i) => `${line},${i % 3}`),
      `${HEADER},gear`,
    );
    const classes = await train('--label', 'gear');
    expect(classes.stdout).toMatch(
      /"gear" is taken as classes: it holds 3 different integers \(--task regress if/,
    );
    const number = await train('--label', 'gear', '--task', 'regress');
    expect(number.stdout).toMatch(/"gear" is taken as numbers: --task says so\./);
    const names = await train('--label', 'No', '--task', 'classify');
    expect(names.stderr).toMatch(/motor\.csv:258: expected up to 256 classes in column "No"/);
  });

  it('leaves out rows without a label and bad rows, and says so', async () => {
    const lines = rows(400);
    for (let i = 0; i < 50; i++) lines[i] = lines[i].replace(/same|other/, '');
    lines[70] = 'nonsense';
    writeCsv(lines);
    const ended = await train('--label', 'state', '--json');
    expect(ended.stderr).toMatch(
      /50 rows have nothing to be predicted[^]*Dropped: 1 columnCount \(first in line 72\)/,
    );
    expect(documentOf(ended).rows).toEqual({ train: 280, validation: 69, unanswered: 50 });
  });

  it('warns of rows that are sorted by class', async () => {
    const sorted = rows(400).toSorted((a, b) => a.split(',')[4].localeCompare(b.split(',')[4]));
    writeCsv(sorted);
    const tail = await train('--label', 'state');
    expect(tail.stdout).toMatch(
      /The rows are sorted by class, so the last ones are no fair test: see --split shuffled/,
    );
    expect(tail.stdout).toMatch(/Time runs backwards at line \d+/);
    const shuffled = documentOf(await train('--label', 'state', '--split', 'shuffled', '--json'));
    expect(Object.keys(shuffled.validation.beside)).toEqual(['majority', 'linear']);
  });

  it('learns from all rows without a validation part, and says that it is not scored', async () => {
    writeCsv(rows(200));
    const { stdout } = await train('--label', 'state', '--validation', '0', '--epochs', '3');
    expect(stdout).toMatch(/Learning from 200 rows; none are kept\.[^]*those of epoch 3\.\nNot scored/);
  });

  it('ends orderly on Ctrl-C, with the best weights saved', async () => {
    writeCsv();
    const args = ['--label', 'state', '--epochs', '1000000', '--patience', '1000000', '--json'];
    const program = new Program(['train', csv, '--out', weights, ...args], folder.path);
    await untilSays(program, /Learning from/);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const ended = await program.kill('SIGINT');
    expect(ended.status).toBe(0);
    expect(ended.stderr).toMatch(/Stopped after [\d,]+ epochs/);
    const { stopped, bestEpoch, validation } = documentOf(ended);
    expect(stopped).toBe(true);
    expect(bestEpoch).toBeGreaterThan(0);
    expect(Object.keys(validation.beside)).toEqual(['majority', 'lastLabel']); // a linear model would take its time
    expect(decodeSafetensors(readFileSync(weights), weights).tensors.size).toBe(7);
  });

  it('shows progress of what takes longer than two seconds', async () => {
    writeCsv();
    const args = ['--label', 'state', '--epochs', '1000000', '--patience', '1000000'];
    const program = new Program(['train', csv, '--out', weights, ...args], folder.path);
    await untilSays(
      program,
      /training \[\.{20}\] 0 %  [\d.]+ [kM] samples\/s  \d+ (?:h|min) \d+ (?:min|s) left  epoch \d+  loss \S+, on the rows kept/,
    );
    await program.kill('SIGINT');
  });

  it('learns from a recording', async () => {
    csv = join(folder.path, 'recording');
    const description = { columns: ['x', 'y', 'state'], label: 'state' };
    const writer = await RecordingWriter.create({ directory: csv, description });
    rows(1500).forEach((line, row) => {
      const [, , x, y, state] = line.split(',');
      const bytes = Buffer.from(`${x},${y},${row % 10 === 0 ? '' : state}\n${row === 700 ? 'what\n' : ''}`);
      writer.take(bytes, bytes.length, 1000 * row);
    });
    await writer.close();
    const ended = await train('--rate', '0.01', '--json');
    expect(ended.stderr).toContain('Classify: 2 classes');
    const { rows: counts, inputs, dropped, validation } = documentOf(ended);
    // The first line may have begun before the port was opened.
    expect(counts).toEqual({ train: 1080, validation: 270, unanswered: 149 });
    expect(inputs).toEqual(['x', 'y']);
    expect(dropped).toEqual({ torn: { rows: 1 }, columnCount: { rows: 1 } });
    expect(validation.network.accuracy).toBeGreaterThan(0.9);

    const number = documentOf(await train('--target', 'y', '--json'));
    expect([number.task, number.inputs, number.targets]).toEqual(['regress', ['x'], ['y']]);
  });

  it.each([
    ['no file', ['train'], 2, /expected one CSV file or recording, got none/],
    [
      'nothing to predict',
      ['train', 'CSV'],
      2,
      /expected what is to be predicted: --label .* has when \(time\), No \(counter\), x \(number\)/,
    ],
    ['both', ['train', 'CSV', '--label', 'x', '--target', 'y'], 2, /expected --label or --target, got both/],
    [
      'another column',
      ['train', 'CSV', '--label', 'z'],
      2,
      /expected one of its columns, when, No, x, y, state, product; got "z"/,
    ],
    [
      'a text as target',
      ['train', 'CSV', '--target', 'state'],
      2,
      /target: expected numbers in column "state", got texts/,
    ],
    [
      'a bad number',
      ['train', 'CSV', '--label', 'state', '--hidden', '0'],
      2,
      /--hidden: expected an integer from 1 to 4096, got "0"/,
    ],
    [
      'a bad rate',
      ['train', 'CSV', '--label', 'state', '--rate', 'fast'],
      2,
      /--rate: expected a number from .* got "fast"/,
    ],
    [
      'a bad choice',
      ['train', 'CSV', '--label', 'state', '--split', 'x'],
      2,
      /--split: expected one of tail, shuffled, got "x"/,
    ],
    [
      'too few outputs',
      ['train', 'CSV', '--label', 'No', '--task', 'classify', '--classes', '2'],
      2,
      /--classes: expected at least the 40/,
    ],
    ['no such file', ['train', 'none.csv', '--label', 'x'], 1, /none\.csv: cannot be opened \(ENOENT\)/],
    ['one class', ['train', 'ONE', '--label', 'state'], 1, /expected at least two classes, got only "a"/],
    [
      'hardly a row',
      ['train', 'FEW', '--label', 'state'],
      1,
      /expected at least 10 rows with what is to be predicted, got 2/,
    ],
    [
      'an unwritable place',
      ['train', 'CSV', '--label', 'state', '--out', '/dev/null/w'],
      1,
      /ELOOP_STORE: \/dev\/null\/w: .*(EEXIST|ENOTDIR).*--out/,
    ],
  ])('says what is wrong: %s', async (_, args, status, sentence) => {
    writeCsv(rows(40));
    writeFileSync(join(folder.path, 'one.csv'), `x,state\n${'1,a\n'.repeat(20)}`);
    writeFileSync(join(folder.path, 'few.csv'), 'x,state\n1,a\n2,b\n');
    const files: Record<string, string> = {
      CSV: csv,
      ONE: join(folder.path, 'one.csv'),
      FEW: join(folder.path, 'few.csv'),
    };
    const ended = await run(
      args.map((argument) => files[argument] ?? argument),
      folder.path,
    );
    expect(ended.stderr).toMatch(sentence);
    expect(ended.status).toBe(status);
    expect(existsSync(weights)).toBe(false);
  });

  it('explains itself', async () => {
    const { status, stdout } = await run(['train', '--help'], folder.path);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^edgeloop train FILE\.csv\|RECORDING --label NAME/);
    expect(Math.max(...stdout.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(120);
    expect((await run(['--help'], folder.path)).stdout).toContain('edgeloop train FILE');
  });

  const set = join(DATA, 'occupancy/occupancy.csv');
  if (!existsSync(set)) console.warn('SKIPPED: edgeloop train on occupancy. Set EDGELOOP_DATA.');

  it.skipIf(!existsSync(set))('makes a scored model of a public set in one command', async () => {
    csv = set;
    const { validation } = documentOf(await train('--label', 'Occupancy', '--json'));
    expect(validation.network.accuracy).toBeGreaterThan(0.985);
    expect(validation.beside.majority.gain.verdict).toBe('better');
  });
});

/** @returns when standard error and output together match */
async function untilSays(program: Program, pattern: RegExp): Promise<void> {
  for (let waited = 0; !pattern.test(program.stdout + program.stderr); waited += 20) {
    if (waited > 25_000) throw new Error(`not said: ${pattern}\n${program.stdout}\n${program.stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function networkOf({ tensors }: TensorFile, inputs: number, hidden: number, outputs: number): Network {
  const config = {
    inputs,
    hidden,
    outputs,
    hiddenActivation: 'tanh',
    outputActivation: 'identity',
    loss: 'crossEntropy',
    learningRate: 0.1,
  } as const;
  const plan = new ArenaPlan();
  const parts = planNetwork(plan, config);
  const network = openNetwork(plan.allocate().buffer, config, parts);
  const [weights1, bias1, weights2, bias2] = [
    'layer1.weight',
    'layer1.bias',
    'layer2.weight',
    'layer2.bias',
  ].map((name) => tensors.get(name)!.data as Float32Array);
  writeParameters(network, { weights1, bias1, weights2, bias2 });
  return network;
}
