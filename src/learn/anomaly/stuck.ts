/**
 * A sensor that stops: its channel repeats one value, or says nothing, for longer than it ever did while learning.
 * No score of standardised values sees that well, since a stuck value is often a usual one.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../../engine/arena.ts';

/** So many rows are never suspicious. */
const RUN_MIN = 5;

/** A channel that stood still for this share of the rows learned has no usual length of standing still. */
const STILL_SHARE_MAX = 0.25;

/** What is wrong with a channel. */
export const STUCK = { no: 0, repeats: 1, silent: 2 } as const;

type StuckParts = {
  readonly repeats: Part<'float64'>;
  readonly repeatsLongest: Part<'float64'>;
  readonly silence: Part<'float64'>;
  readonly silenceLongest: Part<'float64'>;
  readonly found: Part<'int32'>;
};

/** `found`: a channel and what is wrong with it, of FOUND. */
export interface StuckRule extends Views<StuckParts> {}

export const FOUND = { column: 0, stuck: 1 } as const;

export function planStuckRule(plan: ArenaPlan, columns: number): StuckParts {
  return {
    // Of the newest value, itself not counted; a missing value neither counts nor ends it.
    repeats: plan.float64('anomaly.stuck.repeats', columns), // [C]
    repeatsLongest: plan.float64('anomaly.stuck.repeatsLongest', columns), // while learning [C]
    silence: plan.float64('anomaly.stuck.silence', columns), // rows without a value [C]
    silenceLongest: plan.float64('anomaly.stuck.silenceLongest', columns), // while learning [C]
    found: plan.int32('anomaly.stuck.found', 2),
  };
}

export function openStuckRule(buffer: ArrayBufferLike, parts: StuckParts): StuckRule {
  return viewsOf(buffer, parts);
}

export function resetStuckRule(rule: StuckRule): void {
  endRuns(rule);
  rule.repeatsLongest.fill(0);
  rule.silenceLongest.fill(0);
  rule.found.fill(0);
}

/** At a gap: nobody knows what the channels did meanwhile. */
export function endRuns({ repeats, silence }: StuckRule): void {
  repeats.fill(0);
  silence.fill(0);
}

export function countMissing({ silence }: StuckRule, column: number): void {
  silence[column] += 1;
}

export function countValue({ repeats, silence }: StuckRule, column: number, repeated: boolean): void {
  silence[column] = 0;
  if (repeated) repeats[column] += 1;
  else repeats[column] = 0;
}

/** Takes in how long the channels stand still while nothing is wrong. */
export function learnRuns({ repeats, repeatsLongest, silence, silenceLongest }: StuckRule): void {
  for (let column = 0; column < repeats.length; column++) {
    repeatsLongest[column] = Math.max(repeatsLongest[column], repeats[column]);
    silenceLongest[column] = Math.max(silenceLongest[column], silence[column]);
  }
}

/** Whether standing still says nothing about this channel: it hardly varied while learning. */
export function hardlyVaried({ repeatsLongest }: StuckRule, column: number, rowsLearned: number): boolean {
  return repeatsLongest[column] > STILL_SHARE_MAX * rowsLearned;
}

/** Writes `found`: the first channel that stands still or is silent for too long. */
export function findStuck(rule: StuckRule, rowsLearned: number): void {
  const { repeats, repeatsLongest, silence, silenceLongest, found } = rule;
  found[FOUND.stuck] = STUCK.no;
  for (let column = 0; column < repeats.length && found[FOUND.stuck] === STUCK.no; column++) {
    found[FOUND.column] = column;
    const usualSilence = silenceLongest[column];
    if (silence[column] > limitOf(usualSilence) && usualSilence <= STILL_SHARE_MAX * rowsLearned) {
      found[FOUND.stuck] = STUCK.silent;
    } else if (repeats[column] > limitOf(repeatsLongest[column])) {
      if (!hardlyVaried(rule, column, rowsLearned)) found[FOUND.stuck] = STUCK.repeats;
    }
  }
}

function limitOf(longest: number): number {
  return Math.max(RUN_MIN, 2 * longest + 1);
}
