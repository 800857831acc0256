/**
 * Sees that a model has become worse: a fast and a slow exponential mean of its loss. When the fast one is so far
 * above the slow one as chance hardly explains, what was learned no longer holds.
 *
 *     x = min(loss, lossMax), the loss before the step;    d = x − s
 *     f = f + a·(x − f)                    a = max(fastRate, 1/n)
 *     s = s + b·d                          b = max(slowRate, 1/n)
 *     v = (1 − b)·(v + b·d²)
 *     w = w + b·(d³ − w)
 *     alarm:  n > leastRows and f − s > q·√(v·V) + 4·10⁻⁶
 *     q = limit + (limit² − 1)/6·γ,        γ = max(0, w/v^1.5·G)
 *
 * n rows since the last alarm. V and G are what an exponential mean leaves of variance and skewness: with a = fastRate
 * V = a/(2 − a) and G = a³/(1 − (1 − a)³)/V^1.5. q is the quantile of a skewed distribution by the first term of
 * Cornish and Fisher. The losses of a model that is seldom wrong are mostly small and sometimes large, and a constant
 * q would give alarm the oftener the better the model is: q = 4 gives 2 false alarms in a million rows where half of
 * the predictions are wrong, and 130 where one in a hundred is; this q gives 11 and 2, and sees drifts as soon.
 *
 * After an alarm everything begins anew, and the detector is silent for a while. All float64; a row costs a few
 * nanoseconds.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../engine/arena.ts';

export interface DriftConfig {
  /** Weight of the newest loss in the fast mean: it looks back about 1/rate rows. */
  readonly fastRate: number;
  /** The same of the slow mean, which is what the fast one is compared with. */
  readonly slowRate: number;
  /** A single loss counts for no more than this. */
  readonly lossMax: number;
  /** Alarm at so many deviations of the fast mean, if the losses are not skewed. */
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
  limit: 3.5,
  leastRows: 100,
  silentRows: 200,
};

/** Keeps losses that hardly vary from giving alarm about nothing. */
const DIFFERENCE_MIN = 4e-6;

/** Slots of `state`, float64: f, s, v, w and n. `silentRows` counts down. */
export const DRIFT = { fast: 0, slow: 1, variance: 2, third: 3, rows: 4, silentRows: 5 } as const;
const DRIFT_SLOTS = 6;

/** Slots of `event`, float64: the latest alarm. `row` counts the losses taken since the beginning. */
export const DRIFT_EVENT = { count: 0, row: 1, lossBefore: 2, lossAfter: 3, rowsTaken: 4 } as const;
const EVENT_SLOTS = 5;

type DriftParts = {
  readonly state: Part<'float64'>;
  readonly event: Part<'float64'>;
};

export interface Drift extends Views<DriftParts> {
  readonly config: DriftConfig;
  /** V and G. */
  readonly fastVariance: number;
  readonly fastSkewness: number;
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
  const a = config.fastRate;
  const kept = 1 - a;
  const fastVariance = a / (2 - a);
  const fastSkewness = (a * a * a) / (1 - kept * kept * kept) / (fastVariance * Math.sqrt(fastVariance));
  return { ...viewsOf(buffer, parts), config, fastVariance, fastSkewness };
}

/**
 * Takes the loss of a prediction, known before the step on it; one that is not a number is left out.
 * @returns 1 if it gives alarm: `event` then has the loss before and after. Else 0
 */
export function takeLoss(drift: Drift, loss: number): number {
  single[0] = loss;
  return takeLossOf(drift, single);
}

const single = new Float64Array(1);

/** The same with the loss in losses[0]: a double that is handed over may be boxed. */
export function takeLossOf(drift: Drift, losses: Float64Array): number {
  if (losses[0] !== losses[0]) return 0;
  const { config, state, event } = drift;
  event[DRIFT_EVENT.rowsTaken] += 1;
  takeIntoMeans(config, state, Math.min(losses[0], config.lossMax));
  if (state[DRIFT.silentRows] > 0) {
    state[DRIFT.silentRows] -= 1;
    return 0;
  }
  if (state[DRIFT.rows] <= config.leastRows || !isAbove(drift)) return 0;
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
  const square = distance * distance;
  state[DRIFT.fast] += fast * (x - state[DRIFT.fast]);
  state[DRIFT.slow] += slow * distance;
  state[DRIFT.variance] = (1 - slow) * (state[DRIFT.variance] + slow * square);
  state[DRIFT.third] += slow * (square * distance - state[DRIFT.third]);
}

/** Whether the fast mean is farther above the slow one than chance explains. */
function isAbove({ config, state, fastVariance, fastSkewness }: Drift): boolean {
  const difference = state[DRIFT.fast] - state[DRIFT.slow];
  if (!(difference > DIFFERENCE_MIN)) return false;
  const variance = state[DRIFT.variance];
  let skewness = 0;
  if (variance > 0) skewness = (fastSkewness * state[DRIFT.third]) / (variance * Math.sqrt(variance));
  const quantile = config.limit + ((config.limit * config.limit - 1) / 6) * Math.max(0, skewness);
  return difference > quantile * Math.sqrt(variance * fastVariance) + DIFFERENCE_MIN;
}

/** The latest alarm in words, for the event that the user reads. */
export function driftInWords({ event }: Drift): string {
  const before = event[DRIFT_EVENT.lossBefore].toFixed(3);
  const after = event[DRIFT_EVENT.lossAfter].toFixed(3);
  return `what was learned no longer holds: the loss rose from ${before} to ${after}`;
}
