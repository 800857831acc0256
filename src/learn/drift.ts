/**
 * Sees that a model has become worse: a fast and a slow exponential mean of its loss. When the fast one is so far
 * above the slow one as chance hardly explains, what was learned no longer holds.
 *
 *     x = min(loss, lossMax), the loss before the step
 *     f = f + a·(x − f)                    a = max(fastRate, 1/n)
 *     v = (1 − b)·(v + b·(x − s)²)         b = max(slowRate, 1/n)
 *     s = s + b·(x − s)
 *     alarm:  n > leastRows and f − s > limit·√(v·fastRate/(2 − fastRate)) + limit·10⁻⁶
 *
 * n rows since the last alarm; √(v·a/(2 − a)) is the deviation of f when nothing drifts. After an alarm everything
 * begins anew, and the detector is silent for a while. All float64; a row costs a few nanoseconds.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../engine/arena.ts';

export interface DriftConfig {
  /** Weight of the newest loss in the fast mean: it looks back about 1/rate rows. */
  readonly fastRate: number;
  /** The same of the slow mean, which is what the fast one is compared with. */
  readonly slowRate: number;
  /** A single loss counts for no more than this. */
  readonly lossMax: number;
  /** Alarm at so many deviations of the fast mean. */
  readonly limit: number;
  /** Rows before the first alarm. */
  readonly leastRows: number;
  /** Rows without a further alarm after one; during these the means already form. */
  readonly silentRows: number;
}

export const DRIFT_DEFAULTS: DriftConfig = {
  fastRate: 0.02,
  slowRate: 0.001,
  lossMax: 5,
  limit: 4,
  leastRows: 100,
  silentRows: 200,
};

/** Keeps losses that hardly vary from giving alarm about nothing. */
const DEVIATION_MIN = 1e-6;

/** Slots of `state`, float64: the five numbers. `silentRows` counts down. */
export const DRIFT = { fast: 0, slow: 1, variance: 2, rows: 3, silentRows: 4 } as const;
const DRIFT_SLOTS = 5;

/** Slots of `event`, float64: the latest alarm. `row` counts the losses taken since the beginning. */
export const DRIFT_EVENT = { count: 0, row: 1, lossBefore: 2, lossAfter: 3, rowsTaken: 4 } as const;
const EVENT_SLOTS = 5;

type DriftParts = {
  readonly state: Part<'float64'>;
  readonly event: Part<'float64'>;
};

export interface Drift extends Views<DriftParts> {
  readonly config: DriftConfig;
}

export function planDrift(plan: ArenaPlan): DriftParts {
  return {
    state: plan.float64('drift.state', DRIFT_SLOTS),
    event: plan.float64('drift.event', EVENT_SLOTS),
  };
}

/** Lays a planned detector over `buffer`, whose content it leaves as it is; zeros are a new one. */
export function openDrift(
  buffer: ArrayBufferLike,
  parts: DriftParts,
  config: DriftConfig = DRIFT_DEFAULTS,
): Drift {
  return { ...viewsOf(buffer, parts), config };
}

/**
 * Takes the loss of a prediction, known before the step on it; one that is not a number is left out.
 * @returns 1 if it gives alarm: `event` then has the loss before and after. Else 0
 */
export function takeLoss({ config, state, event }: Drift, loss: number): number {
  if (loss !== loss) return 0;
  event[DRIFT_EVENT.rowsTaken] += 1;
  takeIntoMeans(config, state, Math.min(loss, config.lossMax));
  if (state[DRIFT.silentRows] > 0) {
    state[DRIFT.silentRows] -= 1;
    return 0;
  }
  if (state[DRIFT.rows] <= config.leastRows) return 0;
  const deviation = Math.sqrt((state[DRIFT.variance] * config.fastRate) / (2 - config.fastRate));
  if (!(state[DRIFT.fast] - state[DRIFT.slow] > config.limit * (deviation + DEVIATION_MIN))) return 0;
  event[DRIFT_EVENT.count] += 1;
  event[DRIFT_EVENT.row] = event[DRIFT_EVENT.rowsTaken];
  event[DRIFT_EVENT.lossBefore] = state[DRIFT.slow];
  event[DRIFT_EVENT.lossAfter] = state[DRIFT.fast];
  state.fill(0);
  state[DRIFT.silentRows] = config.silentRows;
  return 1;
}

function takeIntoMeans({ fastRate, slowRate }: DriftConfig, state: Float64Array, x: number): void {
  state[DRIFT.rows] += 1;
  const share = 1 / state[DRIFT.rows];
  const fast = Math.max(fastRate, share);
  const slow = Math.max(slowRate, share);
  const distance = x - state[DRIFT.slow];
  state[DRIFT.fast] += fast * (x - state[DRIFT.fast]);
  state[DRIFT.variance] = (1 - slow) * (state[DRIFT.variance] + slow * distance * distance);
  state[DRIFT.slow] += slow * distance;
}

/** The latest alarm in words, for the event that the user reads. */
export function driftInWords({ event }: Drift): string {
  const before = event[DRIFT_EVENT.lossBefore].toFixed(3);
  const after = event[DRIFT_EVENT.lossAfter].toFixed(3);
  return `what was learned no longer holds: the loss rose from ${before} to ${after}`;
}
