/**
 * One model learning live, seen from the main thread: rows go in through the ring, snapshots of the arena come
 * out, and `stop` ends it with everything taken.
 */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { AnswerReader, makeAnswers } from '../stream/answers.ts';
import { CONTROL, RingWriter, makeRing, ringBytes, signalReader } from '../stream/ring.ts';
import {
  type Model,
  type ModelConfig,
  columnsOf,
  numbersOf,
  openModel,
  planModel,
  startModel,
} from './model.ts';
import type { LearnTask, LearnTaskResult } from './task.ts';

// The pool loads its tasks from this very module; in the single file that is the bundle itself.
export { learnStream } from './task.ts';

/** A learner takes a snapshot between two rows; if it has not done so by then, it is stuck. */
const SNAPSHOT_TIMEOUT_MS = 10_000;

/** Long-lived learners plus one thread for short tasks; more in the queue than this is a mistake of ours. */
const POOL_QUEUE_MAX = 16;

export interface SessionMemory {
  readonly arenaBytes: number;
  readonly ringBytes: number;
}

export class LearningSession {
  readonly ring: RingWriter;
  readonly memory: SessionMemory;
  /** The answer to each row, if they were asked for. */
  readonly answers: AnswerReader | undefined;
  /** Over the live arena. Only for reading and writing while no learner runs: before `start`, after `stop`. */
  readonly model: Model;
  readonly #task: LearnTask;
  readonly #snapshotModel: Model;
  readonly #pool: Piscina<LearnTask, LearnTaskResult>;
  #running: Promise<LearnTaskResult> | undefined;
  #snapshot: Promise<Model> | undefined;

  /**
   * Plans and takes all memory, and draws the initial weights.
   * @param ringRows capacity of the ring, a power of two
   * @param answering whether anybody takes the answers
   */
  constructor(config: ModelConfig, ringRows: number, answering = false) {
    const plan = planModel(config);
    const columns = columnsOf(config);
    const arena = plan.arena.allocate();
    const snapshot = plan.arena.allocate();
    const ring = makeRing(columns, ringRows);
    this.memory = { arenaBytes: plan.arena.sizeBytes, ringBytes: ringBytes(columns, ringRows) };
    this.ring = new RingWriter(ring);
    this.model = openModel(plan, arena);
    this.#snapshotModel = openModel(plan, snapshot);
    const answers = answering ? makeAnswers(numbersOf(config)) : undefined;
    this.answers = answers && new AnswerReader(answers);
    this.#task = { config, ring, arena, snapshot, answers };
    startModel(this.model);
    this.#pool = new Piscina<LearnTask, LearnTaskResult>({
      filename: fileURLToPath(import.meta.url),
      name: 'learnStream',
      minThreads: 1,
      maxThreads: 2,
      maxQueue: POOL_QUEUE_MAX,
    });
  }

  /** Starts the learner on its pool thread. @returns settles when it ends; rejects if it fails */
  start(): Promise<LearnTaskResult> {
    this.#running = this.#pool.run(this.#task);
    return this.#running;
  }

  /**
   * Asks the learner for a copy of its arena as it is between two rows.
   * @returns a model laid over the copy, valid until the next call; read it before awaiting anything else
   */
  snapshot(): Promise<Model> {
    this.#snapshot ??= this.#askForSnapshot().finally(() => (this.#snapshot = undefined));
    return this.#snapshot;
  }

  /** Lets the learner take what has been published, ends it and gives its thread back. */
  async stop(): Promise<LearnTaskResult | undefined> {
    Atomics.store(this.ring.control, CONTROL.stop, 1);
    signalReader(this.ring.control);
    try {
      return await this.#running;
    } finally {
      await this.#pool.close();
    }
  }

  async #askForSnapshot(): Promise<Model> {
    const { control } = this.ring;
    const before = Atomics.load(control, CONTROL.snapshotDone);
    Atomics.add(control, CONTROL.snapshotAsked, 1);
    signalReader(control);
    const wait = Atomics.waitAsync(control, CONTROL.snapshotDone, before, SNAPSHOT_TIMEOUT_MS);
    if (wait.async && (await wait.value) === 'timed-out') {
      throw new Error(`the learner did not answer within ${SNAPSHOT_TIMEOUT_MS / 1000} s`);
    }
    return this.#snapshotModel;
  }
}
