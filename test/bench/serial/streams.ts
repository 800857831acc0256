/**
 * The same rows (six numbers and a class) in every dialect, with two ways to read them: ours, and what one writes with
 * serialport's parsers, strings and JSON.parse.
 */
import { crc32 } from 'node:zlib';
import { mulberry32 } from '../../../src/engine/random.ts';
import { type Dialect, makeDecoder } from '../../../src/serial/dialects.ts';
import { FrameEncoder } from '../../../src/serial/frame-encoder.ts';
import { FrameDecoder } from '../../../src/serial/frames.ts';
import { Labels } from '../../../src/serial/labels.ts';

export type BenchDialect = Dialect | 'frames';
export const BENCH_DIALECTS: readonly BenchDialect[] = [
  'numbers',
  'plotter',
  'teleplot',
  'json',
  'csv',
  'text',
  'frames',
];

const NAMES = ['ax', 'ay', 'az', 'gx', 'gy', 'gz'];
const CLASSES = ['off', 'on'];
/** Rows that are sent again and again. */
const ROWS = 1000;

interface Row {
  readonly values: readonly string[];
  readonly label: string;
}

function makeRows(): Row[] {
  const random = mulberry32(5);
  return Array.from({ length: ROWS }, (_, row) => ({
    values: NAMES.map(() => (20 * random() - 10).toFixed(3)),
    label: CLASSES[row & 1],
  }));
}

const TEXT: Record<Dialect, (row: Row) => string> = {
  numbers: ({ values, label }) => `${values.join(',')},${label}\n`,
  csv: ({ values, label }) => `${values.join(',')},${label}\n`,
  plotter: ({ values, label }) =>
    `${NAMES.map((name, i) => `${name}:${values[i]}`).join(',')},state:${label}\n`,
  teleplot: ({ values }) => NAMES.map((name, i) => `>${name}:${values[i]}\n`).join(''),
  json: ({ values, label }) =>
    `{${NAMES.map((name, i) => `"${name}":${values[i]}`).join(',')},"state":"${label}"}\n`,
  text: ({ values, label }) =>
    `Acc [ ${values.slice(0, 3).join(', ')} ] gyro [ ${values.slice(3).join(', ')} ] ${label}\n`,
};

export interface Stream {
  /** What is sent before the rows. */
  readonly opening: Uint8Array;
  /** One row each, to be sent again and again. */
  readonly rows: readonly Uint8Array[];
}

export function makeStream(dialect: BenchDialect): Stream {
  const rows = makeRows();
  if (dialect === 'frames') {
    const encoder = new FrameEncoder(SESSION);
    const opening = Buffer.concat([Buffer.of(0), encoder.describe()]);
    const frames = rows.map(({ values, label }) => {
      encoder.label = CLASSES.indexOf(label);
      return encoder.row(values.map(Number));
    });
    return { opening, rows: frames };
  }
  const header = dialect === 'csv' ? `\n${[...NAMES, 'state'].join(',')}\n` : '\n';
  return { opening: Buffer.from(header), rows: rows.map((row) => Buffer.from(TEXT[dialect](row))) };
}

const SESSION = {
  rateHz: 1000,
  hasTime: false,
  labelInBand: true,
  valueType: 'float32' as const,
  columns: NAMES.map((name) => ({ name, unit: '', scale: 1 })),
  classes: CLASSES,
};

export interface Reader {
  push(bytes: Uint8Array, count: number, timeUs: number): void;
}

export function makeReader(dialect: BenchDialect, onRow: () => void): Reader {
  const labels = new Labels(CLASSES, CLASSES.length);
  if (dialect === 'frames') return new FrameDecoder(labels, { onRow });
  const label = dialect === 'teleplot' ? undefined : 'state';
  const columns = label === undefined ? NAMES : [...NAMES, label];
  const pattern = 'Acc [ {ax}, {ay}, {az} ] gyro [ {gx}, {gy}, {gz} ] {state}';
  return makeDecoder({ format: dialect, columns, label, separator: 'any', pattern }, labels, onRow);
}

/** What one writes: a line, or a frame between zeros, to six numbers. @returns how many values it held */
export type Baseline = (piece: string | Buffer, values: Float32Array) => number;

function parseCells(cells: readonly string[], values: Float32Array): number {
  for (let i = 0; i < values.length; i++) values[i] = Number.parseFloat(cells[i]);
  return cells.length > values.length ? values.length : 0;
}

export const BASELINES: Record<BenchDialect, Baseline> = {
  numbers: (line, values) => parseCells((line as string).split(','), values),
  csv: (line, values) => parseCells((line as string).split(','), values),
  plotter: (line, values) =>
    parseCells(
      (line as string).split(',').map((cell) => cell.slice(cell.indexOf(':') + 1)),
      values,
    ),
  teleplot(line, values) {
    const [name, value] = (line as string).slice(1).split(':');
    const index = NAMES.indexOf(name);
    if (index < 0) return 0;
    values[index] = Number.parseFloat(value);
    return 1;
  },
  json(line, values) {
    if (!(line as string).startsWith('{')) return 0;
    const object = JSON.parse(line as string) as Record<string, number>;
    for (let i = 0; i < values.length; i++) values[i] = object[NAMES[i]];
    return values.length;
  },
  text(line, values) {
    const found = (line as string).match(/-?\d+(?:\.\d+)?/g) ?? [];
    for (let i = 0; i < values.length; i++) values[i] = Number.parseFloat(found[i]);
    return found.length;
  },
  frames(piece, values) {
    const frame = unstuff(piece as Buffer);
    if (frame.length < 5 + 4 * values.length) return 0;
    const end = frame.length - 4;
    if (crc32(frame.subarray(0, end)) !== frame.readUInt32LE(end)) return 0;
    if ((frame[0] & 0x0f) !== 2) return 0;
    for (let i = 0; i < values.length; i++) values[i] = frame.readFloatLE(end - 4 * (values.length - i));
    return values.length;
  },
};

/** Consistent overhead byte stuffing undone, into a new buffer. */
function unstuff(piece: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < piece.length;) {
    const code = piece[at];
    parts.push(piece.subarray(at + 1, at + code));
    at += code;
    if (code < 0xff && at < piece.length) parts.push(Buffer.of(0));
  }
  return Buffer.concat(parts);
}

/** Values that make a row of this dialect. */
export const VALUES_PER_ROW = NAMES.length;
