import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Labels } from '../../src/serial/labels.ts';
import { bytesCounted, drops, listen, push } from '../support/frames.ts';
import { numbersDecoder } from '../support/lines.ts';
import { temporaryFolder } from '../support/program.ts';
import { FORMAT, compileProgram, isInstalled, makeScript, pythonCode, send, sessionOf } from './senders.ts';

const SEED = 11;
const ROWS = 600;

const folder = temporaryFolder();
afterAll(folder.dispose);

const hasGcc = isInstalled('gcc', 'so the C header is not tested');
const hasGxx = isInstalled('g++', 'so the C header is not tested as C++');
const hasPython = isInstalled('python3', 'so the module for MicroPython is not tested');

const SOURCE = join(import.meta.dirname, 'sender.c');
const SCRIPT = join(import.meta.dirname, 'sender.py');

function compile(compiler: string, language: readonly string[], defines: readonly string[] = []): string {
  return compileProgram(folder.path, compiler, language, SOURCE, defines);
}

type Sender = (format: number, flags: number, orders: string) => Uint8Array;

function program(path: string): Sender {
  return (format, flags, orders) => send(path, [`${format}`, `${flags}`], orders);
}

const python: Sender = (format, flags, orders) =>
  send('python3', ['-c', pythonCode(SCRIPT, [`${format}`, `${flags}`])], orders);

const senders: [string, boolean, () => Sender][] = [
  ['the C header, compiled as C99', hasGcc, () => program(compile('gcc', ['-std=c99']))],
  [
    'the C header with the small buffer of an AVR',
    hasGcc,
    () => program(compile('gcc', ['-std=c99'], ['-DEDGELOOP_BLOCK_BYTES=48'])),
  ],
  ['the C header, compiled as C++11', hasGxx, () => program(compile('g++', ['-x', 'c++', '-std=c++11']))],
  ['the module for MicroPython', hasPython, () => python],
];

for (const [name, isThere, make] of senders) {
  describe.skipIf(!isThere)(name, () => {
    let made: Sender | undefined;
    const sender: Sender = (...args) => (made ??= make())(...args);

    it.each([0, 1, 2, 3, 4, 5, 6, 7])('sends frames bit for bit, session flags %i', (flags) => {
      const script = makeScript(SEED + flags, flags, ROWS);
      const sent = sender(FORMAT.frames, flags, script.orders);
      expect(Buffer.from(sent).equals(script.frames), `seed ${SEED + flags}`).toBe(true);
      const heard = push(listen(), sent, 61, 1e9);
      expect(heard.sessions).toEqual([sessionOf(flags)]);
      expect(heard.rows.map(({ values, label }) => ({ values, label }))).toEqual(script.rows);
      // The script sets the number back from 0, once, so that it wraps; nothing is lost there or later.
      expect([drops(heard), heard.decoder.restarts, heard.decoder.lost]).toEqual([{}, 1, 0]);
      expect(bytesCounted(heard)).toBe(sent.length);
    });

    it('prints lines of numbers that edgeloop reads', () => {
      const cells = [1.0004, -2.9996, 1e10, 0.0005, -0.25, 123_456.789].map(Math.fround);
      const bits = [...new Uint32Array(Float32Array.from([...cells, NaN, 0, -0]).buffer)].map((word) =>
        word.toString(16),
      );
      const orders = `r 0 ${bits.slice(0, 3).join(' ')}\nl 1\nr 1 ${bits.slice(3, 6).join(' ')}\nr 2 ${bits.slice(6).join(' ')}\n`;
      const sent = sender(FORMAT.csv, 0, orders);
      expect(Buffer.from(sent).toString()).toMatch(/^\r\nax,t,n,label\r\n1\.000,-3\.000,1[01.e]+,\r\n/);
      const rows: number[][] = [];
      const labels = new Labels([], 2);
      const decoder = numbersDecoder(['ax', 't', 'n', 'label'], labels, (row, label) =>
        rows.push([...row, label]),
      );
      decoder.push(sent, sent.length, 0);
      expect(rows.length).toBe(3);
      for (const [index, value] of rows.flatMap((row) => row.slice(0, 3)).entries()) {
        if (index === 6) expect(value).toBeNaN();
        else
          expect(Math.abs(value - (cells[index] ?? 0))).toBeLessThanOrEqual(
            0.0005001 + Math.abs(value) * 1e-6,
          );
      }
      expect(rows.map((row) => row[3])).toEqual([-1, 0, 0]);
      expect(labels.names).toEqual(['on']);
    });

    it('prints lines for the plotter, with counts scaled', () => {
      const text = Buffer.from(
        sender(FORMAT.plotter, 4, 'l 0\nr 0 3e8 fffe 8000\nl 255\nr 0 0 0 1\n'),
      ).toString();
      expect(text).toBe('\r\nax:1.000,t:-0.500,n:nan,label:off\r\nax:0.000,t:0.000,n:-3.000,label:\r\n');
    });
  });
}
