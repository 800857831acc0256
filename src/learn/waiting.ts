/**
 * Samples that wait for their label: what each candidate said to them, and what they were. A label that comes with
 * row r is of the sample made at row r − delay, or of the newest one that was there `delay` microseconds ago. What is
 * passed over on the way was never labelled.
 *
 *     oldest ──> | sample | sample | ... | sample | <── newest      a ring of fixed capacity
 *
 * Where nothing is late the ring has one place, and the label comes right behind the sample.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../engine/arena.ts';

export interface WaitingConfig {
  /** D */
  readonly inputs: number;
  /** K */
  readonly outputs: number;
  /** C */
  readonly candidates: number;
  /** Rows from a sample to its label. */
  readonly delayRows: number;
  /** The same as a time, in microseconds; then `capacity` says how many may wait. 0: by rows. */
  readonly delayUs: number;
  readonly capacity: number;
  /** V, in which a candidate may answer. */
  readonly ways: number;
}

type WaitingParts = {
  readonly scaled: Part<'float32'>;
  readonly raw: Part<'float32'>;
  readonly outputs: Part<'float32'>;
  readonly scales: Part<'float64'>;
  readonly priors: Part<'float32'>;
  readonly marks: Part<'float64'>;
  readonly state: Part<'float64'>;
};

/** Of a sample: the row it was made at, its time, and the candidate that answered, in which way. */
export const MARK = { row: 0, timeUs: 1, answering: 2, way: 3 } as const;
const MARKS = 4;

/** Numbers of the oldest sample and of the next one to come; samples that found no place. */
const STATE = { oldest: 0, next: 1, lost: 2 } as const;

export interface Waiting extends Views<WaitingParts> {
  readonly config: WaitingConfig;
}

export function planWaiting(plan: ArenaPlan, config: WaitingConfig): WaitingParts {
  const { inputs: D, outputs: K, candidates: C, capacity: P, ways: V } = config;
  return {
    scaled: plan.float32('waiting.scaled', P * D), //      [P][D]
    raw: plan.float32('waiting.raw', P * D), //            [P][D]
    outputs: plan.float32('waiting.outputs', P * C * K), // [P][C][K]
    scales: plan.float64('waiting.scales', P * 2 * K), //  [P][2][K], reference and deviation: see numbers.ts
    priors: plan.float32('waiting.priors', P * V * K), //   [P][V][K], at the time of the answer
    marks: plan.float64('waiting.marks', P * MARKS), //    [P][MARKS]
    state: plan.float64('waiting.state', 3),
  };
}

export function openWaiting(buffer: ArrayBufferLike, config: WaitingConfig, parts: WaitingParts): Waiting {
  return { ...viewsOf(buffer, parts), config };
}

/** Makes place for a sample, if need be by giving up the oldest. @returns its place, to be filled by the caller */
export function pushWaiting(waiting: Waiting, row: number, timeUs: number): number {
  const { state, marks, config } = waiting;
  if (state[STATE.next] - state[STATE.oldest] >= config.capacity) {
    state[STATE.oldest] += 1;
    // Where a label comes with every row the oldest has had its turn.
    if (config.delayUs > 0) state[STATE.lost] += 1;
  }
  const place = state[STATE.next] % config.capacity;
  state[STATE.next] += 1;
  marks[place * MARKS + MARK.row] = row;
  marks[place * MARKS + MARK.timeUs] = timeUs;
  return place;
}

/** @returns the place of the sample whose label comes with this row, now no longer waiting; −1 if there is none */
export function takeDue(waiting: Waiting, row: number, timeUs: number): number {
  const { config, state, marks } = waiting;
  let due = -1;
  while (state[STATE.oldest] < state[STATE.next]) {
    const place = state[STATE.oldest] % config.capacity;
    const late =
      config.delayUs > 0
        ? marks[place * MARKS + MARK.timeUs] + config.delayUs - timeUs
        : marks[place * MARKS + MARK.row] + config.delayRows - row;
    if (late > 0) break;
    state[STATE.oldest] += 1;
    if (config.delayUs > 0 || late === 0) due = place;
  }
  return due;
}

/** What comes does not follow: nobody knows which sample a label would be of. */
export function forgetWaiting({ state }: Waiting): void {
  state[STATE.oldest] = state[STATE.next];
}

/** Samples given up since too many waited. */
export function lostWaiting({ state }: Waiting): number {
  return state[STATE.lost];
}

export function markOf({ marks }: Waiting, place: number, mark: number): number {
  return marks[place * MARKS + mark];
}

export function setMark({ marks }: Waiting, place: number, mark: number, value: number): void {
  marks[place * MARKS + mark] = value;
}
