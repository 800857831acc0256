/**
 * A sensor that stops: its channel repeats one value, or says nothing, for longer than it ever did while learning.
 * No score of standardised values sees that well, since a stuck value is often a usual one.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../../engine/arena.ts';

/** So many repeats are never suspicious. */
const REPEATS_MIN = 5;

/** A channel that stood still for this share of the rows learned has no usual length of standing still. */
const STILL_SHARE_MAX = 0.25;

type StuckParts = {
  readonly repeats: Part<'float64'>;
  readonly longest: Part<'float64'>;
};

export interface StuckRule extends Views<StuckParts> {}

export function planStuckRule(plan: ArenaPlan, columns: number): StuckParts {
  return {
    repeats: plan.float64('anomaly.stuck.repeats', columns), // of the newest value, itself not counted [C]
    longest: plan.float64('anomaly.stuck.longest', columns), // repeats while learning [C]
  };
}

export function openStuckRule(buffer: ArrayBufferLike, parts: StuckParts): StuckRule {
  return viewsOf(buffer, parts);
}

export function resetStuckRule({ repeats, longest }: StuckRule): void {
  repeats.fill(0);
  longest.fill(0);
}

/** Counts on, or begins anew. */
export function countRepeats({ repeats }: StuckRule, column: number, repeated: boolean): void {
  if (repeated) repeats[column] += 1;
  else repeats[column] = 0;
}

/** Takes in how long the channels stand still while nothing is wrong. */
export function learnRepeats({ repeats, longest }: StuckRule): void {
  for (let column = 0; column < repeats.length; column++) {
    if (repeats[column] > longest[column]) longest[column] = repeats[column];
  }
}

/** Whether standing still says nothing about this channel: it hardly varied while learning. */
export function hardlyVaried({ longest }: StuckRule, column: number, rowsLearned: number): boolean {
  return longest[column] > STILL_SHARE_MAX * rowsLearned;
}

/** @returns the first channel that stands still for too long, or −1 */
export function stuckColumn(rule: StuckRule, rowsLearned: number): number {
  const { repeats, longest } = rule;
  for (let column = 0; column < repeats.length; column++) {
    if (repeats[column] <= REPEATS_MIN || repeats[column] <= 2 * longest[column] + 1) continue;
    if (!hardlyVaried(rule, column, rowsLearned)) return column;
  }
  return -1;
}
