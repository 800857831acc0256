/**
 * One model that learns from loaded rows on the threads of a pool, while the calling thread goes on:
 *
 *     const session = await OfflineSession.start(config, data);
 *     ... session.progress, session.stop() ...
 *     await session.learned; await session.score(true, true); await session.close();
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { ArenaPlan } from '../engine/arena.ts';
import { type TeamParts, planTeam } from '../engine/team.ts';
import {
  type Offline,
  type OfflineConfig,
  type OfflineData,
  offlineConfig,
  openOffline,
  planOffline,
  startOffline,
} from './offline.ts';
import {
  type OfflineScores,
  type OfflineTask,
  type ScoreTask,
  learnOffline,
  scoreOffline,
} from './offline-task.ts';
import { startFollowers, workersFor } from './parallel.ts';

// The pool loads its tasks from this very module; in the single file that is the bundle itself.
export { followLeader, learnOffline, scoreOffline } from './offline-task.ts';

export class OfflineSession {
  /** Over the arena that is learned in. Until `learned` only its progress is to be read. */
  readonly offline: Offline;
  readonly arenaBytes: number;
  /** Threads that take the steps. */
  readonly workers: number;
  /** Settles when the network has the best weights. */
  readonly learned: Promise<void>;
  readonly #pool: Piscina;
  readonly #task: OfflineTask;

  /** @param data in shared memory; overwritten by the standardised */
  static async start(config: OfflineConfig, data: OfflineData): Promise<OfflineSession> {
    for (const values of [data.inputs, data.labels, data.targets, data.rows]) {
      assert(values.buffer instanceof SharedArrayBuffer, 'the data are not in shared memory');
    }
    const fitted = offlineConfig(config, data.trainRows);
    const workers = workersFor(fitted.network, fitted.batch);
    const plan = new ArenaPlan();
    const parts = planOffline(plan, fitted, data.trainRows);
    const team = workers > 1 ? planTeam(plan, fitted.network, workers) : undefined;
    const memory = plan.allocate();
    const offline = openOffline(memory, fitted, parts);
    startOffline(offline);
    const pool = new Piscina({
      filename: fileURLToPath(import.meta.url),
      minThreads: 0,
      maxThreads: workers,
    });
    const task: OfflineTask = { config: fitted, parts, memory, data, team };
    try {
      const followers = await followersOf(pool, memory, offline, team);
      return new OfflineSession(pool, task, offline, plan.sizeBytes, followers);
    } catch (error) {
      await pool.destroy();
      throw error;
    }
  }

  private constructor(
    pool: Piscina,
    task: OfflineTask,
    offline: Offline,
    arenaBytes: number,
    followers: readonly Promise<unknown>[],
  ) {
    this.#pool = pool;
    this.#task = task;
    this.offline = offline;
    this.arenaBytes = arenaBytes;
    this.workers = pool.options.maxThreads;
    const leading: Promise<void> = pool.run(task, { name: learnOffline.name });
    this.learned = Promise.all([leading, ...followers]).then(() => {});
  }

  /** See PROGRESS; written by the thread that learns. */
  get progress(): Float64Array {
    return this.offline.progress;
  }

  /** Asks for an end: `learned` settles soon, with the best weights so far. */
  stop(): void {
    Atomics.store(this.offline.stop, 0, 1);
  }

  /**
   * Scores the validation part; after `learned`.
   * @param inTime     see ScoreTask
   * @param withLinear see ScoreTask
   */
  score(inTime: boolean, withLinear: boolean): Promise<OfflineScores> {
    const task: ScoreTask = { ...this.#task, inTime, withLinear };
    return this.#pool.run(task, { name: scoreOffline.name });
  }

  /** Gives the threads back. */
  close(): Promise<void> {
    return this.#pool.close();
  }
}

async function followersOf(
  pool: Piscina,
  memory: WebAssembly.Memory,
  { network }: Offline,
  team: TeamParts | undefined,
): Promise<Promise<unknown>[]> {
  if (team === undefined) return [];
  const { dismissed } = await startFollowers(pool, memory, network, team);
  return [dismissed];
}
