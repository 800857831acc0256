/**
 * Which column of what was heard is the board's clock: one that rises steadily, and as fast as ours in one of the units
 * that clocks are printed in. A counter of rows rises as steadily, but keeps no such pace.
 */
import { TIME_UNITS, type TimeUnit } from './printed-clock.ts';

/** A number that was printed, and when it was read. */
export interface HeardNumber {
  readonly value: number;
  readonly timeUs: number;
}

export interface HeardClock {
  readonly unit: TimeUnit;
  /** In words. */
  readonly because: string;
}

/** Fewer numbers, or a shorter time, tell no pace. */
const NUMBERS_MIN = 20;
const HEARD_US_MIN = 300_000;
/** Of the steps this share must be near the usual one, between half and twice: some rows are lost, a board resets. */
const REGULAR_SHARE_MIN = 0.9;
/** How far its pace may be off ours: reads come some milliseconds late, boards without a quartz are a few % off. */
const PACE_TOLERANCE = 0.08;

const STEPS_PER_US: Readonly<Record<TimeUnit, number>> = { us: 1, ms: 1e-3, s: 1e-6 };

/** @returns undefined if the numbers of this column are no clock */
export function findClock(heard: readonly HeardNumber[]): HeardClock | undefined {
  if (heard.length < NUMBERS_MIN || heard.some(({ value }) => value < 0)) return undefined;
  const steps = heard.slice(1).map(({ value }, index) => value - heard[index].value);
  const usual = steps.toSorted((left, right) => left - right)[steps.length >> 1];
  // Whole milliseconds of a fast board go 0, 1, 0, 1.
  const grain = heard.every(({ value }) => Number.isInteger(value)) ? 1 : 0;
  const regular = steps.filter((step) => step >= Math.max(0, usual / 2 - grain) && step <= 2 * usual + grain);
  if (regular.length < REGULAR_SHARE_MIN * steps.length) return undefined;
  const pace = paceOf(heard);
  if (pace === undefined) return undefined;
  const unit = TIME_UNITS.find((name) => Math.abs(pace / STEPS_PER_US[name] - 1) <= PACE_TOLERANCE);
  if (unit === undefined) return undefined;
  return { unit, because: `rises by ${Number(usual.toPrecision(3))} a row, as fast as a clock in ${unit}` };
}

/**
 * Steps per microsecond of ours, over the longest stretch that only rises: its ends are far apart, so that the lateness
 * of single reads matters little.
 */
function paceOf(heard: readonly HeardNumber[]): number | undefined {
  let [first, last] = [0, 0];
  for (let start = 0, at = 1; at <= heard.length; at++) {
    if (at < heard.length && heard[at].value >= heard[at - 1].value) continue;
    if (at - 1 - start > last - first) [first, last] = [start, at - 1];
    start = at;
  }
  const elapsedUs = heard[last].timeUs - heard[first].timeUs;
  return elapsedUs < HEARD_US_MIN ? undefined : (heard[last].value - heard[first].value) / elapsedUs;
}
