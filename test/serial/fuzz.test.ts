/**
 * Good rows among mutated lines, cut anywhere. Whatever the noise: no crash, no stall, every byte in one counter, and
 * every good row whose line began at a line start is delivered, in order and with its values.
 * EDGELOOP_FUZZ_COUNT sets the mutated lines per dialect, EDGELOOP_FUZZ_SEED the seed.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { mulberry32 } from '../../src/engine/random.ts';
import { type TextFormat, makeDecoder } from '../../src/serial/dialects.ts';
import { Labels } from '../../src/serial/labels.ts';

const COUNT = Number(process.env.EDGELOOP_FUZZ_COUNT ?? 100_000);
const SEED = Number(process.env.EDGELOOP_FUZZ_SEED ?? 20_261_124);
const BLOCK_BYTES = 65_536;
/** A core that other tests share does a thousand lines in some milliseconds; a stall takes far longer. */
const MS_PER_LINE_MAX = 1;
/** What compiled code and the test runner take, whatever the count. */
const HEAP_GROWTH_BYTES_MAX = 2_000_000;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const SHAPE = { columns: ['id', 'x', 'y', 'state'], label: 'state' };
const STATES = ['off', 'running'];

interface Dialect {
  readonly name: string;
  readonly format: Partial<TextFormat>;
  /** A row as the board prints it: one line, or several. */
  print(id: number, x: number, y: number, state: string): string;
}

/** The board's clock in front. */
const CLOCKED = { ...SHAPE, columns: ['ms', ...SHAPE.columns], time: 'ms' };

const DIALECTS: readonly Dialect[] = [
  {
    name: 'numbers with a clock',
    format: { ...CLOCKED, format: 'numbers' },
    print: (id, x, y, state) => `${20 * id},${id},${x},${y},${state}`,
  },
  {
    name: 'json with a clock',
    format: { ...CLOCKED, format: 'json' },
    print: (id, x, y, state) => JSON.stringify({ id, state, y, x, ms: 20 * id }),
  },
  {
    name: 'teleplot with stamps',
    format: { format: 'teleplot', time: 'stamp' },
    print: (id, x, y, state) =>
      `>id:${20 * id}:${id}\n>x:${20 * id}:${x}§g\n>y,w:${20 * id}:${y}\n>state:${20 * id}:${state}|t`,
  },
  { name: 'numbers', format: { format: 'numbers' }, print: (id, x, y, state) => `${id},${x},${y},${state}` },
  {
    name: 'numbers with locale commas',
    format: { format: 'numbers', separator: 'semicolon' },
    print: (id, x, y, state) => `${id};${x};${y};${state}`.replaceAll('.', ','),
  },
  {
    name: 'numbers with spaces',
    format: { format: 'numbers', separator: 'space' },
    print: (id, x, y, state) => `${id}  ${x} ${y}\t${state}`,
  },
  {
    name: 'plotter',
    format: { format: 'plotter' },
    print: (id, x, y, state) => `x:${x},id:${id}\ty:${y} state:${state}`,
  },
  {
    name: 'teleplot',
    format: { format: 'teleplot' },
    print: (id, x, y, state) => `>id:${id}\n>x:${x}§g\n>y,w:17:${y}\n>state:${state}|t`,
  },
  {
    name: 'json',
    format: { format: 'json' },
    print: (id, x, y, state) => JSON.stringify({ id, state, y, x }),
  },
  { name: 'csv', format: { format: 'csv' }, print: (id, x, y, state) => `${id},${x},${y},${state}` },
  {
    name: 'text',
    format: { format: 'text', pattern: '#{id} acc [ {x}, {y} ] {state}' },
    print: (id, x, y, state) => `12:01 #${id} acc [ ${x}, ${y} ] ${state}`,
  },
];

type Random = () => number;

const below = (random: Random, limit: number): number => Math.floor(random() * limit);

const noise = (count: number, one: () => number): Buffer => Buffer.from(Array.from({ length: count }, one));

/** One line, damaged; without the newline that ends it. */
function mutate(line: Buffer, random: Random): Buffer {
  const at = below(random, line.length);
  switch (below(random, 9)) {
    case 0: {
      const flipped = Buffer.from(line);
      flipped[at] ^= 1 << below(random, 8);
      return flipped;
    }
    case 1:
      return line.subarray(0, at);
    case 2:
      return line.subarray(at);
    case 3: // bytes lost in the middle
      return Buffer.concat([line.subarray(0, at), line.subarray(at + 1 + below(random, 6))]);
    case 4: // two lines that run into each other
      return Buffer.concat([line.subarray(0, at), line]);
    case 5:
      return Buffer.concat([
        line.subarray(0, at),
        noise(below(random, 20), () => below(random, 256)),
        line.subarray(at),
      ]);
    case 6:
      return noise(below(random, 60), () => 0x20 + below(random, 95));
    case 7: // a flood, now and then longer than a line may be
      return Buffer.alloc(random() < 0.02 ? 3000 : below(random, 40), below(random, 3) === 0 ? 0x55 : 0);
    default:
      return Buffer.from(
        ['inf,nan,1e99,on', '[12] wifi: up', '{"a":[', '\ufeff', '\r', '>x:', '-,-,-,-'][below(random, 7)],
      );
  }
}

/** A line that csv may take for the header of another program: then it rightly drops what follows. */
const looksLikeHeader = (line: Buffer): boolean =>
  line
    .toString('latin1')
    .split('\n')
    .some((part) => part.split(/[,;\t]/).every((cell) => /^[ \t]*($|[A-Za-z_\x80-\xff])/.test(cell)));

interface Row {
  readonly id: number;
  readonly x: number;
  readonly y: number;
  readonly state: string;
}

/** Builds the stream block by block, feeds it, and keeps the list of rows that must come. */
class Fuzz {
  /** Rows that must come and have not yet. */
  readonly awaited: Row[] = [];
  taken = 0;
  pushed = 0;
  readonly #block = Buffer.alloc(BLOCK_BYTES);
  #filled = 0;
  #atLineStart = false;
  #nextId = 1;
  readonly #random: Random;
  readonly #print: Dialect['print'];
  readonly #push: (bytes: Uint8Array, count: number) => void;

  constructor(random: Random, print: Dialect['print'], push: (bytes: Uint8Array, count: number) => void) {
    this.#random = random;
    this.#print = print;
    this.#push = push;
  }

  addGood(): void {
    const row = this.#makeRow(this.#nextId++);
    if (this.#atLineStart) this.awaited.push(row);
    this.#add(Buffer.from(this.#print(row.id, row.x, row.y, row.state)));
    this.#endLine();
  }

  addMutated(): void {
    // Below zero: a damaged row is never taken for one that is waited for.
    const { id, x, y, state } = this.#makeRow(-1 - below(this.#random, 1e6));
    const lines = this.#print(id, x, y, state).split('\n');
    let damaged = mutate(Buffer.from(lines[below(this.#random, lines.length)]), this.#random);
    while (looksLikeHeader(damaged)) damaged = Buffer.from('1');
    this.#add(damaged);
    if (this.#random() < 0.9) this.#endLine();
    else if (damaged.length > 0) this.#atLineStart = damaged.at(-1) === 0x0a;
  }

  take(values: Float32Array, state: string | undefined): void {
    const [next] = this.awaited;
    if (next === undefined || values[0] !== next.id) return;
    expect([values[1], values[2], state]).toEqual([Math.fround(next.x), Math.fround(next.y), next.state]);
    this.awaited.shift();
    this.taken += 1;
  }

  flush(): void {
    for (let at = 0; at < this.#filled;) {
      const count = Math.min(1 + below(this.#random, this.#random() < 0.5 ? 64 : 4096), this.#filled - at);
      this.#push(this.#block.subarray(at), count);
      at += count;
    }
    this.#filled = 0;
  }

  #makeRow(id: number): Row {
    const number = (): number => Math.trunc((this.#random() - 0.5) * 2e5) / 1000 + 0; // never -0, which prints as 0
    return { id, x: number(), y: number(), state: STATES[below(this.#random, 2)] };
  }

  #endLine(): void {
    this.#add(Buffer.from(this.#random() < 0.5 ? '\n' : '\r\n'));
    this.#atLineStart = true;
  }

  #add(bytes: Buffer): void {
    if (this.#filled + bytes.length > BLOCK_BYTES) this.flush();
    this.#filled += bytes.copy(this.#block, this.#filled);
    this.pushed += bytes.length;
  }
}

describe(`mutated lines, seed ${SEED}`, () => {
  it.each(DIALECTS)(
    `of $name: ${COUNT} leave every good row and every byte accounted for`,
    ({ format, print }) => {
      const random = mulberry32(SEED);
      const labels = new Labels(STATES, 8);
      const stream = makeDecoder(
        { format: 'numbers', separator: 'any', pattern: '', ...SHAPE, ...format },
        labels,
        (values, label) => fuzz.take(values, labels.names[label]),
      );
      const fuzz = new Fuzz(random, print, (bytes, count) => stream.push(bytes, count, 0));
      const heapBefore = settledHeap();
      const startMs = performance.now();
      for (let mutated = 0; mutated < COUNT;) {
        if (random() < 0.4) fuzz.addGood();
        else {
          fuzz.addMutated();
          mutated += 1;
        }
      }
      fuzz.flush();
      expect(fuzz.awaited, `seed ${SEED}`).toEqual([]);
      expect(fuzz.taken).toBeGreaterThan(COUNT / 4);
      const { dropped, ...kept } = stream.countBytes();
      const counts = [...Object.values(kept), ...Object.values(dropped)] as number[];
      expect(counts.reduce((sum, bytes) => sum + bytes, 0)).toBe(fuzz.pushed);
      expect(performance.now() - startMs).toBeLessThan(COUNT * MS_PER_LINE_MAX);
      expect(settledHeap() - heapBefore).toBeLessThan(HEAP_GROWTH_BYTES_MAX);
    },
    600_000,
  );
});

function settledHeap(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
