/**
 * Inside the one file: `@napi-rs/nice` as piscina sees it, without its native code. On Linux a priority belongs to
 * a thread, and process id 0 means the thread that asks, so that only the pool thread steps back.
 */
import { getPriority, setPriority } from 'node:os';

const LOWEST_PRIORITY = 19;

/** Lowers the priority of the calling thread by `increment` steps; returns the priority it then has. */
export function nice(increment = 0): number {
  setPriority(0, Math.min(getPriority(0) + increment, LOWEST_PRIORITY));
  return getPriority(0);
}
