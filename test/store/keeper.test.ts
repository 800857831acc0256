import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SAFE_FROM, acknowledge, acknowledged, makeAcknowledged } from '../../src/store/acknowledged.ts';
import { Catalogue } from '../../src/store/catalogue.ts';
import type { Files } from '../../src/store/files.ts';
import { type PlacedEvent, readEvents, scanJournal } from '../../src/store/journal.ts';
import { KeeperClient, keepModel } from '../../src/store/keeper-task.ts';
import { KEEPER_DEFAULTS, type KeeperNotice, type KeeperResult } from '../../src/store/keeper.ts';
import { ModelStore, pathsOf } from '../../src/store/model-store.ts';
import { READER, RingWriter, makeRing } from '../../src/stream/ring.ts';
import { COLUMNS, Stream, newModel } from '../support/stored-model.ts';
import { StoredRun, countedFiles, settle, uninterrupted } from '../support/stored-run.ts';

let directory: string;
let paths: ReturnType<typeof pathsOf>;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'edgeloop-keeper-'));
  paths = pathsOf(directory);
});
afterEach(() => rmSync(directory, { recursive: true }));

const safe = (run: StoredRun): number[] =>
  Object.values(SAFE_FROM).map((safeFrom) => acknowledged(run.acknowledged, safeFrom));

async function resume() {
  const store = await ModelStore.open(directory);
  const model = newModel();
  const resumed = await store.resume(model);
  store.close();
  return { ...resumed, arena: model.arena };
}

const checkpointCount = (): number => readdirSync(paths.checkpoints).length;

/** A disk of which one kind of operation can be made to fail, or to wait. */
function faultyFiles() {
  const fault: { code?: string; on?: 'write' | 'datasync' | 'create'; held?: Promise<void> } = {};
  const meet = async (operation: typeof fault.on): Promise<void> => {
    if (fault.on !== operation) return;
    await fault.held;
    if (fault.code) throw Object.assign(new Error(fault.code), { code: fault.code, errno: -28 });
  };
  const files: Files = {
    ...countedFiles,
    async create(path) {
      await meet('create');
      const file = await countedFiles.create(path);
      return {
        write: (bytes, from, count) => meet('write').then(() => file.write(bytes, from, count)),
        datasync: () => meet('datasync').then(() => file.datasync()),
        close: () => file.close(),
      };
    },
  };
  return { fault, files };
}

describe('the words of what is safe', () => {
  it('hold numbers beyond 2^32', () => {
    const words = new Int32Array(makeAcknowledged());
    for (const sequence of [1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 45 + 3]) {
      acknowledge(words, SAFE_FROM.crash, sequence);
      expect(acknowledged(words, SAFE_FROM.crash)).toBe(sequence);
    }
    expect(acknowledged(words, SAFE_FROM.powerCut)).toBe(0);
  });
});

describe('the keeper', () => {
  it('acknowledges against a crash when the write has returned, against a power cut when the sync has', async () => {
    const { fault, files } = faultyFiles();
    const run = await StoredRun.open(directory, { commitMs: 100 }, files);
    await run.feed(50);
    expect(safe(run)).toEqual([50, 0]);
    await run.wait(100);
    expect(safe(run)).toEqual([50, 50]);
    const held = Promise.withResolvers<void>();
    Object.assign(fault, { on: 'datasync', held: held.promise });
    await run.feed(400); // goes on while the disk does not
    expect(acknowledged(run.acknowledged, SAFE_FROM.powerCut)).toBe(50);
    held.resolve();
    await settle();
    expect(acknowledged(run.acknowledged, SAFE_FROM.powerCut)).toBeGreaterThan(50);
    delete fault.on;
    await run.wait(100);
    expect(safe(run)).toEqual([450, 450]);
    expect(await run.stop()).toMatchObject({ sequence: 450, error: undefined });
  });

  it('takes a checkpoint when it is due, none when nothing is new, and one at the end', async () => {
    const run = await StoredRun.open(directory, { checkpointMs: 1000 });
    await run.feed(100);
    expect(checkpointCount()).toBe(1); // that of the beginning
    await run.wait(1000);
    expect(checkpointCount()).toBe(2);
    await run.wait(1000);
    await run.wait(1000);
    expect(checkpointCount()).toBe(2);
    await run.feed(10);
    await run.stop();
    expect(checkpointCount()).toBe(3);
    expect(await resume()).toMatchObject({ checkpoint: 3, records: 0, sequence: 110 });
  });

  it('writes events among the records, and names of classes before the records that need them', async () => {
    const run = await StoredRun.open(directory);
    await run.feed(50);
    run.notes.push((keeper) => keeper.addEvent('label', { class: 'a' }));
    run.notes.push((keeper) => keeper.describe(['a']));
    await run.feed(50);
    run.keeper.addEvent('drift');
    await run.stop();
    const events: PlacedEvent[] = [...readEvents(paths.journal)];
    expect(events.map(({ kind, sequence, detail, index }) => [kind, sequence, detail, index])).toEqual([
      ['label', 50, { class: 'a' }, 1],
      ['drift', 100, {}, 2],
      ['stopped', 100, {}, 3],
    ]);
    const catalogue = Catalogue.open(paths.catalogue);
    expect(catalogue.events(10)).toEqual(events);
    expect(catalogue.checkpoints().map(({ number, sequence }) => [number, sequence])).toEqual([
      [1, 0],
      [2, 100],
    ]);
    catalogue.close();
  });

  it('keeps the journal below its limit, but never removes what a resume from the checkpoint before needs', async () => {
    const run = await StoredRun.open(directory, { segmentBytesMax: 5000, journalBytesMax: 20_000 });
    const bytes = (): number =>
      readdirSync(paths.journal).reduce((sum, name) => sum + statSync(join(paths.journal, name)).size, 0);
    await run.feed(2000);
    expect(bytes()).toBeGreaterThan(40_000); // nothing covers it
    await run.keeper.checkpoint();
    await run.feed(100);
    await run.keeper.checkpoint();
    await run.feed(100);
    await run.keeper.checkpoint();
    expect(bytes()).toBeLessThan(25_000);
    await run.feed(2000);
    await run.kill();
    const newest = readdirSync(paths.checkpoints).toSorted().at(-1)!;
    rmSync(join(paths.checkpoints, newest));
    const { sequence, arena } = await resume();
    expect(sequence).toBe(4200);
    expect(arena).toEqual(uninterrupted(4200));
  });

  it('removes by age what is older than the limit, in time that the model was learning', async () => {
    const run = await StoredRun.open(directory, { segmentBytesMax: 5000, journalSecondsMax: 3 });
    for (let second = 0; second < 8; second++) {
      await run.feed(1000);
      await run.keeper.checkpoint();
    }
    const first = scanJournal(paths.journal)[0].first!.sequence;
    expect(first).toBeGreaterThan(3500);
    expect(first).toBeLessThanOrEqual(5001);
    await run.stop();
  });

  for (const [on, code] of [
    ['write', 'ENOSPC'],
    ['datasync', 'EIO'],
  ] as const) {
    it(`stops journaling when a ${on} fails with ${code}, learns on, and begins a new epoch when it can`, async () => {
      const { fault, files } = faultyFiles();
      const run = await StoredRun.open(directory, { retryMs: 1000 }, files);
      await run.feed(100);
      await run.wait(1000);
      Object.assign(fault, { on, code });
      await run.feed(100);
      await run.wait(1000);
      await run.feed(500);
      expect(run.model.arena).toEqual(uninterrupted(700));
      expect(run.writer.refused).toBe(0);
      expect(run.notices[0].kind).toBe('journalLost');
      expect(run.notices[0].text).toMatch(
        /^Journaling has stopped: .*0000000001.seg: expected to write to it, got /,
      );
      expect(run.notices[0].text).toContain(`got ${code} (`);
      expect(safe(run)[1]).toBe(100);
      run.keeper.addEvent('drift'); // is kept until there is a journal
      await run.wait(1000); // tries in vain
      expect(safe(run)[1]).toBe(100);
      delete fault.on;
      await run.wait(10_000);
      await expect.poll(() => run.notices.at(-1)?.kind, { timeout: 5000 }).toBe('journalBack');
      expect(safe(run)[1]).toBe(700); // in a checkpoint, though not in the journal
      await run.feed(100);
      await run.kill();
      const resumed = await resume();
      expect(resumed).toMatchObject({ sequence: 800, epoch: 2 });
      expect(resumed.arena).toEqual(uninterrupted(800));
      const kinds = [...readEvents(paths.journal)].map(({ kind }) => kind);
      expect(kinds).toEqual(expect.arrayContaining(['journalLost', 'drift', 'journalBack']));
    });
  }

  it('does without a journal from the start when the disk is full, and says so', async () => {
    const { fault, files } = faultyFiles();
    await (await StoredRun.open(directory)).stop();
    Object.assign(fault, { on: 'create', code: 'ENOSPC' });
    const run = await StoredRun.open(directory, {}, files);
    await run.feed(1000);
    expect(run.model.arena).toEqual(uninterrupted(1000));
    const result = await run.stop();
    expect(result.sequence).toBe(0);
    expect(result.error).toContain('got ENOSPC');
    expect((await resume()).sequence).toBe(0);
  });

  it('gives up the journal, not the stream, when the disk does not answer for too long', async () => {
    const { fault, files } = faultyFiles();
    const run = await StoredRun.open(directory, { bufferBytes: 200_000 }, files);
    const held = Promise.withResolvers<void>();
    Object.assign(fault, { on: 'datasync', held: held.promise });
    for (let turn = 0; turn < 40; turn++) await run.feed(500);
    expect(run.writer.refused).toBe(0);
    expect(run.model.arena).toEqual(uninterrupted(20_000));
    expect(run.notices.map(({ text }) => text).join()).toContain('the disk does not keep up');
    delete fault.on;
    held.resolve();
    await settle();
    await run.wait(20_000);
    await expect.poll(() => run.notices.at(-1)?.kind, { timeout: 5000 }).toBe('journalBack');
    await run.stop();
    expect((await resume()).arena).toEqual(uninterrupted(20_000));
  });

  it('thins its checkpoints', async () => {
    const run = await StoredRun.open(directory, { checkpointsMax: 12 });
    for (let count = 0; count < 40; count++) {
      await run.feed(5);
      await run.keeper.checkpoint();
    }
    expect(readdirSync(paths.checkpoints).length).toBeLessThanOrEqual(12);
    await run.stop();
  });

  it('on a thread of its own keeps what goes by, and ends with everything safe', async () => {
    const store = await ModelStore.open(directory);
    const model = newModel();
    await store.resume(model);
    const start = await store.begin(model);
    const ring = makeRing(COLUMNS, 1024, 1, [READER.keeper]);
    const module = new URL('../../src/store/keeper-task.ts', import.meta.url);
    const pool = new Piscina<Parameters<typeof keepModel>[0], KeeperResult>({
      filename: fileURLToPath(module),
      name: keepModel.name,
      maxThreads: 1,
    });
    const notices: KeeperNotice[] = [];
    const keeper = new KeeperClient(
      start,
      {
        settings: { ...KEEPER_DEFAULTS, commitMs: 50 },
        ring,
        arena: model.memory,
        snapshot: new SharedArrayBuffer(model.arena.length),
        sequenceOffset: model.sequenceOffset,
        onNotice: (notice) => void notices.push(notice),
      },
      (task, transferList) => pool.run(task, { transferList }),
    );
    keeper.addEvent('started', { port: 'none' });
    keeper.describe(['a', 'b', 'c']);
    const writer = new RingWriter(ring);
    const stream = new Stream(1);
    for (let sent = 0; sent < 5000;) {
      for (let room = Math.min(writer.room, 100); room > 0 && sent < 5000; room--, sent++) {
        stream.push(writer, sent * 1000);
        stream.apply(model, sent + 1);
      }
      writer.publish();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await expect.poll(() => keeper.acknowledged(), { timeout: 10_000 }).toBe(5000);
    const result = await keeper.stop();
    await pool.close();
    store.close();
    expect(result).toMatchObject({ sequence: 5000, error: undefined });
    const { classes, arena, records } = await resume();
    expect({ classes, records }).toEqual({ classes: ['a', 'b', 'c'], records: 0 });
    expect(arena).toEqual(uninterrupted(5000));
    expect([...readEvents(paths.journal)].map(({ kind }) => kind)).toEqual(['started', 'stopped']);
  });
});

async function aRun(): Promise<PlacedEvent[]> {
  const run = await StoredRun.open(directory);
  for (let count = 0; count < 20; count++) {
    run.keeper.addEvent('score', { accuracy: count / 20 });
    await run.feed(10);
  }
  await run.stop();
  return [...readEvents(paths.journal)];
}

async function eventsAfterStart(): Promise<PlacedEvent[]> {
  await (await StoredRun.open(directory)).stop();
  const catalogue = Catalogue.open(paths.catalogue);
  const events = catalogue.events(1000).filter(({ kind }) => kind === 'score');
  expect(catalogue.checkpoints()).toHaveLength(readdirSync(paths.checkpoints).length);
  catalogue.close();
  return events;
}

describe('a catalogue', () => {
  it('that is missing is made anew from the journal and the checkpoints', async () => {
    const scores = (await aRun()).filter(({ kind }) => kind === 'score');
    for (const suffix of ['', '-wal', '-shm']) rmSync(paths.catalogue + suffix, { force: true });
    expect(await eventsAfterStart()).toEqual(scores);
  });

  it(
    'with any damage is no crash, and one that cannot be read is made anew',
    { timeout: 120_000 },
    async () => {
      await aRun();
      const whole = readFileSync(paths.catalogue);
      let [remade, refused] = [0, 0];
      const attempt = (bytes: Uint8Array): void => {
        for (const suffix of ['-wal', '-shm', '.damaged']) rmSync(paths.catalogue + suffix, { force: true });
        writeFileSync(paths.catalogue, bytes);
        const catalogue = Catalogue.open(paths.catalogue);
        try {
          catalogue.addEvent({ session: 's', index: 1, kind: 'k', sequence: 1, at: '', detail: {} });
          catalogue.events(10);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_SQLITE_ERROR' }); // then the keeper does without
          refused += 1;
        }
        if (catalogue.isNew) remade += 1;
        catalogue.close();
      };
      for (let at = 0; at < whole.length; at += at < 200 ? 1 : 61) {
        attempt(Buffer.from(whole).fill(whole[at] ^ 0xff, at, at + 1));
      }
      for (let size = 0; size < whole.length; size += 509) attempt(whole.subarray(0, size));
      expect(remade).toBeGreaterThan(20);
      expect(refused).toBeLessThan(remade);
      writeFileSync(paths.catalogue, whole.subarray(0, 5000));
      expect(await eventsAfterStart()).toHaveLength(20);
    },
  );
});
