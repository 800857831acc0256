/** What a board is told to send, and what must come of it: the same for the C header and the Python module. */
import { execFileSync, spawnSync } from 'node:child_process';
import { basename, join } from 'node:path';
import { mulberry32 } from '../../src/engine/random.ts';
import { FrameEncoder } from '../../src/serial/frame-encoder.ts';
import type { Session } from '../../src/serial/frame-session.ts';

export const LIBRARY = join(import.meta.dirname, '../../device/firmware/edgeloop');

const WARNINGS = ['-O1', '-Wall', '-Wextra', '-Wpedantic', '-Wconversion', '-Werror', '-fsanitize=undefined'];

/** Compiles a program that uses the C header. @returns its path, below `folder` */
export function compileProgram(
  folder: string,
  compiler: string,
  language: readonly string[],
  source: string,
  defines: readonly string[] = [],
): string {
  const program = join(folder, [basename(source), compiler, ...defines].join('-'));
  const args = [
    ...language,
    ...WARNINGS,
    ...defines,
    '-fno-sanitize-recover',
    `-I${LIBRARY}`,
    '-o',
    program,
    source,
  ];
  execFileSync(compiler, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  return program;
}

/** Python that runs a script with the module for MicroPython, leaving no compiled files behind. */
export function pythonCode(script: string, args: readonly string[] = []): string {
  return `import sys; sys.dont_write_bytecode = True; sys.path.insert(0, ${JSON.stringify(join(LIBRARY, 'micropython'))})
sys.argv = ${JSON.stringify(['', ...args])}; exec(open(${JSON.stringify(script)}).read())`;
}

export const FORMAT = { frames: 0, csv: 1, plotter: 2 } as const;
const FLAG = { time: 1, labelInBand: 2, int16: 4 } as const;
const REPEAT_US = 5_000_000;

export interface Script {
  /** For the sender's standard input. */
  readonly orders: string;
  /** What it must send, byte for byte. */
  readonly frames: Uint8Array;
  readonly rows: { values: number[]; label: number }[];
}

export function sessionOf(flags: number): Session {
  const isInt16 = (flags & FLAG.int16) !== 0;
  const column = (name: string, unit: string, scale: number) => ({
    name,
    unit,
    scale: isInt16 ? Math.fround(scale) : 1,
  });
  return {
    rateHz: 62.5,
    valueType: isInt16 ? 'int16' : 'float32',
    hasTime: (flags & FLAG.time) !== 0,
    labelInBand: (flags & FLAG.labelInBand) !== 0,
    columns: [column('ax', 'g', 0.001), column('t', '°C', 0.25), column('n', '', -3)],
    classes: ['off', 'on'],
  };
}

/** Random rows and labels, the sequence number wrapping, the clock wrapping, and missing values among them. */
export function makeScript(seed: number, flags: number, rowCount: number): Script {
  const random = mulberry32(seed);
  const session = sessionOf(flags);
  const isInt16 = session.valueType === 'int16';
  const board = new FrameEncoder(session);
  const orders = ['n 4294967000'];
  const frames = [Uint8Array.of(0), board.describe()];
  const rows: Script['rows'] = [];
  board.sequence = 4_294_967_000;
  let [nowUs, describedUs] = [0, 0];
  for (let row = 0; row < rowCount; row++) {
    nowUs = (nowUs + Math.floor(random() * 1e7)) >>> 0;
    if (random() < 0.1) {
      const label = [0, 1, 255][Math.floor(random() * 3)];
      orders.push(`l ${label}`);
      if (label !== board.label && !session.labelInBand) frames.push(board.setLabel(label));
      board.label = label;
    }
    const bits = session.columns.map(() => (isInt16 ? randomInt16(random) : randomFloat(random)));
    orders.push(`r ${nowUs} ${bits.map((value) => value.toString(16)).join(' ')}`);
    const counts = bits.map((value) => (isInt16 ? (value << 16) >> 16 : floatOf(value)));
    if ((nowUs - describedUs) >>> 0 >= REPEAT_US) {
      frames.push(board.describe());
      describedUs = nowUs;
    }
    frames.push(board.row(counts, nowUs));
    const values = counts.map((count, index) => {
      if (!isInt16) return count;
      return count === -32_768 ? NaN : Math.fround(count * session.columns[index].scale);
    });
    rows.push({ values, label: board.label === 255 ? -1 : board.label });
  }
  return { orders: `${orders.join('\n')}\n`, frames: Uint8Array.from(Buffer.concat(frames)), rows };
}

/** @returns what the sender wrote */
export function send(command: string, args: readonly string[], input: string | Uint8Array): Uint8Array {
  const output = execFileSync(command, args, { input, maxBuffer: 1e8, stdio: ['pipe', 'pipe', 'inherit'] });
  return Uint8Array.from(output);
}

/** Whether a program is there; says so if it is not, since its tests are then skipped. */
export function isInstalled(command: string, why: string): boolean {
  const { error } = spawnSync(command, ['--version'], { stdio: 'ignore' });
  if (error !== undefined) console.warn(`SKIPPED: ${command} is not installed, ${why}`);
  return error === undefined;
}

const FLOATS = new Float32Array(1);
const BITS = new Uint32Array(FLOATS.buffer);

function floatOf(bits: number): number {
  BITS[0] = bits;
  return FLOATS[0];
}

/** Bits of a finite float of any magnitude, now and then of the usual NaN or of a small whole number. */
function randomFloat(random: () => number): number {
  const choice = random();
  if (choice < 0.05) FLOATS[0] = NaN;
  else if (choice < 0.3) FLOATS[0] = Math.floor(random() * 9) - 4;
  else
    do BITS[0] = random() * 2 ** 32;
    while (!Number.isFinite(FLOATS[0]));
  return BITS[0];
}

function randomInt16(random: () => number): number {
  return random() < 0.1 ? 0x8000 : Math.floor(random() * 65_536);
}
