/**
 * Inside the one file: `node:worker_threads` as piscina sees it.
 *
 * Piscina starts a script of its own, `worker.js`, on each pool thread. In the one file there is no such script
 * beside the code, so a pool thread runs the whole file again, and a mark in its `workerData` tells it that it is
 * one. What the owner of the pool gave as `workerData` travels behind the mark and comes out unchanged.
 */
import * as threads from 'node:worker_threads';
import type { WorkerOptions } from 'node:worker_threads';

export * from 'node:worker_threads';

const MARK = 'edgeloop pool thread';

/** True on a thread that piscina started from the one file. Any other thread may import the file as a library. */
export const isPoolThread: boolean = !threads.isMainThread && threads.workerData?.mark === MARK;

export const workerData: unknown = isPoolThread ? threads.workerData.given : threads.workerData;

export class Worker extends threads.Worker {
  /** `_script` is piscina's worker.js, which exists only in an installed piscina. */
  constructor(_script: string | URL, options: WorkerOptions = {}) {
    super(new URL(import.meta.url), { ...options, workerData: { mark: MARK, given: options.workerData } });
  }
}
