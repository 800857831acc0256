/**
 * What of a journal may go: whole segments, oldest first, and only where no resume needs them.
 *
 * A segment is covered when the checkpoint *before* the newest has all its records: so that if the newest turns out to
 * be damaged, the one before and the journal after it are still there.
 */
import type { SegmentInfo } from './journal.ts';

export interface RetainedSegment {
  readonly number: number;
  readonly bytes: number;
  /** Its first record, undefined if it has none. */
  readonly first: number | undefined;
  /** Age of the model when it was begun. */
  readonly runSeconds: number;
}

export interface RetentionLimits {
  /** Of all segments together. */
  readonly journalBytesMax: number;
  /** Records older than this, counted in time that the model was learning. */
  readonly journalSecondsMax: number;
}

/** Of what was there before this session. */
export function retained({ number, bytes, first, description }: SegmentInfo): RetainedSegment {
  const sinceStart = first && description ? Math.max(0, (first.timeUs - description.startedTimeUs) / 1e6) : 0;
  return {
    number,
    bytes,
    first: first?.sequence,
    runSeconds: (description?.runSeconds ?? 0) + sinceStart,
  };
}

/**
 * @param segments   ascending; the last is being written
 * @param covered    sequence number of the checkpoint before the newest; undefined if there are not two
 * @param runSeconds age of the model now
 * @returns the numbers of the segments to remove, ascending
 */
export function removable(
  segments: readonly RetainedSegment[],
  covered: number | undefined,
  runSeconds: number,
  { journalBytesMax, journalSecondsMax }: RetentionLimits,
): number[] {
  if (covered === undefined) return [];
  let bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  const numbers: number[] = [];
  for (let index = 0; index + 1 < segments.length; index++) {
    // What comes after the record covered stands in the next segments that have any: this one ends before it.
    const isCovered = segments
      .slice(index + 1)
      .some(({ first }) => first !== undefined && first <= covered + 1);
    const ageSeconds = runSeconds - segments[index + 1].runSeconds;
    if (!isCovered || (bytes <= journalBytesMax && ageSeconds <= journalSecondsMax)) break;
    numbers.push(segments[index].number);
    bytes -= segments[index].bytes;
  }
  return numbers;
}
