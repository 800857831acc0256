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
    files: Files = systemFiles,
  ): Promise<StoredRun> {
    underWay = { count: 0 };
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

/** The same files, those that are open known, and what is on its way to the disk counted. */
function remembering(files: Files, open: Set<OpenFile>): Files {
  const counted = counting(files);
  return {
    ...counted,
    async create(path) {
      const file = counting(await counted.create(path));
      const remembered = {
        ...file,
        close: () => (open.delete(remembered) ? file.close() : Promise.resolve()),
      };
      open.add(remembered);
      return remembered;
    },
  };
}

/** Of the run that was opened last. */
let underWay = { count: 0 };

/** The same functions; as long as a promise of theirs is open, something is under way. */
function counting<T extends object>(object: T): T {
  const own = underWay;
  const entries = Object.entries(object).map(([name, member]) => {
    if (typeof member !== 'function') return [name, member];
    const count = (...args: unknown[]): unknown => {
      const result: unknown = member.apply(object, args);
      if (!(result instanceof Promise)) return result;
      own.count += 1;
      return result.finally(() => (own.count -= 1));
    };
    return [name, count];
  });
  return Object.fromEntries(entries) as T;
}

/** Turns of the loop without anything under way after which nothing more is to come. */
const QUIET_TURNS = 5;
/** A disk of the test that never answers is not waited for. */
const SETTLE_MS_MAX = 60;

/** What was begun on the disk is done, however busy the machine is. */
export async function settle(): Promise<void> {
  const untilMs = performance.now() + SETTLE_MS_MAX;
  for (let quiet = 0; quiet < QUIET_TURNS && performance.now() < untilMs;) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    quiet = underWay.count === 0 ? quiet + 1 : 0;
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
