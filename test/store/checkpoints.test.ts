import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type CheckpointDescription,
  checkpointName,
  configDigest,
  keptCheckpoints,
  readCheckpoint,
  writeCheckpoint,
} from '../../src/store/checkpoints.ts';
import { systemFiles } from '../../src/store/files.ts';

const identity = { arithmetic: '1', config: { hidden: 16 } };
const DESCRIPTION: CheckpointDescription = {
  ...identity,
  configSha256: configDigest(identity),
  classes: ['an', 'aus'],
  epoch: 1,
  session: 'aa',
  segment: 3,
  runSeconds: 12.5,
  takenAt: '1970-01-01T00:00:00.000Z',
};
const SEQUENCE = 2 ** 40 + 7;
const ARENA = Uint8Array.from({ length: 100 }, (_, at) => at);

let directory: string;
let path: string;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'edgeloop-checkpoints-'));
  path = join(directory, checkpointName(5));
  const whole = { number: 5, sequence: SEQUENCE, description: DESCRIPTION, arena: ARENA };
  await writeCheckpoint(systemFiles, directory, whole);
});
afterEach(() => rmSync(directory, { recursive: true }));

const reasonOf = (): string | undefined => {
  const read = readCheckpoint(directory, 5);
  return 'reason' in read ? read.reason : undefined;
};

describe('a checkpoint', () => {
  it('gives back what was written, and leaves nothing else in its directory', () => {
    expect(readCheckpoint(directory, 5)).toEqual({
      path,
      number: 5,
      sequence: SEQUENCE,
      description: DESCRIPTION,
      arena: ARENA,
    });
    expect(readdirSync(directory)).toEqual([checkpointName(5)]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('lies as FORMAT.md says', () => {
    const bytes = readFileSync(path);
    const text = JSON.stringify(DESCRIPTION);
    expect(bytes.toString('latin1', 0, 8)).toBe('ELOOPCKP');
    expect([bytes.readUInt16LE(8), bytes.readUInt16LE(10), bytes.readUInt32LE(12)]).toEqual([
      1,
      0,
      text.length,
    ]);
    expect([bytes.readBigUInt64LE(16), bytes.readBigUInt64LE(24)]).toEqual([BigInt(SEQUENCE), 100n]);
    expect(bytes.toString('utf8', 32, 32 + text.length)).toBe(text);
    expect(bytes.subarray(32 + text.length, 132 + text.length)).toEqual(Buffer.from(ARENA));
    const digest = createHash('sha256').update(bytes.subarray(0, -32)).digest();
    expect(bytes.subarray(-32)).toEqual(digest);
  });

  it('with any byte changed, cut short or made longer is known as damaged', () => {
    const bytes = readFileSync(path);
    for (let at = 0; at < bytes.length; at++) {
      for (const bit of [1, 0x80]) {
        writeFileSync(path, Buffer.from(bytes).fill(bytes[at] ^ bit, at, at + 1));
        expect(reasonOf()).toBeTypeOf('string');
      }
    }
    for (let size = 0; size < bytes.length; size++) {
      writeFileSync(path, bytes.subarray(0, size));
      expect(reasonOf()).toBeTypeOf('string');
    }
    writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(1)]));
    expect(reasonOf()).toMatch(/its header says \d+ bytes, there are \d+/);
    rmSync(path);
    expect(reasonOf()).toBe('it cannot be read (ENOENT)');
  });

  it('of a newer version is not passed over but refused, with one sentence', () => {
    const bytes = readFileSync(path);
    bytes.writeUInt16LE(2, 8);
    bytes.set(createHash('sha256').update(bytes.subarray(0, -32)).digest(), bytes.length - 32);
    writeFileSync(path, bytes);
    expect(() => readCheckpoint(directory, 5)).toThrow(
      `${path}: expected a checkpoint of version 1, got version 2. Use the edgeloop that wrote it, or a newer one`,
    );
  });
});

describe('generations of checkpoints', () => {
  it('are dense where they are new and sparse where they are old, whenever they are thinned', () => {
    let numbers: number[] = [];
    for (let number = 1; number <= 5000; number++) {
      numbers = keptCheckpoints([...numbers, number], 64);
      expect(numbers.slice(-8)).toEqual(
        Array.from({ length: Math.min(number, 8) }, (_, i) => Math.max(1, number - 7) + i),
      );
      for (let i = 1; i < numbers.length; i++) {
        const age = number - numbers[i - 1];
        expect(numbers[i] - numbers[i - 1]).toBeLessThanOrEqual(Math.max(1, age / 2));
      }
    }
    expect(numbers.length).toBeLessThan(60);
    expect(keptCheckpoints(numbers, 10)).toEqual(numbers.slice(-10));
    expect(keptCheckpoints([], 10)).toEqual([]);
  });
});
