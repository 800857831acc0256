import { appendFileSync, openSync, closeSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mulberry32 } from '../../src/engine/random.ts';
import { CELLS_MAX, FAULT } from '../../src/files/csv-cells.ts';
import { RECORD_BYTES_MAX, RecordReader } from '../../src/files/csv-records.ts';
import { CLASSES_MAX, type CsvReader, type CsvSelection, describeCsv, openCsv } from '../../src/files/csv.ts';
import { HeapMeter } from '../../src/learn/heap-meter.ts';
import { temporaryFolder } from '../support/program.ts';

let folder: ReturnType<typeof temporaryFolder>;
let path = '';
beforeAll(() => {
  folder = temporaryFolder();
  path = join(folder.path, 'data.csv');
});
afterAll(() => folder.dispose());

interface Read {
  csv: CsvReader;
  /** Values, then targets, then the class's name and the time if there are such. */
  rows: (number | string | null)[][];
}

function read(content: string | Uint8Array, selection: CsvSelection = {}): Read {
  writeFileSync(path, content);
  const csv = openCsv(path, selection);
  const rows: Read['rows'] = [];
  csv.forEachRow(({ values, targets, label, timeUs }) => {
    const row: (number | string | null)[] = [...values, ...targets];
    if (csv.label !== undefined) row.push(csv.classes[label] ?? null);
    if (csv.time !== undefined) row.push(timeUs[0]);
    rows.push(row);
  });
  expect(csv.rows).toBe(rows.length);
  return { csv, rows };
}

const rowsOf = (content: string | Uint8Array, selection: CsvSelection = {}): Read['rows'] =>
  read(content, selection).rows;

describe('a CSV file', () => {
  it('gives the columns of numbers, and the classes in order of first appearance', () => {
    const { csv, rows } = read('x,y,state\n1,2.5,on\n-3e2,.5,off\n7,8,on\n', { label: 'state' });
    expect(rows).toEqual([
      [1, 2.5, 'on'],
      [-300, 0.5, 'off'],
      [7, 8, 'on'],
    ]);
    expect(csv.inputs).toEqual(['x', 'y']);
    expect(csv.classes).toEqual(['on', 'off']);
    expect(csv.dropped).toEqual({});
  });

  it.each([
    ['commas', 'x,y\n1.5,2\n'],
    ['semicolons', 'x;y\n1.5;2\n'],
    ['semicolons and decimal commas', 'x;y\n1,5;2\n'],
    ['tabs', 'x\ty\n1.5\t2\n'],
    ['CR LF', 'x,y\r\n1.5,2\r\n'],
    ['no line end at the end', 'x,y\n1.5,2'],
    ['a byte order mark', '\ufeffx,y\n1.5,2\n'],
    ['blanks around cells', ' x , y\n  1.5 ,\t2  \n'],
    ['quotes around everything', '"x","y"\r\n"1.5","2"\r\n'],
    ['blanks around quotes', '"x" , "y"\n "1.5" , "2" \n'],
    ['a separator too many on every line', 'x,y,\n1.5,2,\n'],
    ['a separator too many on the rows', 'x,y\n1.5,2,\n'],
    ['blank lines', 'x,y\n\n1.5,2\n\r\n\n'],
    ['a plus', 'x,y\n+1.5,+2\n'],
  ])('may have %s', (_, content) => {
    const { csv, rows } = read(content);
    expect(csv.inputs).toEqual(['x', 'y']);
    expect(rows).toEqual([[1.5, 2]]);
    expect(csv.dropped).toEqual({});
  });

  it('takes the separator that the header has most of, outside quotes', () => {
    expect(describeCsv((writeFileSync(path, '"a,b,c";d;e\n1;2;3\n'), path)).separator).toBe(';');
    expect(read('"a,b,c";d;e\n1;2;3\n').csv.inputs).toEqual(['a,b,c', 'd', 'e']);
  });

  it('reads quotes as RFC 4180 has them', () => {
    const content =
      'x,note\n1,"a, b"\n2,"say ""hi"""\n3,"two\nlines"\n4,""""\n5,""\n6,5" pipe\n7,a"b"c\n8,"two\r\nlines"\n';
    const { csv, rows } = read(content, { label: 'note' });
    expect(csv.dropped).toEqual({ badLabel: { rows: 2, firstLine: 4 } }); // a class name is of one line
    expect(rows).toEqual([
      [1, 'a, b'],
      [2, 'say "hi"'],
      [4, '"'],
      [5, null],
      [6, '5" pipe'],
      [7, 'a"b"c'],
    ]);
  });

  it('takes an empty cell and the words for nothing as missing, as value, target, label and time', () => {
    const words = ['', 'nan', 'NaN', 'NA', 'n/a', 'N/A', '?', 'null', 'NULL', '""', ' '];
    const rows = words.map((word) => `${word},${word},${word},${word}\n`).join('');
    const content = `t,x,y,state\n2026-01-01,1,2,on\n2026-01-01,1,2,on\n${rows}`.replace('\n"",', '\n"" ,');
    const found = rowsOf(`${content}${'2026-01-01,1,2,on\n'.repeat(20)}`, {
      label: 'state',
      targets: ['y'],
    });
    expect(found.slice(2, -20)).toEqual(words.map(() => [NaN, NaN, null, NaN]));
  });

  it('does not take other words for nothing', () => {
    const words = ['-', 'none', 'inf', 'nano', '1.2.3', '1 2', '0x10', '1e', '--1', '1,5', '1e40'];
    const { csv, rows } = read(`x,y\n${'1,2\n'.repeat(20)}${words.map((word) => `"${word}",2\n`).join('')}`);
    expect(rows.length).toBe(20);
    expect(csv.dropped).toEqual({ notANumber: { rows: words.length, firstLine: 22 } });
  });

  it('drops bad rows, counts them by reason and keeps the first line of each', () => {
    const content = [
      'x,y,state',
      '1,2,a',
      '1,2', // 3
      '1,2,a,b', // 4
      'one,2,a', // 5
      '1,2,"a"b', // 6
      '"two', // 7 and 8
      'lines",2,a',
      '1,two,c', // 9
      `1,2,${'n'.repeat(65)}`, // 10
      '1,2,\u007f', // 11
      `1,2,${'n'.repeat(RECORD_BYTES_MAX)}`, // 12
      '1,2,"never', // 13
      '3,4,b',
    ].join('\n');
    const { csv, rows } = read(content, { label: 'state', columns: ['x', 'y'] });
    expect(rows).toEqual([
      [1, 2, 'a'],
      [3, 4, 'b'],
    ]);
    expect(csv.classes).toEqual(['a', 'b']);
    expect(csv.dropped).toEqual({
      columnCount: { rows: 2, firstLine: 3 },
      notANumber: { rows: 3, firstLine: 5 },
      textAfterQuote: { rows: 1, firstLine: 6 },
      badLabel: { rows: 2, firstLine: 10 },
      tooLong: { rows: 1, firstLine: 12 },
      unclosedQuote: { rows: 1, firstLine: 13 },
    });
  });

  it('drops the line of a quote that is never closed, and no other', () => {
    const rows = Array.from({ length: 20_000 }, (_, i) => `${i},${i % 7}\n`).join('');
    const { csv, rows: found } = read(`x,y\n1,2\n3,"4\n${rows}`);
    expect(rows.length).toBeGreaterThan(2 * RECORD_BYTES_MAX);
    expect(found.length).toBe(20_001);
    expect(csv.dropped).toEqual({ unclosedQuote: { rows: 1, firstLine: 3 } });
  });

  it('counts lines inside quotes', () => {
    const { csv } = read('x,note\n1,"a\nb\nc"\nnone,d\n2,e\n3,f\n', { columns: ['x'] });
    expect(csv.dropped).toEqual({ notANumber: { rows: 1, firstLine: 5 } });
  });

  it('with names that are repeated or empty gives the first, and none', () => {
    expect(read(',x,x,y\n0,1,2,3\n1,4,5,6\n').csv.inputs).toEqual(['x', 'y']);
  });

  it('may have names that Windows wrote', () => {
    expect(read(Buffer.from('T [\xb0C],y\n1,2\n', 'latin1')).csv.inputs).toEqual(['T [°C]', 'y']);
    expect(read('T [°C],y\n1,2\n').csv.inputs).toEqual(['T [°C]', 'y']);
  });
});

describe('the time of a row', () => {
  it.each([
    ['2026-11-25', '2026-11-25T00:00:00Z'],
    ['2026/11/25', '2026-11-25T00:00:00Z'],
    ['2026-11-25 15:34', '2026-11-25T15:34:00Z'],
    ['2026-11-25T15:34:27', '2026-11-25T15:34:27Z'],
    ['2026-11-25t15:34:27.5z', '2026-11-25T15:34:27.5Z'],
    ['2026-11-25 15:34:27.123456789', '2026-11-25T15:34:27.123Z'],
    ['2026-11-25T15:34:27,25+02:30', '2026-11-25T13:04:27.25Z'],
    ['2026-11-25T15:34:27-0800', '2026-11-25T23:34:27Z'],
    ['2000-02-29 23:59:60+01', '2000-02-29T23:00:00Z'],
    ['1900-03-01', '1900-03-01T00:00:00Z'],
  ])('is read from %s', (text, instant) => {
    const [[, timeUs]] = rowsOf(`when,x\n"${text}",1\n`);
    expect(Math.floor((timeUs as number) / 1000)).toBe(Date.parse(instant));
  });

  it('keeps microseconds', () => {
    expect(rowsOf('when,x\n2026-11-25 15:34:27.123456789,1\n')).toEqual([[1, 1_795_620_867_123_456]]);
  });

  it.each([
    '2026-13-01',
    '2026-11-25 25:00',
    '26-11-25',
    '2026-11-25T',
    '2026-11-25 10',
    '2026-11-25 10:00 x',
  ])('is not read from %s', (text) => {
    const { csv } = read(`when,x\n${'2026-01-01,1\n'.repeat(9)}${text},1\n`);
    expect(csv.dropped).toEqual({ notATime: { rows: 1, firstLine: 11 } });
  });

  it.each([
    ['1795620867.5', 1_795_620_867_500_000],
    ['1795620867500', 1_795_620_867_500_000],
    ['1795620867500250', 1_795_620_867_500_250],
    ['1795620867500250123', 1_795_620_867_500_250],
  ])('is read from %s in a column that says so', (text, timeUs) => {
    const [[x, found]] = rowsOf(`timestamp,x\n${text},1\n`);
    expect(x).toBe(1);
    expect(Math.round(found as number)).toBe(timeUs);
  });

  it('is that of the column asked for: one that counts counts seconds', () => {
    expect(rowsOf('t,x\n0.5,1\n0.75,2\n', { time: 't' })).toEqual([
      [1, 500_000],
      [2, 750_000],
    ]);
    expect(rowsOf('date,x\n2026-01-01,1\n', { time: false })).toEqual([[1]]);
    expect(() => read('name,x\nanna,1\n', { time: 'name' })).toThrow(
      /expected ISO 8601 or numbers in column "name", got texts/,
    );
  });

  it('is no number that only looks like one', () => {
    expect(read('price,x\n1795620867,1\n1795620868,1\n').csv.time).toBeUndefined(); // by its name
    expect(read('time,x\n17,1\n18,1\n').csv.time).toBeUndefined(); // too small
    expect(read('time,x\n1795620867,1\n1795620866,1\n').csv.time).toBeUndefined(); // runs backwards
  });
});

describe('what columns hold', () => {
  it('is told from the rows', () => {
    const rows = Array.from(
      { length: 40 },
      (_, i) => `${i + 5},2026-01-01 00:00:${10 + i},${i % 3},,n${i},${i / 7}`,
    );
    writeFileSync(path, `No,when,code,nothing,name,x\n${rows.join('\n')}\n`);
    const { columns, rows: count, isWhole } = describeCsv(path);
    expect(
      columns.map(({ name, kind, integers, distinct, missing }) => [name, kind, integers, distinct, missing]),
    ).toEqual([
      ['No', 'counter', true, 40, 0],
      ['when', 'time', false, 40, 0],
      ['code', 'number', true, 3, 0],
      ['nothing', 'empty', false, 0, 40],
      ['name', 'text', false, 40, 0],
      ['x', 'number', false, 40, 0],
    ]);
    expect([count, isWhole]).toEqual([40, true]);
    const csv = openCsv(path);
    expect([csv.inputs, csv.time]).toEqual([['code', 'x'], 'when']);
    csv.close();
  });

  it('is told from the beginning, unless all is asked for', () => {
    writeFileSync(path, `x,y\n${'1,2\n'.repeat(5000)}${'1,word\n'.repeat(6000)}`);
    expect(describeCsv(path)).toMatchObject({
      rows: 2000,
      isWhole: false,
      columns: [{}, { kind: 'number' }],
    });
    expect(describeCsv(path, Infinity)).toMatchObject({
      rows: 11_000,
      isWhole: true,
      columns: [{}, { kind: 'text' }],
    });
  });
});

/** Rows of as many classes. */
const classRows = (count: number): string => Array.from({ length: count }, (_, i) => `1,c${i}\n`).join('');

describe('a sentence is said', () => {
  it.each([
    ['of an empty file', '', {}, /expected a header row that names the columns, got no line/],
    ['of a file of one line end', '\n', {}, /expected a header row .* got an empty line/],
    [
      'where the header is missing',
      '1,2,3\n4,5,6\n',
      {},
      /got numbers in line 1 \("1", "2", "3"\)\. Put a line/,
    ],
    ['of UTF-16', Buffer.from('\ufeffx,y\n', 'utf16le'), {}, /expected text in UTF-8, got UTF-16/],
    ['of a header too long', 'x'.repeat(200_000), {}, /expected a header row .*\(tooLong\)/],
    ['of too many columns', `${'x,'.repeat(CELLS_MAX)}x\n`, {}, /expected a header row .*\(columnCount\)/],
    ['of a column that is not there', 'x,y\n1,2\n', { label: 'z' }, /label: expected one of x, y; got "z"/],
    [
      'of texts as input',
      'x,y\na,2\n',
      { columns: ['x'] },
      /columns: expected numbers in column "x", got texts/,
    ],
    [
      'of dates as target',
      'x,y\n2026-01-01,2\n',
      { targets: ['x'] },
      /target: expected numbers .* got times/,
    ],
    [
      'of one column in two roles',
      'x,y\n1,2\n',
      { label: 'x', columns: ['x'] },
      /"x" cannot be an input and/,
    ],
    [
      'where no input is left',
      'x,y\n1,a\n',
      { label: 'x' },
      /expected a column of numbers as input, got none/,
    ],
  ])('%s', (_, content, selection, sentence) => {
    expect(() => read(content, selection)).toThrow(sentence);
  });

  it('of a file that is not there, or is a directory', () => {
    expect(() => openCsv(join(folder.path, 'none.csv'))).toThrow(/cannot be opened \(ENOENT\)/);
    expect(() => openCsv(folder.path)).toThrow(/cannot be read \(EISDIR\)/);
  });

  it('of more classes than there may be, with the line', () => {
    expect(read(`x,y\n${classRows(CLASSES_MAX)}`, { label: 'y' }).csv.classes.length).toBe(CLASSES_MAX);
    expect(() => read(`x,y\n${classRows(CLASSES_MAX + 1)}`, { label: 'y' })).toThrow(
      /data\.csv:258: expected up to 256 classes in column "y", got one more.*--target/,
    );
    expect(() => read(`x,y\n${classRows(3)}`, { label: 'y', classesMax: 2 })).toThrow(
      /data\.csv:4: expected up to 2/,
    );
  });
});

// --- Against a reader that is written the slow way --------------------------------------------------------------

/** Records of cells; undefined in place of a record that is none. */
function slowRecords(text: string): (string[] | undefined)[] {
  const records: (string[] | undefined)[] = [];
  let rest = text;
  while (rest !== '') {
    const { record, length } = slowRecord(rest);
    records.push(record);
    rest = rest.slice(length);
  }
  return records;
}

const trimBlanks = (cell: string): string => cell.replace(/^[\0-\t\v- ]+|[\0-\t\v- ]+$/g, '');

function slowRecord(text: string): { record: string[] | undefined; length: number } {
  const cells: string[] = [];
  const lineLength = (from: number): number => (text.indexOf('\n', from) + 1 || text.length + 0) as number;
  for (let at = 0; ;) {
    const quoted = /^[\0-\t\v- ]*"((?:[^"]|"")*)("?)/.exec(text.slice(at));
    let stop: number;
    if (quoted) {
      if (quoted[2] === '') return { record: undefined, length: lineLength(0) };
      cells.push(quoted[1].replaceAll('""', '"'));
      stop = at + quoted[0].length;
      stop += /^[\0-\t\v- ]*/.exec(text.slice(stop))![0].length;
      if (stop < text.length && text[stop] !== ',' && text[stop] !== '\n') {
        return { record: undefined, length: lineLength(stop) };
      }
    } else {
      const bare = /^[^,\n]*/.exec(text.slice(at))![0];
      cells.push(trimBlanks(bare));
      stop = at + bare.length;
    }
    if (stop >= text.length || text[stop] === '\n')
      return { record: cells, length: Math.min(stop + 1, text.length) };
    at = stop + 1;
  }
}

function fastRecords(content: Uint8Array, blockBytes: number): (string[] | undefined)[] {
  writeFileSync(path, content);
  const file = openSync(path, 'r');
  try {
    const reader = new RecordReader(path, file, 0x2c, blockBytes);
    const records: (string[] | undefined)[] = [];
    while (reader.next()) {
      const { bytes, cells } = reader;
      const texts = Array.from({ length: cells.count }, (_, cell) => {
        cells.unescape(bytes, cell);
        return Buffer.from(bytes.subarray(cells.first[cell], cells.end[cell])).toString('latin1');
      });
      records.push(reader.fault === FAULT.none ? texts : undefined);
    }
    expect(reader.bytesRead).toBe(content.length);
    return records;
  } finally {
    closeSync(file);
  }
}

const recordOf = (bytes: number): string => `1,${'y'.repeat(bytes - 3)}\n`;

describe('records', () => {
  const sample = 'x,"a ""q""",z\r\n1, "two\nlines" ,3\n4,"5"6,\n"",,"7\n8,9,10';

  it('of every prefix of a file are those that a slow reader finds, with blocks of any size', () => {
    for (let length = 0; length <= sample.length; length++) {
      const prefix = sample.slice(0, length);
      for (const blockBytes of [1, 3, 65_536]) {
        expect(fastRecords(Buffer.from(prefix), blockBytes), prefix).toEqual(slowRecords(prefix));
      }
    }
  });

  it('of random bytes are those that a slow reader finds', () => {
    const seed = Number(process.env.EDGELOOP_SEED ?? Date.now() % 1_000_000_000);
    const count = Number(process.env.EDGELOOP_FUZZ_COUNT ?? 2000);
    const random = mulberry32(seed);
    const pick = (list: string): string => list[Math.floor(random() * list.length)];
    for (let round = 0; round < count; round++) {
      const text = Array.from({ length: Math.floor(random() * 60) }, () =>
        pick('"",,\n\n\r ax1.\t\0\xff'),
      ).join('');
      const blockBytes = 1 + Math.floor(random() * 40);
      const found = fastRecords(Buffer.from(text, 'latin1'), blockBytes);
      expect(found, `EDGELOOP_SEED=${seed}, round ${round}: ${JSON.stringify(text)}`).toEqual(
        slowRecords(text),
      );
    }
    console.log(`CSV fuzz: ${count} files, EDGELOOP_SEED=${seed}`);
  }, 3_600_000);

  it('that are too long are dropped alike, wherever blocks end', () => {
    const long = 'y'.repeat(RECORD_BYTES_MAX);
    const content = Buffer.from(`a,b\n"${long}\n1,2\n${long},z\n3,4\n"5${'\n6,7'.repeat(20_000)}`);
    const all = fastRecords(content, 65_536);
    expect(all.slice(0, 6)).toEqual([['a', 'b'], undefined, ['1', '2'], undefined, ['3', '4'], undefined]);
    expect(all.length).toBe(6 + 20_000);
    for (const blockBytes of [1000, 4093]) expect(fastRecords(content, blockBytes)).toEqual(all);
  });

  it('that fill RECORD_BYTES_MAX are the longest', () => {
    const kinds = fastRecords(Buffer.from(recordOf(RECORD_BYTES_MAX) + recordOf(RECORD_BYTES_MAX + 1)), 5000);
    expect(kinds.map((record) => record?.length)).toEqual([2, undefined]);
  });
});

/** Of reading so many good rows and as many bad ones. */
function allocatedBytes(rows: number): number {
  writeFileSync(path, 'when,x,y,state\n');
  const block = Array.from(
    { length: 1000 },
    (_, i) =>
      `2026-01-01 00:00:0${i % 10}.${i},${i / 7},"${-i * 1e-9}",${['on', '"of""f"', ''][i % 3]}\nbad\n`,
  ).join('');
  for (let written = 0; written < rows; written += 1000) appendFileSync(path, block);
  const described = describeCsv(path, 100);
  const csv = openCsv(path, { label: 'state' }, described);
  let sum = 0;
  const meter = new HeapMeter();
  meter.start();
  csv.forEachRow(({ values, timeUs, label }) => {
    if (values[1] < timeUs[0]) sum += label * label;
  });
  const { allocatedBytes: bytes } = meter.stop();
  expect(csv.rows).toBe(rows);
  expect(csv.dropped.columnCount!.rows).toBe(rows);
  expect(sum).not.toBe(0);
  return bytes;
}

describe('memory', () => {
  it('does not grow with the file: less than a byte of heap per row', () => {
    for (let round = 0; round < 3; round++) allocatedBytes(20_000); // until it is compiled
    const short = Math.min(...[1, 2, 3].map(() => allocatedBytes(1000)));
    const long = Math.min(...[1, 2, 3].map(() => allocatedBytes(101_000)));
    expect((long - short) / 100_000).toBeLessThan(1);
  }, 60_000);
});
