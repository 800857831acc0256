/** The keeper's view of what lies in a model's directory: which checkpoints and segments there are, and which may go. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { checkpointName, checkpointNumbers, keptCheckpoints } from './checkpoints.ts';
import type { Files } from './files.ts';
import type { SegmentStart } from './journal-writer.ts';
import { scanJournal } from './journal.ts';
import { type RetainedSegment, type RetentionLimits, removable, retained } from './retention.ts';
import { segmentName } from './segments.ts';

export interface GoodCheckpoint {
  readonly number: number;
  readonly sequence: number;
}

export interface GenerationLimits extends RetentionLimits {
  readonly checkpointsMax: number;
}

export class Generations {
  readonly #files: Files;
  readonly #paths: { readonly checkpoints: string; readonly journal: string };
  readonly #limits: GenerationLimits;
  /** Of sessions that have ended. */
  #segments: RetainedSegment[];
  /** The two newest good ones, ascending. */
  #good: GoodCheckpoint[];

  constructor(
    files: Files,
    paths: { readonly checkpoints: string; readonly journal: string },
    limits: GenerationLimits,
    newest: GoodCheckpoint,
  ) {
    this.#files = files;
    this.#paths = paths;
    this.#limits = limits;
    this.#segments = scanJournal(paths.journal).map(retained);
    this.#good = [newest];
  }

  get newest(): GoodCheckpoint {
    return this.#good.at(-1)!;
  }

  /** Of the next checkpoint: higher than any that is there, damaged ones too. */
  nextNumber(): number {
    return (checkpointNumbers(readdirSync(this.#paths.checkpoints)).at(-1) ?? 0) + 1;
  }

  /** The first number that a segment of the next session can have. */
  nextSegment(): number {
    return (this.#segments.at(-1)?.number ?? 0) + 1;
  }

  /** There is a new checkpoint. @returns its size in bytes */
  add(checkpoint: GoodCheckpoint): number {
    this.#good = [this.newest, checkpoint];
    return statSync(join(this.#paths.checkpoints, checkpointName(checkpoint.number))).size;
  }

  endSession(segments: readonly SegmentStart[]): void {
    this.#segments = this.#withSizes(segments);
  }

  /** @returns the numbers of the checkpoints removed */
  async thinCheckpoints(): Promise<number[]> {
    const { checkpoints } = this.#paths;
    const numbers = checkpointNumbers(readdirSync(checkpoints));
    const kept = new Set(keptCheckpoints(numbers, this.#limits.checkpointsMax));
    for (const { number } of this.#good) kept.add(number);
    const gone = numbers.filter((number) => !kept.has(number));
    for (const number of gone) await this.#files.unlink(join(checkpoints, checkpointName(number)));
    return gone;
  }

  /**
   * @param segments   of the session that is being written
   * @param runSeconds age of the model
   */
  async removeSegments(segments: readonly SegmentStart[], runSeconds: number): Promise<void> {
    const covered = this.#good.length < 2 ? undefined : this.#good[0].sequence;
    const gone = removable(this.#withSizes(segments), covered, runSeconds, this.#limits);
    for (const number of gone) await this.#files.unlink(join(this.#paths.journal, segmentName(number)));
    this.#segments = this.#segments.filter(({ number }) => !gone.includes(number));
  }

  /** Those of earlier sessions, then these; what is not there does not count. */
  #withSizes(segments: readonly SegmentStart[]): RetainedSegment[] {
    const sizeOf = (number: number): number => {
      const path = join(this.#paths.journal, segmentName(number));
      return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    };
    const own = segments.map((segment) => ({ ...segment, bytes: sizeOf(segment.number) }));
    return [...this.#segments, ...own.filter(({ bytes }) => bytes > 0)];
  }
}
