import { describe, expect, it } from 'vitest';
import { mulberry32 } from '../../src/engine/random.ts';
import { type Recognition, Sample, recognise } from '../../src/serial/recognise.ts';

const READ_US = 16_000;

/** Reads every 16 ms, as a USB adapter hands bytes over, of rows that come at `rowsPerSecond`. */
function hear(rows: readonly string[], rowsPerSecond = 100, silenceUs = 0): Recognition {
  const sample = new Sample(0);
  let waiting = '';
  let nextReadUs = silenceUs + READ_US;
  const read = (): void => {
    const bytes = Buffer.from(waiting, 'latin1');
    if (bytes.length > 0) sample.add(bytes, bytes.length, nextReadUs);
    waiting = '';
  };
  for (const [index, row] of rows.entries()) {
    const timeUs = silenceUs + (index * 1e6) / rowsPerSecond;
    while (timeUs >= nextReadUs) {
      read();
      nextReadUs += READ_US;
    }
    waiting += Buffer.from(row).toString('latin1');
  }
  read();
  return recognise(sample);
}

const states = ['off', 'running', 'unbalanced'];

/** 300 rows after the torn end of one. */
function rowsOf(print: (x: number, y: number, state: string) => string): string[] {
  const random = mulberry32(9);
  const number = (): number => Math.trunc((random() - 0.5) * 2e4) / 1000;
  const rows = Array.from({ length: 300 }, (_, row) =>
    print(number(), number(), states[Math.floor(row / 40) % 3]),
  );
  return [`rn\r\n`, ...rows];
}

const log = (rows: string[]): string[] =>
  rows.flatMap((row, index) => (index % 6 === 5 ? [`[${index}] wifi: rssi -70 dBm\n`, row] : [row]));

describe('a stream is recognised', () => {
  it.each([
    [
      'numbers',
      rowsOf((x, y, state) => `${x},${y},${state}\r\n`),
      { columns: ['c1', 'c2', 'label'], separator: 'comma' },
    ],
    [
      'numbers',
      rowsOf((x, y, state) => `${x}, ${y}, ${state},\n`),
      { columns: ['c1', 'c2', 'label'], separator: 'comma' },
    ],
    [
      'numbers',
      rowsOf((x, y, state) => `${state};${x};${y}\n`.replaceAll('.', ',')),
      { columns: ['label', 'c2', 'c3'], separator: 'semicolon' },
    ],
    [
      'numbers',
      rowsOf((x, y, state) => `${x}\t${y}\t${state}\n`.replaceAll('.', ',')),
      { columns: ['c1', 'c2', 'label'], separator: 'tab' },
    ],
    [
      'numbers',
      rowsOf((x, y, state) => ` ${x}  ${y} ${state}\n`),
      { columns: ['c1', 'c2', 'label'], separator: 'space' },
    ],
    ['plotter', rowsOf((x, y, state) => `x:${x},y:${y},state:${state}\n`), { columns: ['x', 'y', 'state'] }],
    [
      'plotter',
      rowsOf((x, y, state) => `air temp: ${x}, y: ${y}, state: ${state}\n`),
      { columns: ['air temp', 'y', 'state'], separator: 'comma' },
    ],
    [
      'teleplot',
      rowsOf((x, y, state) => `>x:${x}§g\n>y:17:${y}\n>state:${state}|t\n`),
      { columns: ['x', 'y', 'state'] },
    ],
    [
      'json',
      rowsOf((x, y, state) => `${JSON.stringify({ y, state, x, ok: true })}\n`),
      { columns: ['y', 'state', 'x'] },
    ],
    [
      'csv',
      rowsOf((x, y, state) => `${x},${y},${state}\n`).flatMap((row, index) =>
        index % 50 === 1 ? ['\n', 'x,y,state\n', row] : [row],
      ),
      { columns: ['x', 'y', 'state'] },
    ],
    [
      'text',
      rowsOf((x, y, state) => `Acc (mg) [ ${x}, ${y} ] state=${state}\n`),
      { columns: ['c1', 'c2', 'label'], pattern: 'Acc (mg) [ {c1}, {c2} ] state={label}' },
    ],
    [
      'text',
      rowsOf((x, y, state) => `T = ${x}C / H = ${y}% (${state})\n`),
      { columns: ['T', 'H', 'label'], pattern: 'T = {T}C / H = {H}% ({label})' },
    ],
  ])('as %s with its columns and its classes: %#', (kind, rows, format) => {
    for (const heard of [rows, log(rows)]) {
      const found = hear(heard, heard.length / 3);
      expect(found.kind, found.because.join('; ')).toBe(kind);
      expect(found.format).toMatchObject(format);
      expect(found.format!.columns).toContain(found.format!.label);
      expect(found.labels).toEqual(expect.arrayContaining(states));
      expect(found.labels.length).toBe(3);
      expect(found.rows).toBeGreaterThanOrEqual(298);
    }
  });

  it('as numbers without a class, one column or many', () => {
    const one = hear(rowsOf((x) => `${x}\n`));
    expect(one).toMatchObject({ kind: 'numbers', format: { columns: ['c1'], label: undefined } });
    const many = hear(rowsOf((x, y) => `${x},${y},1\n`));
    expect(many).toMatchObject({
      kind: 'numbers',
      format: { columns: ['c1', 'c2', 'c3'], label: undefined },
    });
    expect(many.because.join()).toMatch(/no column holds text/);
  });

  it('as numbers when every row ends with two newlines: those are no segments', () => {
    expect(hear(rowsOf((x, y) => `${x},${y}\n\n`)).kind).toBe('numbers');
  });

  it('with the header that a board prints when it starts', () => {
    const rows = rowsOf((x, y, state) => `${x},${y},${state}\n`).slice(1);
    const started = hear(['x,y,state\n', ...rows], 100, 1_500_000);
    expect(started).toMatchObject({ kind: 'csv', format: { columns: ['x', 'y', 'state'], label: 'state' } });
  });

  it('as Teleplot whose rows begin with what the board prints first, wherever listening began', () => {
    const rows = rowsOf((x, y) => `>x:${x}\n>y:${y}\n>z:1\n`);
    const found = hear(['ear\n>y:1\n>z:1\n', ...rows.slice(1)], 50);
    expect(found.format?.columns).toEqual(['x', 'y', 'z']);
  });

  it('as frames, when blocks between zero bytes are sound COBS', () => {
    const random = mulberry32(3);
    const frames = Array.from({ length: 50 }, () => {
      const body = Array.from({ length: 24 }, () => 1 + Math.floor(random() * 255));
      return Buffer.from([25, ...body, 0]).toString('latin1');
    });
    const sample = new Sample(0);
    const bytes = Buffer.from(frames.join(''), 'latin1').subarray(7);
    sample.add(bytes, bytes.length, 1);
    expect(recognise(sample).kind).toBe('frames');
  });

  it.each([1, 2, 3, 4, 5])('as noise, when another baud rate garbles it: seed %i', (seed) => {
    const random = mulberry32(seed);
    const sample = new Sample(0);
    const bytes = Uint8Array.from({ length: 5000 }, () => Math.floor(random() * 256));
    sample.add(bytes, bytes.length, 1);
    const { kind, because } = recognise(sample);
    expect(kind).toBe('noise');
    expect(because.join()).toMatch(/baud rate/);
  });

  it('as what it is, when it is nothing that can be learned from', () => {
    expect(recognise(new Sample(0)).kind).toBe('silence');
    expect(hear(['boot ok\n', 'waiting for wifi\n', 'waiting for wifi\n'])).toMatchObject({
      kind: 'unknown',
    });
    expect(hear(['1,2\r', '3,4\r']).because.join()).toMatch(/carriage return/);
    expect(hear(['1,2,3']).because.join()).toMatch(/without a line end/);
  });
});

describe("the board's clock is found", () => {
  const clocked: [string, (t: string, x: number, state: string) => string, string][] = [
    ['numbers', (t, x, state) => `${x},${t},${state}\n`, 'time'],
    ['plotter', (t, x, state) => `x:${x} t:${t} state:${state}\n`, 't'],
    ['teleplot', (t, x, state) => `>x:${t}:${x}§g\n>state:${t}:${state}|t\n`, 'stamp'],
    ['json', (t, x, state) => `{"t":${t},"x":${x},"state":"${state}"}\n`, 't'],
    ['csv', (t, x, state) => `${Number(t) === 0 ? 't,x,state\n' : ''}${t},${x},${state}\n`, 't'],
    ['text', (t, x, state) => `at ${t} x [ ${x} ] ${state}\n`, ''],
  ];
  /** 300 rows, 2 % faster than ours, reset in the middle. */
  const rowsWith = (print: (typeof clocked)[0][1], perSecond: number, decimals = 0): string[] => {
    const random = mulberry32(4);
    const rows = Array.from({ length: 300 }, (_, row) => {
      const seconds = (1.02 * (row % 220)) / 100;
      return print((seconds * perSecond).toFixed(decimals), random(), states[row % 3]);
    });
    return ['rn\n', ...rows];
  };

  it.each(clocked)('in %s', (kind, print, time) => {
    for (const [unit, perSecond, decimals] of [
      ['ms', 1000, 0],
      ['us', 1e6, 0],
      ['s', 1, 3],
    ] as const) {
      if (kind === 'teleplot' && unit === 's') continue; // its stamps are digits alone
      const found = hear(rowsWith(print, perSecond, decimals), 100);
      expect(found.kind).toBe(kind);
      expect(found.format, found.because.join('; ')).toMatchObject({
        time: time === '' ? expect.stringMatching(/^at$|^time$/) : time,
        timeUnit: unit,
        label: expect.stringMatching(/^label$|^state$/),
      });
      expect(found.because.join()).toMatch(/the board's clock, which times the rows/);
    }
  });

  it('in whole milliseconds of a board that prints 1,500 rows a second', () => {
    const rows = Array.from({ length: 3000 }, (_, row) => `${Math.floor(row / 1.5)},${row % 7}\n`);
    expect(hear(['\n', ...rows], 1500).format).toMatchObject({ time: 'time', timeUnit: 'ms' });
  });

  it.each([
    ['a counter of rows', (row: number) => `${row},${row % 7}\n`],
    ['an angle that turns', (row: number) => `${(row * 3) % 360},${row % 7}\n`],
    [
      'what rises at random',
      (row: number) => `${(row * 10) ^ (row % 5)},${row % 7}\n`.replace(/^(\d)/, '1$1'),
    ],
    ['a clock alone', (row: number) => `${row * 10}\n`],
  ])('not in %s', (_what, print) => {
    const found = hear(['\n', ...Array.from({ length: 300 }, (_, row) => print(row))], 100);
    expect(found.kind).toBe('numbers');
    expect(found.format!.time).toBeUndefined();
  });
});

describe('the rows per second', () => {
  const rows = rowsOf((x, y) => `${x},${y}\n`);

  it.each([5, 20, 62.5, 100, 1000])(
    'are within a twentieth of %d, however they are batched',
    (rowsPerSecond) => {
      const { rate } = hear(rows, rowsPerSecond);
      expect(rate!.rowsPerSecond).toBeGreaterThan(rowsPerSecond * 0.95);
      expect(rate!.rowsPerSecond).toBeLessThan(rowsPerSecond * 1.05);
      expect(rate!.gaps).toBe(0);
      expect(rate!.jitterMs).toBeLessThan(17);
    },
  );

  it('do not count pauses, which are reported', () => {
    const sample = new Sample(0);
    let timeUs = 0;
    for (let row = 0; row < 400; row++) {
      timeUs += row === 100 || row === 300 ? 2_000_000 : 10_000;
      const bytes = Buffer.from(`${row},1\n`);
      sample.add(bytes, bytes.length, timeUs);
    }
    const { rate } = recognise(sample);
    expect(rate).toMatchObject({ gaps: 2, longestGapMs: 2000, rowsPerRead: 1 });
    expect(rate!.rowsPerSecond).toBeCloseTo(100, 6);
  });

  it('are not told from two reads', () => {
    expect(hear(['\n', '1,2\n', '3,4\n'], 50).rate).toBeUndefined();
  });
});
