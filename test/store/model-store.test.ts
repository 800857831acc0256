import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EdgeloopError } from '../../src/errors.ts';
import { checkpointName } from '../../src/store/checkpoints.ts';
import { systemFiles } from '../../src/store/files.ts';
import { ModelStore, pathsOf, sequenceOf } from '../../src/store/model-store.ts';
import { segmentName } from '../../src/store/segments.ts';
import { CONFIG, newModel } from '../support/stored-model.ts';
import { StoredRun, dice, uninterrupted } from '../support/stored-run.ts';

let root: string;
let directory: string;
let paths: ReturnType<typeof pathsOf>;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'edgeloop-model-'));
  directory = join(root, 'model');
  paths = pathsOf(directory);
});
afterEach(() => rmSync(root, { recursive: true }));

/** That takes most of the time, and is tested where the power is cut. */
const unsynced = { ...systemFiles, sync: () => Promise.resolve(), syncDirectory: () => Promise.resolve() };

async function resume(from = directory) {
  const store = await ModelStore.open(from, unsynced);
  try {
    const model = newModel();
    return { ...(await store.resume(model)), arena: model.arena.slice() };
  } finally {
    store.close();
  }
}

async function refusal(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof EdgeloopError)) throw new Error(`expected a refusal, got ${String(error)}`);
  return `${error.code}: ${error.message}`;
}

async function refusalOf(identity: object): Promise<string> {
  const store = await ModelStore.open(directory);
  const model = { ...newModel(), identity: { ...newModel().identity, ...identity } };
  return refusal(store.resume(model).finally(() => store.close()));
}

/** Three runs: one that ends in order, one killed, one killed after a checkpoint. 1,400 records. */
async function threeRuns(): Promise<void> {
  const first = await StoredRun.open(directory, { segmentBytesMax: 8000 });
  await first.feed(500);
  expect((await first.stop()).error).toBeUndefined();
  const second = await StoredRun.open(directory, { segmentBytesMax: 8000 });
  await second.feed(500);
  await second.kill();
  const third = await StoredRun.open(directory, { segmentBytesMax: 8000 });
  await third.feed(200);
  await third.keeper.checkpoint();
  await third.feed(200);
  await third.kill();
}

describe('a resumed model', () => {
  it('is byte for byte one that was never interrupted, and goes on as one', async () => {
    await threeRuns();
    const { sequence, arena, checkpoint, records, rejected } = await resume();
    expect({ sequence, checkpoint, records, rejected }).toEqual({
      sequence: 1400,
      checkpoint: 3,
      records: 200,
      rejected: [],
    });
    expect(arena).toEqual(uninterrupted(1400));
    const next = await StoredRun.open(directory);
    await next.feed(300);
    expect(next.model.arena).toEqual(uninterrupted(1700));
    await next.stop();
    expect((await resume()).arena).toEqual(uninterrupted(1700));
  });

  it('begins anew where there is nothing, and says so', async () => {
    const { isNew, sequence, cuts } = await resume();
    expect({ isNew, sequence, cuts }).toEqual({ isNew: true, sequence: 0, cuts: [] });
  });

  it('falls back to the checkpoint before a damaged one, even to the beginning, and comes to the same bytes', async () => {
    await threeRuns();
    for (const number of [3, 2, 1]) {
      const path = join(paths.checkpoints, checkpointName(number));
      writeFileSync(path, readFileSync(path).fill(7, 100, 101));
      const { sequence, arena, rejected, checkpoint, records } = await resume();
      expect(sequence).toBe(1400);
      expect(arena).toEqual(uninterrupted(1400));
      expect(checkpoint).toBe([undefined, 1, 2][number - 1]);
      expect(records).toBe([1400, 1400, 900][number - 1]);
      expect(rejected.map((one) => one.reason)).toEqual(Array(4 - number).fill('it fails its checksum'));
    }
    // And from here the next run begins with a good checkpoint again.
    const next = await StoredRun.open(directory);
    await next.feed(50);
    await next.kill();
    expect(await resume()).toMatchObject({ checkpoint: 4, sequence: 1450, arena: uninterrupted(1450) });
  });

  it('keeps what it was before a damaged tail, says what was cut, and never meets the rest again', async () => {
    await threeRuns();
    const last = join(paths.journal, readdirSync(paths.journal).toSorted().at(-1)!);
    const whole = readFileSync(last);
    writeFileSync(last, whole.subarray(0, whole.length - 1000));
    const cut = await resume();
    expect(cut.sequence).toBeLessThan(1400);
    expect(cut.sequence).toBeGreaterThan(1300);
    expect(cut.arena).toEqual(uninterrupted(cut.sequence));
    expect(cut.cuts).toMatchObject([{ path: last, reason: 'the file ends within a frame' }]);
    const next = await StoredRun.open(directory);
    await next.feed(100);
    await next.kill();
    writeFileSync(last, whole); // what was cut is back
    const { sequence, arena } = await resume();
    expect(sequence).toBe(cut.sequence + 100);
    expect(arena).toEqual(uninterrupted(sequence));
  });

  it('stops before a hole in the journal and names it', async () => {
    await threeRuns();
    rmSync(join(paths.checkpoints, checkpointName(3)));
    const names = readdirSync(paths.journal).toSorted();
    rmSync(join(paths.journal, names.at(-3)!));
    const { sequence, arena, cuts } = await resume();
    expect(sequence).toBeLessThan(1400);
    expect(arena).toEqual(uninterrupted(sequence));
    expect(cuts.map(({ reason }) => reason).join()).toContain('are missing');
  });

  it('does not read its journal with another config or arithmetic', async () => {
    await threeRuns();
    expect(await refusalOf({ config: { ...CONFIG, kind: 'anomaly' } })).toBe(
      `ELOOP_STORE: ${join(paths.checkpoints, checkpointName(3))}: expected the config of this model, got another one: ` +
        'kind was "supervised". Go back to the config and the edgeloop that it was learned with, or start anew with --fresh.',
    );
    expect(await refusalOf({ arithmetic: '2' })).toContain('expected arithmetic version 2, got version 1');
  });

  it('refuses a directory where no checkpoint is good and the journal does not reach back', async () => {
    await threeRuns();
    rmSync(join(paths.journal, segmentName(1)));
    for (const name of readdirSync(paths.checkpoints)) writeFileSync(join(paths.checkpoints, name), 'x');
    expect(await refusal(resume())).toContain('expected a good checkpoint, got none (');
  });

  it('keeps the names of the classes, once they are said before a row that has one', async () => {
    const run = await StoredRun.open(directory);
    run.notes.push((keeper) => keeper.describe(['still', 'läuft']));
    await run.feed(50);
    await run.kill();
    expect((await resume()).classes).toEqual(['still', 'läuft']);
    const next = await StoredRun.open(directory);
    await next.feed(50);
    await next.stop();
    expect((await resume()).classes).toEqual(['still', 'läuft']);
  });

  it('is not touched by a clock that jumps', async () => {
    const { Date: clock } = globalThis;
    try {
      for (const [round, year] of [2026, 2099, 1970].entries()) {
        globalThis.Date = class extends clock {
          constructor() {
            super(`${year}-01-01T00:00:00Z`);
          }
        } as DateConstructor;
        const run = await StoredRun.open(directory, { segmentBytesMax: 4000, journalSecondsMax: 3600 });
        await run.feed(300);
        await run.keeper.checkpoint();
        await run.feed(100);
        await run.kill();
        const { sequence, arena } = await resume();
        expect(sequence).toBe(400 * (round + 1));
        expect(arena).toEqual(uninterrupted(sequence));
        expect(readdirSync(paths.journal)).toContain(segmentName(1)); // nothing is an hour old
      }
    } finally {
      globalThis.Date = clock;
    }
  });
});

describe('a directory', () => {
  it('belongs to one run at a time', async () => {
    const run = await StoredRun.open(directory);
    expect(await refusal(StoredRun.open(directory))).toContain('expected to be alone with this model');
    await run.stop();
    await (await StoredRun.open(directory)).stop();
  });

  it('that cannot be made or written is refused, with the remedy', async () => {
    writeFileSync(join(root, 'file'), '');
    expect(await refusal(ModelStore.open(join(root, 'file', 'model')))).toBe(
      `ELOOP_STORE: ${join(root, 'file', 'model')}: expected to make the directory, got ENOTDIR. ` +
        'See to the disk and the rights of its parent, or choose another place.',
    );
    const readOnly = {
      ...systemFiles,
      makeDirectory: () => Promise.reject(Object.assign(new Error('EROFS'), { code: 'EROFS' })),
    };
    expect(await refusal(ModelStore.open(directory, readOnly))).toContain('got EROFS. See to the disk');
  });

  it('without room for the lock is refused', { skip: process.getuid?.() === 0 }, async () => {
    mkdirSync(directory);
    await ModelStore.open(directory).then((store) => store.close());
    chmodSync(directory, 0o500);
    expect(await refusal(ModelStore.open(directory))).toContain('expected to make the lock, got EACCES');
    chmodSync(directory, 0o700);
  });
});

/** Whatever is there afterwards is the state of an uninterrupted run at some moment, or a refusal. */
async function expectSound(damaged: string): Promise<'as it was' | 'earlier' | 'refused'> {
  try {
    const { sequence, arena } = await resume(damaged);
    expect(Buffer.compare(arena, uninterrupted(sequence))).toBe(0);
    return sequence === 1400 ? 'as it was' : 'earlier';
  } catch (error) {
    if (error instanceof EdgeloopError) return 'refused';
    throw error;
  }
}

describe('a directory with any damage', () => {
  const cases = { checkpoints: 4, journal: 12 };

  it.each(Object.entries(cases))(
    'in its %s gives the state of some moment or a refusal, never another one',
    { timeout: 120_000 },
    async (folder) => {
      await threeRuns();
      const roll = dice(folder.length);
      const counts = { 'as it was': 0, earlier: 0, refused: 0 };
      for (const name of readdirSync(join(directory, folder))) {
        const path = join(directory, folder, name);
        const whole = readFileSync(path);
        for (let round = 0; round < 12; round++) {
          const at = roll(whole.length);
          const changed =
            round % 3 === 0
              ? whole.subarray(0, at)
              : Buffer.from(whole).fill(roll(256), at, at + 1 + roll(3));
          writeFileSync(path, changed);
          counts[await expectSound(directory)] += 1;
        }
        writeFileSync(path, whole);
      }
      expect(counts['as it was']).toBeGreaterThan(0);
      if (folder === 'journal') expect(counts.earlier).toBeGreaterThan(0);
      expect(counts.refused).toBe(0);
    },
  );

  it('in every byte of a small one, and every prefix of its files', { timeout: 120_000 }, async () => {
    const run = await StoredRun.open(directory);
    await run.feed(3);
    await run.kill();
    const small = join(root, 'small');
    cpSync(directory, small, { recursive: true });
    const states = new Map([0, 1, 2, 3].map((sequence) => [sequence, Buffer.from(uninterrupted(sequence))]));
    const model = newModel(); // one for all: making one takes most of the time
    const fresh = model.arena.slice();
    const attempt = async (): Promise<void> => {
      model.arena.set(fresh);
      const store = await ModelStore.open(small, unsynced);
      const { sequence } = await store.resume(model);
      store.close();
      expect(states.get(sequence)!.equals(model.arena)).toBe(true);
      expect(sequenceOf(model.arena, model.sequenceOffset)).toBe(sequence);
    };
    for (const path of [
      join(small, 'journal', segmentName(1)),
      join(small, 'checkpoints', checkpointName(1)),
    ]) {
      const whole = readFileSync(path);
      for (let at = 0; at < whole.length; at += at < 1200 ? 1 : 37) {
        writeFileSync(path, Buffer.from(whole).fill(whole[at] ^ (1 << (at % 8)), at, at + 1));
        await attempt();
        writeFileSync(path, whole.subarray(0, at));
        await attempt();
      }
      writeFileSync(path, whole);
    }
  });
});
