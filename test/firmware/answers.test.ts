import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { mulberry32 } from '../../src/engine/random.ts';
import { ANSWER_KIND, type AnswerKind, encodeAnswer } from '../../src/serial/answer-frame.ts';
import { FrameEncoder, frame } from '../../src/serial/frame-encoder.ts';
import { FrameDecoder } from '../../src/serial/frames.ts';
import { Labels } from '../../src/serial/labels.ts';
import { temporaryFolder } from '../support/program.ts';
import { LIBRARY, compileProgram, isInstalled, pythonCode, send, sessionOf } from './senders.ts';

const SEED = 23;
const ROUNDS = 20_000;

const folder = temporaryFolder();
afterAll(folder.dispose);

const hasGcc = isInstalled('gcc', 'so the C header is not tested');
const hasGxx = isInstalled('g++', 'so the C header is not tested as C++');
const hasPython = isInstalled('python3', 'so the module for MicroPython is not tested');

const SOURCE = join(import.meta.dirname, 'receiver.c');
const SCRIPT = join(import.meta.dirname, 'receiver.py');

type Receiver = (bytes: Uint8Array) => string[];

const lines = (output: Uint8Array): string[] => Buffer.from(output).toString().split('\n').slice(0, -1);
const program = (compiler: string, language: readonly string[]) => (): Receiver => {
  const path = compileProgram(folder.path, compiler, language, SOURCE);
  return (bytes) => lines(send(path, [], bytes));
};
const python = (): Receiver => (bytes) => lines(send('python3', ['-c', pythonCode(SCRIPT)], bytes));

const receivers: [string, boolean, () => Receiver][] = [
  ['the C header, compiled as C99', hasGcc, program('gcc', ['-std=c99'])],
  ['the C header, compiled as C++11', hasGxx, program('g++', ['-x', 'c++', '-std=c++11'])],
  ['the module for MicroPython', hasPython, python],
];

/** The answers of FORMAT.md. */
const vectors = (): { name: string; bytes: Uint8Array }[] => {
  const text = readFileSync(join(import.meta.dirname, '../../FORMAT.md'), 'utf8');
  const rows = /```answers\n([^]*?)```/.exec(text)![1].trim().split('\n');
  return rows.map((row) => {
    const [name, hex] = row.split(/ {2,}/);
    return { name, bytes: Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex')) };
  });
};

const bitsOf = (value: number): string => new Uint32Array(Float32Array.of(value).buffer)[0].toString(16);

describe('answers to the board', () => {
  it('are the test vectors of FORMAT.md', () => {
    for (const { name, bytes } of vectors()) {
      const [kind, sequence, index, value] = name.split(' ').map(Number);
      expect(encodeAnswer(kind as AnswerKind, sequence, index, value), name).toEqual(bytes);
    }
    expect(vectors()).toHaveLength(5);
  });

  it('are of one length, whatever they hold', () => {
    for (const { bytes } of vectors()) expect(bytes).toHaveLength(17);
  });

  it('are an unknown type to ourselves, when the line echoes', () => {
    const decoder = new FrameDecoder(new Labels([], 2), { onRow: () => expect.unreachable() });
    for (const { bytes } of vectors()) decoder.push(bytes, bytes.length, 0);
    expect(decoder.dropped).toMatchObject({ unknownType: 5, crc: 0 });
  });
});

for (const [name, isThere, make] of receivers) {
  describe.skipIf(!isThere)(`answers to ${name}`, () => {
    let made: Receiver | undefined;
    const receive: Receiver = (bytes) => (made ??= make())(bytes);

    it('are taken as FORMAT.md has them', () => {
      const taken = receive(Buffer.concat(vectors().map(({ bytes }) => bytes)));
      expect(taken).toEqual(
        vectors().map(({ name }) => {
          const [kind, sequence, index, value] = name.split(' ').map(Number);
          return `${sequence % 2 ** 32} ${kind} ${index} ${bitsOf(value)}`;
        }),
      );
    });

    it('are taken among noise, other frames and damage, and nothing else is', () => {
      const random = mulberry32(SEED);
      const below = (count: number): number => Math.floor(random() * count);
      const board = new FrameEncoder(sessionOf(0));
      const parts: Uint8Array[] = [];
      const expected: string[] = [];
      const kinds = Object.values(ANSWER_KIND);
      for (let round = 0; round < ROUNDS; round++) {
        const [sequence, kind, index] = [below(2 ** 32), kinds[below(3)], below(256)];
        const value = Math.fround((random() - 0.5) * 10 ** below(9));
        const answer = encodeAnswer(kind, sequence, index, value);
        const choice = below(8);
        if (choice < 3) {
          parts.push(answer);
          expected.push(`${sequence} ${kind} ${index} ${bitsOf(value)}`);
        } else if (choice === 3) {
          answer[below(16)] ^= 1 + below(255); // also to zero: two pieces
          parts.push(answer);
        } else if (choice === 4) {
          parts.push(answer.slice(1 + below(15))); // the head is missing
        } else if (choice === 5) {
          parts.push(
            Uint8Array.from({ length: below(40) }, () => 1 + below(255)),
            Uint8Array.of(0),
          );
        } else if (choice === 6) {
          parts.push(board.row([1, 2, 3]), Uint8Array.of(0, 0));
        } else {
          // Of an answer's length, and sound: of another type, or of another version.
          parts.push(frame([below(2) ? 0x15 : 0x24, ...Array.from({ length: 10 }, () => below(256))]));
        }
      }
      expect(receive(Buffer.concat(parts)), `seed ${SEED}`).toEqual(expected);
    });
  });
}

describe.skipIf(!hasPython)('the examples for MicroPython', () => {
  it.each(['accelerometer', 'analog_pins', 'answer_led', 'label_button'])('%s compiles', (example) => {
    const path = join(LIBRARY, 'micropython', `${example}.py`);
    execFileSync('python3', ['-c', 'import ast, sys; ast.parse(open(sys.argv[1]).read())', path]);
  });
});
