/**
 * The library on a real AVR: the examples are compiled against the Arduino core, and an image runs in simavr, its
 * serial port on a tty. Needs Debian's gcc-avr, avr-libc, arduino-core-avr, and simavr, libsimavr-dev, libelf-dev.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ANSWER_KIND, encodeAnswer } from '../../src/serial/answer-frame.ts';
import { SerialLink } from '../../src/serial/link.ts';
import { bytesCounted, drops, listen } from '../support/frames.ts';
import { temporaryFolder } from '../support/program.ts';
import { isInstalled } from './senders.ts';

const LIBRARY = join(import.meta.dirname, '../../device/firmware/edgeloop');
const ARDUINO = '/usr/share/arduino/hardware/arduino/avr';
const CORE = join(ARDUINO, 'cores/arduino');
const WIRE = join(ARDUINO, 'libraries/Wire/src');
const ECHO = join(import.meta.dirname, 'echo.ino');
const PATTERN = join(import.meta.dirname, 'pattern.ino');
const SIMULATOR = join(import.meta.dirname, 'simulator.c');

/** An Uno has 2048; the rest is for the stack. */
const RAM_BYTES_MAX = 1024;
const ROWS = 3000;

const hasAvr = isInstalled('avr-gcc', 'so no sketch is compiled') && isThere(CORE, 'arduino-core-avr');
const hasSimulator = hasAvr && isThere('/usr/include/simavr/parts/uart_pty.h', 'libsimavr-dev');

function isThere(path: string, debianPackage: string): boolean {
  if (existsSync(path)) return true;
  console.warn(`SKIPPED: ${path} is missing (Debian package ${debianPackage})`);
  return false;
}

const folder = temporaryFolder();
afterAll(folder.dispose);

const FLAGS = [
  '-mmcu=atmega328p',
  '-DF_CPU=16000000L',
  '-DARDUINO=10819',
  '-DARDUINO_AVR_UNO',
  '-DARDUINO_ARCH_AVR',
  '-DDECIMAL_DIG=17', // avr-libc lacks it
  '-Os',
  '-ffunction-sections',
  '-fdata-sections',
  ...[CORE, join(ARDUINO, 'variants/standard'), WIRE, join(WIRE, 'utility'), LIBRARY].map(
    (path) => `-I${path}`,
  ),
];
const CXX = ['-std=gnu++11', '-fno-exceptions', '-fno-threadsafe-statics'];

function compile(source: string, flags: readonly string[] = []): string {
  const isC = source.endsWith('.c');
  const object = join(folder.path, `${basename(source)}.o`);
  const language = isC ? ['-std=gnu11'] : CXX;
  execFileSync(isC ? 'avr-gcc' : 'avr-g++', [...FLAGS, ...language, ...flags, '-c', '-o', object, source]);
  return object;
}

function sources(path: string): string[] {
  return readdirSync(path)
    .filter((name) => /\.(c|cpp)$/.test(name))
    .map((name) => join(path, name));
}

/** As the Arduino builder does: the core's header first, then the sketch. */
function build(sketch: string, core: readonly string[]): { image: string; ramBytes: number } {
  const source = join(folder.path, `${basename(sketch)}.cpp`);
  writeFileSync(source, `#include <Arduino.h>\n#line 1 "${sketch}"\n${readFileSync(sketch, 'utf8')}`);
  const object = compile(source, ['-Wall', '-Wextra', '-Werror']);
  const image = join(folder.path, `${basename(sketch)}.elf`);
  execFileSync('avr-gcc', [
    '-mmcu=atmega328p',
    '-Os',
    '-Wl,--gc-sections',
    '-o',
    image,
    object,
    ...core,
    '-lm',
  ]);
  const [, data, bss] = execFileSync('avr-size', [image], { encoding: 'utf8' })
    .split('\n')[1]
    .trim()
    .split(/\s+/);
  return { image, ramBytes: Number(data) + Number(bss) };
}

describe.skipIf(!hasAvr)('on an AVR', () => {
  let core: string[] = [];
  beforeAll(() => {
    core = [...sources(CORE), ...sources(WIRE), ...sources(join(WIRE, 'utility'))].map((source) =>
      compile(source, ['-w']),
    );
  }, 120_000);

  it.each(['Accelerometer', 'AnalogPins', 'AnswerLed', 'LabelButton'])(
    'the example %s compiles and is small',
    (name) => {
      const { ramBytes } = build(join(LIBRARY, 'examples', name, `${name}.ino`), core);
      console.log(`${name}: ${ramBytes} bytes of RAM`);
      expect(ramBytes).toBeGreaterThan(0);
      expect(ramBytes).toBeLessThan(RAM_BYTES_MAX);
    },
  );

  it.skipIf(!hasSimulator)('an image streams frames through a tty', { timeout: 120_000 }, () =>
    simulate(build(PATTERN, core).image, expectRows),
  );

  it.skipIf(!hasSimulator)('an image takes every answer', { timeout: 120_000 }, () =>
    simulate(build(ECHO, core).image, expectAnswers),
  );
});

/** Runs an image while `use` works with its tty. */
async function simulate(image: string, use: (path: string) => Promise<void>): Promise<void> {
  const simulator = `${image}-simulator`;
  const libraries = ['-lsimavrparts', '-lsimavr', '-lelf'];
  execFileSync('gcc', ['-O2', '-I/usr/include/simavr', '-o', simulator, SIMULATOR, ...libraries]);
  const child = spawn(simulator, [image], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    await use(await firstLine(child));
  } finally {
    child.kill('SIGKILL'); // it leaves an orderly end unheard
    await once(child, 'exit');
  }
}

async function firstLine(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const bytes of child.stdout!) {
    text += bytes;
    const path = /^(\/dev\/\S+)$/m.exec(text)?.[1];
    if (path !== undefined && text.includes('\n')) return path;
  }
  throw new Error(`the simulator ended: ${text}`);
}

/** The image sends back what it is answered. The first answers go until it hears: it may still be starting. */
async function expectAnswers(path: string): Promise<void> {
  const heard = listen();
  const link = await SerialLink.open(
    { path, baudRate: 115_200 },
    {
      onBytes: (read, count) => heard.decoder.push(read, count, 0),
      onGone: (error) => {
        throw error;
      },
    },
  );
  const answer = async (sequence: number, value: number): Promise<void> => {
    const kind = ANSWER_KIND[(['class', 'number', 'anomaly'] as const)[sequence % 3]];
    expect(link.write(encodeAnswer(kind, sequence, sequence % 256, value))).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 20));
  };
  while (heard.rows.length === 0) await answer(0, 1);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const before = heard.rows.length;
  const sent = Array.from({ length: 100 }, (_, n) => ({
    sequence: (n * 42_949_673) >>> 0,
    value: (n - 50) / 8,
  }));
  for (const { sequence, value } of sent) await answer(sequence, value);
  while (heard.rows.length < before + sent.length) await new Promise((resolve) => setTimeout(resolve, 20));
  await link.close();
  expect(heard.rows.slice(before).map(({ values }) => values)).toEqual(
    sent.map(({ sequence, value }) => [
      sequence & 0xffff,
      sequence >>> 16,
      1 + (sequence % 3),
      sequence % 256,
      value,
    ]),
  );
}

async function expectRows(path: string): Promise<void> {
  const heard = listen();
  let bytes = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const link = await SerialLink.open(
    { path, baudRate: 115_200 },
    {
      onBytes(read, count) {
        bytes += count;
        heard.decoder.push(read, count, Math.floor(performance.now() * 1000));
        if (heard.rows.length >= ROWS) resolve();
      },
      onGone: reject,
    },
  );
  await promise;
  await link.close();
  const { decoder, rows, sessions } = heard;
  expect(sessions.map(({ rateHz, classes }) => [rateHz, ...classes])).toEqual([[1000, 'even', 'odd']]);
  for (const { values, label } of rows) {
    const [up, down, seven] = values;
    expect([down, seven]).toEqual([up === 0 ? 0 : -up, 3.5 * up]);
    if (label >= 0) expect(label).toBe(Math.floor(up / 100) % 2);
  }
  expect(rows.filter(({ label }) => label >= 0).length).toBeGreaterThan(ROWS / 2);
  // The rows that did not come are exactly those that the sequence numbers miss, or were dropped and counted. (A
  // change of label is a frame too, so the count of missing rows may be smaller.)
  const first = rows[0].values[0];
  const span = (rows[rows.length - 1].values[0] - first + 4001) % 4001;
  const missing = span + 1 - rows.length;
  expect(missing).toBeLessThanOrEqual(decoder.lost);
  expect(bytesCounted(heard)).toBe(bytes);
  const steps = rows.slice(1).map(({ timeUs }, index) => timeUs - rows[index].timeUs);
  const usual = steps.toSorted((left, right) => left - right)[steps.length >> 1];
  expect(usual).toBeGreaterThan(900);
  expect(usual).toBeLessThan(1100);
  console.log(`AVR: ${rows.length} rows, ${decoder.lost} lost, dropped ${JSON.stringify(drops(heard))}`);
}
