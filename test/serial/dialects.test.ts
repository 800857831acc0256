import { describe, expect, it } from 'vitest';
import { type TextFormat, makeDecoder } from '../../src/serial/dialects.ts';
import { Labels } from '../../src/serial/labels.ts';
import type { DropCounts, LineStream } from '../../src/serial/lines.ts';
import { NO_LABEL } from '../../src/stream/ring.ts';

interface Decoded {
  /** Values, then the class name or '-'. */
  rows: (number | string)[][];
  /** Row counts at which a gap was told. */
  gaps: number[];
  stream: LineStream;
}

const XY: TextFormat = {
  format: 'numbers',
  columns: ['x', 'y', 'state'],
  label: 'state',
  separator: 'any',
  pattern: '',
};

/** Lines after a newline that ends the torn one. */
function decode(format: Partial<TextFormat>, text: string, chunk = Infinity): Decoded {
  const labels = new Labels([], 3);
  const rows: Decoded['rows'] = [];
  const gaps: number[] = [];
  const stream = makeDecoder(
    { ...XY, ...format },
    labels,
    (values, label) => rows.push([...values, label === NO_LABEL ? '-' : labels.names[label]]),
    () => gaps.push(rows.length),
  );
  const bytes = Buffer.from(`\n${text}`);
  for (let at = 0; at < bytes.length; at += chunk) {
    const piece = bytes.subarray(at, at + chunk);
    stream.push(piece, piece.length, 0);
  }
  expectEveryByteCounted(stream, bytes.length);
  return { rows, gaps, stream };
}

function expectEveryByteCounted(stream: LineStream, pushed: number): void {
  const { dropped, ...kept } = stream.countBytes();
  const counts = [...Object.values(kept), ...Object.values(dropped)] as number[];
  expect(counts.reduce((sum, bytes) => sum + bytes, 0)).toBe(pushed);
}

/** Only the reasons that occurred. */
function reasons({ stream }: Decoded): Partial<DropCounts> {
  return Object.fromEntries(Object.entries(stream.dropped).filter(([, lines]) => lines > 0));
}

const f32 = Math.fround;

describe('framing', () => {
  it('counts a flood without a newline as it comes, keeps its memory, and finds the next line', () => {
    const { rows, stream } = decode({}, `${'\0'.repeat(5_000_000)}\n1,2,on\n3,4`, 4096);
    expect(rows).toEqual([[1, 2, 'on']]);
    expect(stream.dropped.tooLong).toBe(1);
    expect(stream.countBytes()).toMatchObject({
      row: 7,
      blank: 1,
      pending: 3,
      dropped: { tooLong: 5_000_001 },
    });
  });

  it('passes over a byte order mark and takes any number of returns before the newline', () => {
    expect(decode({}, '\ufeff1,2,on\r\r\n\r\n3,4,on\n').rows).toEqual([
      [1, 2, 'on'],
      [3, 4, 'on'],
    ]);
  });
});

describe('bare numbers', () => {
  it.each([
    ['semicolon', '1,5;2,25;on\n'],
    ['tab', '1,5\t2,25\ton\n'],
    ['space', '  1,5   2,25 on  \n'],
    ['comma', '1.5, 2.25 ,on\n'],
    ['any', '1.5;2.25;on\n'],
  ] as const)(
    'are read with the separator %s, locale commas where it is not the comma',
    (separator, text) => {
      expect(decode({ separator }, text).rows).toEqual([[1.5, 2.25, 'on']]);
    },
  );

  it('may end with one separator too many, not with two', () => {
    const decoded = decode({ label: undefined }, '1,2,3,\n1,2,3,,\n1,2,\n');
    expect(decoded.rows).toEqual([
      [1, 2, 3, '-'],
      [1, 2, NaN, '-'],
    ]);
    expect(reasons(decoded)).toEqual({ columnCount: 1 });
  });

  it('drop infinities, log lines, and other columns in mid-stream', () => {
    const decoded = decode({}, '1,2,on\ninf,2,on\n[12] wifi up\n1,2,3,on\n1,ovf,on\n3,4,on\n');
    expect(decoded.rows).toEqual([
      [1, 2, 'on'],
      [3, 4, 'on'],
    ]);
    expect(reasons(decoded)).toEqual({ notANumber: 2, columnCount: 2 });
  });
});

describe('Serial Plotter pairs', () => {
  const plotter = { format: 'plotter' } as const;

  it('come in any order and with any separator; a missing name is a missing value', () => {
    expect(
      decode(plotter, 'x:1,y:2,state:on\ny: 2.5 state:off\tx:1.5\r\nstate:on, x:3\n y:4,\nx:,y:1\n').rows,
    ).toEqual([
      [1, 2, 'on'],
      [1.5, 2.5, 'off'],
      [3, NaN, 'on'],
      [NaN, 4, '-'],
      [NaN, 1, '-'],
    ]);
  });

  it('count a name that is no column and keep the row, drop a line without any', () => {
    const decoded = decode(plotter, 'x:1,z:2,y:3\nrssi:-70 heap:1000\nstate:on\n');
    expect(decoded.rows).toEqual([[1, 3, '-']]);
    expect(decoded.stream.ignored).toBe(1);
    expect(reasons(decoded)).toEqual({ unknownName: 1, otherText: 1 });
  });

  it('drop what is no pair, a name that comes twice, a value that is no number', () => {
    const decoded = decode(plotter, 'wifi up\nx:1 y:2x:3 y:4\nx:1 x:2\nx:1 5\n:1\nx:inf\nx:1 y:2\n');
    expect(decoded.rows).toEqual([[1, 2, '-']]);
    expect(reasons(decoded)).toEqual({ otherText: 3, notANumber: 2, repeatedName: 1 });
  });

  it('may have blanks in names when the separator is the comma alone', () => {
    const format = { ...plotter, separator: 'comma', columns: ['air temp', 'state'] } as const;
    expect(decode(format, 'air temp: 21.5, state: warm day\n').rows).toEqual([[21.5, 'warm day']]);
  });
});

describe('Teleplot', () => {
  const teleplot = { format: 'teleplot' } as const;

  it('gives a row when all columns are there, whatever else a line holds', () => {
    const decoded = decode(
      teleplot,
      '>x:1\n>y,chart:1712:2.5§°C|np\n>state:1713:on|t\n>x:3§g\n>y:4\n>state:off\n',
    );
    expect(decoded.rows).toEqual([
      [1, 2.5, 'on'],
      [3, 4, 'off'],
    ]);
    expect(reasons(decoded)).toEqual({});
  });

  it('gives what there is when a name comes again, and a lost line shifts no value', () => {
    const decoded = decode(
      teleplot,
      '>x:1\n>y:1\n>x:2\n>y:2\n>state:on\n>y:3\n>state:on\n>x:4\n>y:4\n>state:on\n',
    );
    expect(decoded.rows).toEqual([
      [1, 1, '-'],
      [2, 2, 'on'],
      [NaN, 3, 'on'],
      [4, 4, 'on'],
    ]);
  });

  it('drops other names, other text, points of a plane, and values that are no numbers', () => {
    const decoded = decode(
      teleplot,
      '>z:1\nboot\n>x\n>:1\n>x:1:2|xy\n>x:1;2\n>x:inf\n>x:1:1:1\n>x:7\n>x:8\n',
    );
    expect(decoded.rows).toEqual([[7, NaN, '-']]);
    expect(reasons(decoded)).toEqual({ unknownName: 1, otherText: 4, notANumber: 3 });
  });
});

describe('JSON lines', () => {
  const json = { format: 'json' } as const;

  it('are flat objects in any order; null and missing names are missing values', () => {
    const decoded = decode(
      json,
      '{"x":1,"y":2.5e0,"state":"on"}\n { "state" : "a, b}" , "y":null, "x" : -3 } \r\n{"x":4}\n{"x":5,"state":null}\n',
    );
    expect(decoded.rows).toEqual([
      [1, 2.5, 'on'],
      [-3, NaN, 'a, b}'],
      [4, NaN, '-'],
      [5, NaN, '-'],
    ]);
    expect(reasons(decoded)).toEqual({});
  });

  it('count names that are no columns, whatever they hold', () => {
    const { rows, stream } = decode(json, '{"x":1,"note":"a\\"},{","ok":true,"y":2}\n');
    expect(rows).toEqual([[1, 2, '-']]);
    expect(stream.ignored).toBe(2);
  });

  it('are dropped by reason', () => {
    const text = [
      '{"x":{"y":1}}',
      '{"x":1,"z":[1,2]}',
      '{"x":1,"x":2}',
      '{"x":"1"}',
      '{"x":true}',
      '{"z":1}',
      '{"x":1,"state":"\\u0061"}',
      '{"x":1,"state":true}',
      '{"x":1',
      '{"x":1}}',
      '{"x":1}{"x":2}',
      '{"x" 1}',
      '{"x',
      'log',
      '{"x":9}\n',
    ].join('\n');
    const decoded = decode(json, text);
    expect(decoded.rows).toEqual([[9, NaN, '-']]);
    expect(reasons(decoded)).toEqual({
      nested: 2,
      repeatedName: 1,
      notANumber: 2,
      unknownName: 1,
      unknownLabel: 2,
      otherText: 6,
    });
  });
});

describe('CSV with a header', () => {
  const csv = { format: 'csv' } as const;

  it('takes the order of the columns from the header, and the config’s until one comes', () => {
    const decoded = decode(csv, '1,2,on\n\nstate,extra,y,x\noff,7,3,4\n');
    expect(decoded.rows).toEqual([
      [1, 2, 'on'],
      [4, 3, 'off'],
    ]);
    expect(decoded.stream.countBytes().header).toBe('state,extra,y,x\n'.length);
    expect(decoded.stream.ignored).toBe(1);
  });

  it('tells one gap for blank lines between rows, and one for a header in mid-stream', () => {
    expect(decode(csv, '\n\n1,2,on\n\n\r\n3,4,on\nx,y,state\n5,6,on\n').gaps).toEqual([1, 2]);
  });

  it('drops everything under a header that lacks a column, until one fits', () => {
    const decoded = decode(
      csv,
      'x,y,state\n1,2,on\nx,z,state\n1,2,on\nred,green,blue\n1,2,3\nx,y,state\n5,6,on\n',
    );
    expect(decoded.rows).toEqual([
      [1, 2, 'on'],
      [5, 6, 'on'],
    ]);
    expect(reasons(decoded)).toEqual({ otherHeader: 4 });
  });

  it('is not led astray by log lines, infinities or missing values', () => {
    const decoded = decode(csv, 'wifi up\nboot, ok\nnan,nan,on\ninf,ovf,on\n1,,on\n1,2\n');
    expect(decoded.rows).toEqual([
      [NaN, NaN, 'on'],
      [1, NaN, 'on'],
    ]);
    expect(reasons(decoded)).toEqual({ columnCount: 3, notANumber: 1 });
    expect(decoded.gaps).toEqual([]);
  });
});

describe('numbers inside text', () => {
  const text = { format: 'text' } as const;

  it('are found by a pattern, anywhere on the line and with any blanks', () => {
    const pattern = 'Acc (mg) [ {x}, {}, {y} ] {state}';
    const decoded = decode(
      { ...text, pattern },
      'Scaled. Acc (mg) [ -00012.34, 00005.00, 981.25 ] on\nAcc(mg)[1,2,3]off\nAcc (mg) [ 1, 2 ] on\nGyr [ 1, 2, 3 ]\n',
    );
    expect(decoded.rows).toEqual([
      [f32(-12.34), 981.25, 'on'],
      [1, 3, 'off'],
    ]);
    expect(reasons(decoded)).toEqual({ notANumber: 1, otherText: 1 });
  });

  it('may have the label in front, and end where the next text begins', () => {
    const pattern = '<{state}> x={x}g y={y}g';
    expect(decode({ ...text, pattern }, '12:01 <two words> x=1.5g y=-2g ok\n').rows).toEqual([
      [1.5, -2, 'two words'],
    ]);
  });

  it('are not taken out of the middle of a damaged number', () => {
    const decoded = decode(
      { ...text, columns: ['x', 'y'], label: undefined, pattern: '{x}, {y}' },
      '1x2.5, 3\n--4, 5\n6, 7\n',
    );
    expect(decoded.rows).toEqual([[6, 7, '-']]);
  });

  it('are all of them, in order, without a pattern', () => {
    const format = { ...text, columns: ['x', 'y'], label: undefined };
    const decoded = decode(format, 'T1 = 21.5C, RH: -40 % nano\n1 2 3\nready\nnan|.5e1\n');
    expect(decoded.rows).toEqual([
      [21.5, -40, '-'],
      [NaN, 5, '-'],
    ]);
    expect(reasons(decoded)).toEqual({ columnCount: 1, otherText: 1 });
  });

  it.each([
    ['{x} {y}', /the column \{state\} is missing/],
    ['{x} {y} {state} {z}', /\{z\} is none of the columns x, y, state/],
    ['{x} {y} {state} {x}', /twice/],
    ['{x}{y} {state}', /between two columns/],
  ])('refuse the pattern %s', (pattern, message) => {
    expect(() => decode({ ...text, pattern }, '')).toThrow(message);
  });
});

describe("the board's clock", () => {
  const clocked: [Partial<TextFormat>, (ms: number | string, x: number) => string][] = [
    [{ format: 'numbers' }, (ms, x) => `${ms},${x},2,on\n`],
    [{ format: 'plotter' }, (ms, x) => `x:${x} y:2 state:on t:${ms}\n`],
    [{ format: 'json' }, (ms, x) => `{"x":${x},"y":2,"t":${ms === '' ? 'null' : ms},"state":"on"}\n`],
    [{ format: 'csv' }, (ms, x) => `${ms},${x},2,on\n`],
    [
      { format: 'text', pattern: 'at {t} acc [ {x}, {y} ] {state}' },
      (ms, x) => `at ${ms || 'nan'} acc [ ${x}, 2 ] on\n`,
    ],
    [
      { format: 'teleplot', columns: ['x', 'y', 'state'], time: 'stamp' },
      (ms, x) => `>x:${ms}:${x}\n>y,w: ${ms}: 2§g|np\n>state:${ms}:on|t\n`,
    ],
  ];
  const format = { columns: ['t', 'x', 'y', 'state'], time: 't', timeUnit: 'ms' } as const;

  function times(of: Partial<TextFormat>, reads: readonly (readonly [number, string])[]) {
    const rows: [number, ...number[]][] = [];
    const gaps: number[] = [];
    const stream = makeDecoder(
      { ...XY, ...format, ...of },
      new Labels([], 3),
      (values, _label, [timeUs]) => rows.push([timeUs, ...values]),
      () => gaps.push(rows.length),
    );
    let pushed = 1;
    stream.push(Buffer.from('\n'), 1, 0);
    for (const [readUs, text] of reads) {
      const bytes = Buffer.from(text);
      pushed += bytes.length;
      stream.push(bytes, bytes.length, readUs);
    }
    expectEveryByteCounted(stream, pushed);
    return { rows, gaps, stream };
  }

  it.each(clocked)('times the rows and is no value of them: %j', (of, print) => {
    const { rows, gaps } = times(of, [
      [5_000_000, print(100, 1) + print(104, 2)],
      [5_100_000, print(108.5, 3)],
    ]);
    expect(rows).toEqual([
      [5_000_000, 1, 2],
      [5_004_000, 2, 2],
      [5_008_500, 3, 2],
    ]);
    expect(gaps).toEqual([]);
  });

  it.each(clocked)('wraps, begins anew with a gap, and drops a row without it: %j', (of, print) => {
    const { rows, gaps, stream } = times(of, [
      [1_000_000, print(4_294_967_290, 1) + print(4, 2)],
      [1_020_000, print(14, 3)],
      [3_000_000, print(2, 4) + print('', 5) + print(-7, 6) + print(12, 7)],
    ]);
    expect(rows.map(([timeUs, x]) => [timeUs, x])).toEqual([
      [1_000_000, 1],
      [1_010_000, 2],
      [1_020_000, 3],
      [3_000_000, 4],
      [3_010_000, 7],
    ]);
    expect(gaps).toEqual([3]);
    expect(stream.clockRestarts).toBe(1);
    expect(stream.dropped.badTime).toBe(of.format === 'teleplot' ? 6 : 2);
  });

  it.each(clocked)('costs no heap: %j', (of, print) => {
    const slots = new Float64Array(1);
    const stream = makeDecoder(
      { ...XY, ...format, ...of },
      new Labels(['on'], 1),
      (_values, _label, times) => {
        slots[0] += times[0]; // returned it would be a double on the heap
      },
    );
    const bytes = Buffer.from(`\n${Array.from({ length: 1000 }, (_, row) => print(8 * row, row)).join('')}`);
    const pushMany = (): void => {
      for (let push = 0; push < 100; push++) stream.push(bytes, bytes.length - push, 123_456.5);
    };
    for (let warmUp = 0; warmUp < 10; warmUp++) pushMany();
    const rounds: number[] = [];
    for (let round = 0; round < 11; round++) {
      const rowsBefore = stream.rows;
      const before = process.memoryUsage().heapUsed;
      pushMany();
      rounds.push((process.memoryUsage().heapUsed - before) / (stream.rows - rowsBefore));
    }
    expect(rounds.toSorted((left, right) => left - right)[5]).toBeLessThan(0.1);
    expect(slots[0]).toBeGreaterThan(0);
  });

  it('is the stamp of the last line of a Teleplot row that was cut short', () => {
    const { rows } = times({ format: 'teleplot', columns: ['x', 'y', 'state'], time: 'stamp' }, [
      [10, '>x:1:1\n>y:2:2\n>x:11:3\n>y:12:4\n>x:21:5\n'],
    ]);
    expect(rows).toEqual([
      [10, 1, 2],
      [10_010, 3, 4],
    ]);
  });
});

describe('every dialect', () => {
  const lines: [Partial<TextFormat>, string][] = [
    [{ format: 'numbers' }, '-9.125,8.5,on\n'],
    [{ format: 'plotter' }, 'x:-9.125,y:8.5,state:on\n'],
    [{ format: 'teleplot' }, '>x:-9.125\n>y:8.5\n>state:on\n'],
    [{ format: 'json' }, '{"x":-9.125,"y":8.5,"state":"on"}\n'],
    [{ format: 'csv' }, '-9.125,8.5,on\n'],
    [{ format: 'text', pattern: 'acc [ {x}, {y} ] {state}' }, 'acc [ -9.125, 8.5 ] on\n'],
  ];

  it.each(lines)('comes out the same however the bytes are cut: %j', (format, row) => {
    const text = `${row.repeat(3)}\r\n${row}noise\n${row}`;
    const whole = decode(format, text).rows;
    expect(whole).toEqual(Array.from({ length: 5 }, () => [-9.125, 8.5, 'on']));
    for (const chunk of [1, 2, 3, 5, 7, 11]) expect(decode(format, text, chunk).rows).toEqual(whole);
  });

  it.each(lines)('allocates under 0.1 byte of heap per row: %j', (format, row) => {
    let sum = 0;
    const stream = makeDecoder(
      { ...XY, ...format },
      new Labels(['on'], 1),
      (values) => (sum += values.length),
    );
    const bytes = Buffer.from(`\n${row.repeat(1000)}`);
    const pushMany = (): void => {
      for (let push = 0; push < 20; push++) stream.push(bytes, bytes.length - push, 123_456.5);
    };
    for (let warmUp = 0; warmUp < 10; warmUp++) pushMany();
    const rounds: number[] = [];
    for (let round = 0; round < 11; round++) {
      const rowsBefore = stream.rows;
      const before = process.memoryUsage().heapUsed;
      pushMany();
      rounds.push((process.memoryUsage().heapUsed - before) / (stream.rows - rowsBefore));
    }
    expect(rounds.toSorted((left, right) => left - right)[5]).toBeLessThan(0.1);
    expect(sum).toBe(2 * stream.rows);
  });
});
