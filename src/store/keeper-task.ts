/**
 * The keeper's thread: one long-lived task of the pool for one model, and its end on the main thread.
 *
 *     main thread   KeeperClient ──MessagePort: notes, stop──> keepModel ──> Keeper
 *                                <──notices── and, in shared memory, how far everything is safe
 *
 * A note posted before a record is published is in the journal before that record.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { CONTROL, READER, type RingLayout, RingReader, signalReader } from '../stream/ring.ts';
import { ASKER, askForSnapshot } from '../stream/snapshots.ts';
import { SAFE_FROM, acknowledged, makeAcknowledged } from './acknowledged.ts';
import { systemFiles } from './files.ts';
import type { StoreEvent } from './journal.ts';
import { Keeper, type KeeperNotice, type KeeperResult, type KeeperSettings } from './keeper.ts';
import type { KeeperStart } from './model-store.ts';

/** Records wait this long for others before they are written together: what a crash of the program may cost. */
const BATCH_MS = 50;

/** A learner takes a snapshot between two records; if it has not done so by then, it is stuck. */
const SNAPSHOT_TIMEOUT_MS = 10_000;

export interface KeeperTask {
  readonly start: KeeperStart;
  readonly settings: KeeperSettings;
  readonly ring: RingLayout;
  /** Live; only read when no learner runs any more. */
  readonly arena: WebAssembly.Memory;
  /** As large as what is saved of the arena; the learner copies there for ASKER.keeper. */
  readonly snapshot: SharedArrayBuffer;
  readonly sequenceOffset: number;
  readonly acknowledged: SharedArrayBuffer;
  /** Where the clock of the records stands at 0 on that of the machine, which all threads share. */
  readonly clockZeroUs: number;
  readonly port: MessagePort;
}

type Note =
  | { readonly type: 'event'; readonly kind: string; readonly detail: StoreEvent['detail'] }
  | { readonly type: 'describe'; readonly classes: readonly string[] }
  | { readonly type: 'checkpoint' }
  /** Comes when the learner has ended. */
  | { readonly type: 'stop' };

/** Task of the pool: keeps what goes by, until it is stopped. */
export async function keepModel(task: KeeperTask): Promise<KeeperResult> {
  const { ring, snapshot, port } = task;
  const control = new Int32Array(ring.buffer);
  const live = new Uint8Array(task.arena.buffer, 0, snapshot.byteLength);
  const stopped = Promise.withResolvers<void>();
  const state = { isStopped: false, wantsCheckpoint: false };
  const take = (note: Note): void => {
    if (note.type === 'event') keeper.addEvent(note.kind, note.detail);
    else if (note.type === 'describe') keeper.describe(note.classes);
    else if (note.type === 'checkpoint') state.wantsCheckpoint = true;
    else stopped.resolve(void (state.isStopped = true));
  };
  const keeper = await Keeper.start(task.start, task.settings, {
    files: systemFiles,
    ring,
    acknowledged: task.acknowledged,
    sequenceOffset: task.sequenceOffset,
    async snapshot() {
      const asked = state.isStopped ? undefined : askForSnapshot(control, ASKER.keeper, SNAPSHOT_TIMEOUT_MS);
      const answer = await Promise.race([asked, stopped.promise]);
      if (state.isStopped) return live.slice();
      return answer === true ? new Uint8Array(snapshot).slice() : undefined;
    },
    takeNotes() {
      for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
        take(next.message as Note);
      }
    },
    notify: (notice) => port.postMessage(notice),
    nowUs: () => Math.floor(Number(process.hrtime.bigint() / 1000n) - task.clockZeroUs),
  });
  while (!state.isStopped) {
    const signal = Atomics.load(control, CONTROL.signal);
    const late = Atomics.load(control, keeper.late);
    keeper.work();
    if (state.wantsCheckpoint) void keeper.checkpoint();
    state.wantsCheckpoint = false;
    if (state.isStopped) break;
    if (keeper.isIdle) await changed(control, CONTROL.signal, signal, keeper.dueMs);
    else await changed(control, keeper.late, late, BATCH_MS);
  }
  return keeper.stop();
}

/** Waits until the word is another, or the time is over. */
async function changed(control: Int32Array, word: number, before: number, timeoutMs: number): Promise<void> {
  const wait = Atomics.waitAsync(control, word, before, timeoutMs);
  if (wait.async) await wait.value;
  // Even if nothing is to be waited for, the disk's answers have their turn.
  else await sleep(0);
}

/** What `startKeeper` needs beside the start. */
export interface KeeperOptions {
  readonly settings: KeeperSettings;
  readonly ring: RingLayout;
  readonly arena: WebAssembly.Memory;
  readonly snapshot: SharedArrayBuffer;
  readonly sequenceOffset: number;
  readonly onNotice: (notice: KeeperNotice) => void;
}

/** The keeper, seen from the main thread. Nothing here waits for a disk but `stop`. */
export class KeeperClient {
  /** Settles when the keeper has ended; rejects if its thread fails. */
  readonly ended: Promise<KeeperResult>;
  readonly #control: Int32Array;
  readonly #acknowledged: Int32Array;
  readonly #port: MessagePort;

  /**
   * Starts the keeper.
   * @param run starts the task `keepModel` on a pool; the port is to be handed over to that thread
   */
  constructor(
    start: KeeperStart,
    options: KeeperOptions,
    run: (task: KeeperTask, transferList: [MessagePort]) => Promise<KeeperResult>,
  ) {
    const { onNotice, ...rest } = options;
    const { port1, port2 } = new MessageChannel();
    const acknowledgedWords = makeAcknowledged();
    const clockZeroUs = Number(process.hrtime.bigint() / 1000n) - performance.now() * 1000;
    this.#control = new Int32Array(options.ring.buffer);
    this.#acknowledged = new Int32Array(acknowledgedWords);
    this.#port = port1;
    port1.on('message', onNotice);
    port1.unref();
    const task = { ...rest, start, acknowledged: acknowledgedWords, clockZeroUs, port: port2 };
    this.ended = run(task, [port2]).finally(() => {
      port1.close();
      // However it ended: nobody waits for it.
      new RingReader(options.ring, READER.keeper).detach();
    });
  }

  /** @param safeFrom one of SAFE_FROM. @returns the last record that is safe, from a crash or from a power cut */
  acknowledged(safeFrom: number = SAFE_FROM.powerCut): number {
    return acknowledged(this.#acknowledged, safeFrom);
  }

  /** Notes something that happened: in the journal, before the records published from now on. */
  addEvent(kind: string, detail: StoreEvent['detail'] = {}): void {
    this.#post({ type: 'event', kind, detail });
  }

  /** Names of the classes, before a record that has a new one is published. */
  describe(classes: readonly string[]): void {
    this.#post({ type: 'describe', classes });
  }

  /** Asks for a checkpoint; a notice says when it is there. */
  checkpoint(): void {
    this.#post({ type: 'checkpoint' });
  }

  /** Ends the keeper with everything kept. The learner must have ended. */
  stop(): Promise<KeeperResult> {
    this.#post({ type: 'stop' });
    return this.ended;
  }

  #post(note: Note): void {
    this.#port.postMessage(note, []);
    signalReader(this.#control);
  }
}
