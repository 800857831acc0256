/** A run of a model in one thread: ring, learner and keeper, moved on by the test; time is the test's. */
import { mulberry32 } from '../../src/engine/random.ts';
import { makeAcknowledged } from '../../src/store/acknowledged.ts';
import { type Files, type OpenFile, systemFiles } from '../../src/store/files.ts';
import {
  KEEPER_DEFAULTS,
  Keeper,
  type KeeperNotice,
  type KeeperResult,
  type KeeperSettings,
} from '../../src/store/keeper.ts';
import { ModelStore, type Resumed } from '../../src/store/model-store.ts';
import { READER, RingReader, RingWriter, makeRing } from '../../src/stream/ring.ts';
import { COLUMNS, Stream, type TestModel, newModel, takeFromRing } from './stored-model.ts';

const RING_RECORDS = 256;
/** 1 kHz. */
const RECORD_US = 1000;
const TURN_RECORDS = 50;

const STREAM = new Stream(1);

export class StoredRun {
  readonly model: TestModel;
  readonly resumed: Resumed;
  readonly keeper: Keeper;
  readonly notices: KeeperNotice[];
  /** Done by `takeNotes`, before the next records are taken. */
  readonly notes: ((keeper: Keeper) => void)[] = [];
  readonly acknowledged: Int32Array;
  readonly writer: RingWriter;
  readonly #store: ModelStore;
  readonly #open: ReadonlySet<OpenFile>;
  readonly #learner: RingReader;
  readonly #clock: { us: number };
  readonly #row = new Float32Array(COLUMNS);

  private constructor(
    store: ModelStore,
    model: TestModel,
    resumed: Resumed,
    ring: ReturnType<typeof makeRing>,
    keeper: Keeper,
    rest: {
      notices: KeeperNotice[];
      words: SharedArrayBuffer;
      clock: { us: number };
      open: ReadonlySet<OpenFile>;
    },
  ) {
    this.#store = store;
    this.model = model;
    this.resumed = resumed;
    this.keeper = keeper;
    this.notices = rest.notices;
    this.acknowledged = new Int32Array(rest.words);
    this.#clock = rest.clock;
    this.#open = rest.open;
    this.writer = new RingWriter(ring);
    this.#learner = new RingReader(ring);
  }

  static async open(
    directory: string,
    settings: Partial<KeeperSettings> = {},
    files: Files = countedFiles,
  ): Promise<StoredRun> {
    const store = await ModelStore.open(directory, files);
    try {
      const model = newModel();
      const resumed = await store.resume(model);
      const start = await store.begin(model);
      const ring = makeRing(COLUMNS, RING_RECORDS, start.sequence + 1, [READER.learner, READER.keeper]);
      const [notices, words, clock]: [KeeperNotice[], SharedArrayBuffer, { us: number }] = [
        [],
        makeAcknowledged(),
        { us: 5_000_000 },
      ];
      const open = new Set<OpenFile>();
      let run: StoredRun | undefined;
      const keeper = await Keeper.start(
        start,
        { ...KEEPER_DEFAULTS, freeBytesMin: 0, ...settings },
        {
          files: remembering(files, open),
          ring,
          acknowledged: words,
          sequenceOffset: model.sequenceOffset,
          snapshot: () => Promise.resolve(model.arena.slice()),
          takeNotes() {
            for (const note of run?.notes.splice(0) ?? []) note(keeper);
          },
          notify: (notice) => void notices.push(notice),
          nowUs: () => clock.us,
        },
      );
      run = new StoredRun(store, model, resumed, ring, keeper, { notices, words, clock, open });
      return run;
    } catch (error) {
      store.close();
      throw error;
    }
  }

  /** Sends, learns and keeps `count` records, at 1 kHz. */
  async feed(count: number): Promise<void> {
    for (let left = count; left > 0;) {
      for (let turn = Math.min(left, TURN_RECORDS); turn > 0; turn--, left--) {
        this.#clock.us += RECORD_US;
        if (!STREAM.push(this.writer, this.#clock.us)) throw new Error('no room in the ring');
      }
      this.writer.publish();
      while (this.#learner.available() > 0) takeFromRing(this.model, this.#learner, this.#row);
      this.keeper.work();
      await settle();
    }
  }

  /** Lets time pass. */
  async wait(ms: number): Promise<void> {
    this.#clock.us += 1000 * ms;
    this.keeper.work();
    await settle();
  }

  async stop(): Promise<KeeperResult> {
    const result = await this.keeper.stop();
    this.#store.close();
    return result;
  }

  /** As after a SIGKILL: what was handed to the system is there, nothing else is done. */
  async kill(): Promise<void> {
    await settle();
    await Promise.allSettled([...this.#open].map((file) => file.close()));
    this.#store.close();
  }
}

/** The same files, those that are open known. */
function remembering(files: Files, open: Set<OpenFile>): Files {
  return {
    ...files,
    async create(path) {
      const file = await files.create(path);
      const remembered = {
        ...file,
        close: () => (open.delete(remembered) ? file.close() : Promise.resolve()),
      };
      open.add(remembered);
      return remembered;
    },
  };
}

let running = 0;

async function counted<T>(work: () => Promise<T>): Promise<T> {
  running += 1;
  try {
    return await work();
  } finally {
    running -= 1;
  }
}

/** The system's files; `settle` knows what they are busy with. */
export const countedFiles: Files = {
  makeDirectory: (path) => counted(() => systemFiles.makeDirectory(path)),
  list: (path) => counted(() => systemFiles.list(path)),
  async create(path) {
    const file = await counted(() => systemFiles.create(path));
    return {
      write: (bytes, from, count) => counted(() => file.write(bytes, from, count)),
      datasync: () => counted(() => file.datasync()),
      close: () => counted(() => file.close()),
    };
  },
  sync: (path) => counted(() => systemFiles.sync(path)),
  rename: (from, to) => counted(() => systemFiles.rename(from, to)),
  unlink: (path) => counted(() => systemFiles.unlink(path)),
  syncDirectory: (path) => counted(() => systemFiles.syncDirectory(path)),
  freeBytes: (path) => counted(() => systemFiles.freeBytes(path)),
};

/** What was begun on the disk is done, and what followed from it; what a test holds back is not waited for. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 3; turns++) {
    if (running > 0) turns = 0;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The arena of a model that took the first `sequence` records without any interruption. */
export function uninterrupted(sequence: number): Uint8Array {
  const model = newModel();
  for (let next = 1; next <= sequence; next++) STREAM.apply(model, next);
  return model.arena;
}

/** For tests that choose at random; the seed is in the test. */
export function dice(seed: number): (below: number) => number {
  const random = mulberry32(seed);
  return (below) => Math.floor(random() * below);
}
