import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openPty } from '../../src/demo/pty.ts';
import { BENCH_DIALECTS, type BenchDialect, makeStream } from '../bench/serial/streams.ts';
import { Program, run, temporaryFolder } from '../support/program.ts';

const folder = temporaryFolder();
afterAll(folder.dispose);

const ROW_EVERY_MS = 10;

/** A board that speaks the dialect while `use` works with its tty. */
async function withBoard<T>(dialect: BenchDialect, use: (path: string) => Promise<T>): Promise<T> {
  const pty = await openPty();
  const { opening, rows } = makeStream(dialect);
  let row = 0;
  const timer = setInterval(() => {
    if (row === 0 || (row % 50 === 0 && REPEATED.has(dialect))) pty.write(opening);
    pty.write(rows[row++ % rows.length]);
  }, ROW_EVERY_MS);
  try {
    return await use(pty.path);
  } finally {
    clearInterval(timer);
    await pty.close();
  }
}

/** These say again and again what the columns are called. */
const REPEATED = new Set<BenchDialect>(['csv', 'frames']);

/** The class's column has a name only where one is sent. */
const NAMED = new Set<BenchDialect>(['plotter', 'json', 'csv', 'frames']);

describe.concurrent('a board of any dialect', () => {
  it.for(BENCH_DIALECTS)(
    'is recorded with what was recognised, and replayed as rows: %s',
    async (dialect, { expect }) => {
      const out = join(folder.path, dialect);
      const ended = await withBoard(dialect, (path) =>
        run(['record', path, '--for', '4s', '--out', out], folder.path),
      );
      expect(ended.status, ended.stderr).toBe(0);
      const replay = async (): Promise<Record<string, unknown>[]> => {
        const { stdout, stderr, status } = await run(['replay', out], folder.path);
        expect(status, stderr).toBe(0);
        return stdout
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line));
      };
      const rows = await replay();
      expect(rows.length).toBeGreaterThan(100);
      for (const { values } of rows) expect(values).toHaveLength(6);
      if (dialect !== 'teleplot')
        expect(new Set(rows.map(({ label }) => label))).toEqual(new Set(['off', 'on']));
      expect(await replay(), 'the same records again').toEqual(rows);
    },
  );

  it('whose clock was printed: the rows have its intervals, the same ones again', async ({ expect }) => {
    const out = join(folder.path, 'clocked');
    const pty = await openPty();
    let row = 0;
    let reset = Infinity;
    const timer = setInterval(() => {
      // Two rows at once, as if they had waited; the clock wraps, and the board is reset once.
      for (let i = 0; i < 2; i++, row++) {
        const us = row < reset ? (4_294_000_000 + 5000 * row) % 2 ** 32 : 5000 * (row - reset);
        pty.write(`${us},${row},on\n`);
      }
    }, ROW_EVERY_MS);
    const program = new Program(['record', pty.path, '--out', out], folder.path);
    await program.prints(/^Recording/);
    reset = row + 100;
    const isOver = (): boolean => row >= reset + 200;
    while (!isOver()) await new Promise((resolve) => setTimeout(resolve, 10));
    const ended = await program.kill('SIGTERM');
    clearInterval(timer);
    await pty.close();
    expect(ended.status, ended.stderr).toBe(0);
    const clock = ['--columns', 'us,x,state', '--label', 'state', '--time', 'us', '--unit', 'us'];
    const replay = () => run(['replay', out, ...clock], folder.path);
    const [first, second] = await Promise.all([replay(), replay()]);
    expect(first.stderr).toMatch(/; the board began anew, 1 times\./);
    expect(second.stdout).toBe(first.stdout);
    const rows = first.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { timeUs: number; values: number[] });
    expect(rows.length).toBeGreaterThan(200);
    const steps = rows.slice(1).map(({ timeUs, values }, index) => [values[0], timeUs - rows[index].timeUs]);
    for (const [x, stepUs] of steps) if (x !== reset) expect(stepUs, `at ${x}`).toBe(5000);
  });

  it.for(BENCH_DIALECTS)('is recognised by sniff: %s', async (dialect, { expect }) => {
    const { stdout, stderr } = await withBoard(dialect, (path) =>
      run(['sniff', path, '--for', '3s'], folder.path),
    );
    expect(stderr).toBe('');
    expect(stdout).toMatch(new RegExp(`format = "${dialect}"`));
    if (NAMED.has(dialect) && dialect !== 'frames') expect(stdout).toContain('label = "state"');
    if (dialect !== 'frames') return;
    expect(stdout).toMatch(
      /# - the board describes them: ax, ay, az, .*; classes off, on; 1000 rows per second/,
    );
    expect(stdout).toContain('columns = ["ax", "ay", "az", "gx", "gy", "gz", "label"]');
  });
});

describe('the help', () => {
  it.each(['run', 'demo', 'trace', 'ports', 'sniff', 'record', 'replay'])(
    'of %s says what it takes',
    async (command) => {
      const program = new Program([command, '--help'], folder.path);
      const { status, stdout } = await program.ended;
      expect(status).toBe(0);
      expect(stdout).toMatch(new RegExp(`^edgeloop ${command}`));
    },
  );
});
