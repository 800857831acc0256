/**
 * Not forgetting: a buffer of labelled samples as they came (not standardised), from which classes that have been
 * absent for a while are learned again, and the frequencies by which logits are adjusted, so that a class that is rare
 * or absent now is not unlearned for that alone.
 *
 * - p, the share of each class in the training steps of late: p += 0.01·(onehot − p), at the start 1/K. A step is taken
 *   on −log softmax(o + ln(p + 10⁻³)), so that the outputs o come out free of it.
 * - After each labelled sample one more step on a member of the buffer, of a class not seen for more than 100 samples:
 *   class by lot, then member by lot.
 * - Every labelled sample goes into the buffer. When it is full a member by lot of the largest class makes room (the
 *   lowest of equals), of the sample's own class if that is among the largest.
 *
 * Rows that were standardised when they were kept would be worth less each day: statistics move.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../engine/arena.ts';
import { log } from '../engine/arithmetic.ts';
import { drawIndex } from '../engine/random.ts';

export const REHEARSAL = {
  /** Samples since the last of its kind from which a class is absent. */
  absentAfter: 100,
  shareRate: 0.01,
  shareMin: 1e-3,
} as const;

export interface RehearsalConfig {
  /** D */
  readonly inputs: number;
  /** K */
  readonly classes: number;
  /** Samples that the buffer holds; 0: no rehearsal, and no adjustment of logits. */
  readonly samples: number;
  readonly seed: number;
}

type RehearsalParts = {
  readonly raw: Part<'float32'>;
  readonly labels: Part<'int32'>;
  readonly members: Part<'int32'>;
  readonly shares: Part<'float64'>;
  readonly since: Part<'float64'>;
  readonly state: Part<'int32'>;
};

/** The generator comes first: it is drawn from in its place. */
const STATE = { random: 0, filled: 1 } as const;

export interface Rehearsal extends Views<RehearsalParts> {
  readonly config: RehearsalConfig;
}

export function planRehearsal(plan: ArenaPlan, config: RehearsalConfig): RehearsalParts {
  const { inputs: D, classes: K, samples: R } = config;
  return {
    raw: plan.float32('rehearsal.raw', R * D), //      [R][D]
    labels: plan.int32('rehearsal.labels', R), //      [R]
    members: plan.int32('rehearsal.members', K), //    in the buffer, of each class [K]
    shares: plan.float64('rehearsal.shares', K), //    p [K]
    since: plan.float64('rehearsal.since', K), //      samples since the last of the class [K]
    state: plan.int32('rehearsal.state', 2),
  };
}

export function openRehearsal(
  buffer: ArrayBufferLike,
  config: RehearsalConfig,
  parts: RehearsalParts,
): Rehearsal {
  return { ...viewsOf(buffer, parts), config };
}

/** Sets the shares of a new arena. */
export function startRehearsal({ config, shares, state }: Rehearsal): void {
  shares.fill(1 / config.classes);
  state[STATE.random] = config.seed;
}

/** A label has come: how long each class has been absent. */
export function countAbsence({ since }: Rehearsal, label: number): void {
  for (let k = 0; k < since.length; k++) since[k] += 1;
  since[label] = 0;
}

/** p moves toward the class of a step that is about to be taken, and so do the offsets: ln(p + 10⁻³) [K]. */
export function shiftShares({ shares }: Rehearsal, label: number, offsets: Float32Array): void {
  for (let k = 0; k < shares.length; k++) {
    shares[k] += REHEARSAL.shareRate * ((k === label ? 1.0 : 0.0) - shares[k]);
    offsets[k] = log(shares[k] + REHEARSAL.shareMin);
  }
}

/** Draws a member of an absent class. @returns its place in the buffer, or −1 if none is absent */
export function drawAbsent(rehearsal: Rehearsal): number {
  const { members, since, state } = rehearsal;
  let absent = 0;
  for (let k = 0; k < since.length; k++) if (isAbsent(members[k], since[k])) absent += 1;
  if (absent === 0) return -1;
  let turn = drawIndex(state, absent);
  let label = 0;
  for (; ; label++) {
    if (!isAbsent(members[label], since[label])) continue;
    if (turn === 0) break;
    turn -= 1;
  }
  return memberOf(rehearsal, label, drawIndex(state, members[label]));
}

function isAbsent(members: number, since: number): boolean {
  return members > 0 && since > REHEARSAL.absentAfter;
}

/** Keeps a sample. @param raw [D] from `first` on, not standardised; NaN is missing */
export function keepSample(rehearsal: Rehearsal, raw: Float32Array, first: number, label: number): void {
  const { config, state, members, labels } = rehearsal;
  if (config.samples === 0) return;
  let place = state[STATE.filled];
  if (place < config.samples) {
    state[STATE.filled] = place + 1;
  } else {
    const largest = largestClass(members, label);
    place = memberOf(rehearsal, largest, drawIndex(state, members[largest]));
    members[largest] -= 1;
  }
  members[label] += 1;
  labels[place] = label;
  const D = config.inputs;
  for (let d = 0; d < D; d++) rehearsal.raw[place * D + d] = raw[first + d];
}

/** The class with the most members: `label` if it is one of them, else the lowest. */
function largestClass(members: Int32Array, label: number): number {
  let largest = label;
  for (let k = 0; k < members.length; k++) {
    if (
      members[k] > members[largest] ||
      (members[k] === members[largest] && largest !== label && k < largest)
    ) {
      largest = k;
    }
  }
  return largest;
}

/** Place of the member of a class that comes `turn`-th in the buffer. */
function memberOf({ labels }: Rehearsal, label: number, turn: number): number {
  let left = turn;
  for (let place = 0; ; place++) {
    if (labels[place] !== label) continue;
    if (left === 0) return place;
    left -= 1;
  }
}
