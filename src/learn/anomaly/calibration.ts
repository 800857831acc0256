/**
 * What is usual, from the end of the learn phase: of the two scores' logarithms mean, deviation and how they go
 * together, and the error that 99 % of the windows stay below. The score is
 *
 *     ½·(zA + zT),   zA = (log(A + 10⁻⁶) − mean)/deviation, zT likewise
 *
 * so that its own mean there is 0 and its deviation √((1 + correlation)/2).
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../../engine/arena.ts';
import { log } from '../../engine/arithmetic.ts';

/** The usual error is taken from here on, as a share of the rows to learn; the usual scores from later on. */
const ERRORS_FROM = 0.5;
const SCORES_FROM = 0.7;

const LOG_OFFSET = 1e-6;
const USUAL_SHARE = 0.99;

/** Slots of `usual`, float64. */
const USUAL = {
  count: 0,
  meanA: 1,
  meanT: 2,
  m2A: 3,
  m2T: 4,
  cross: 5,
  deviationA: 6,
  deviationT: 7,
} as const;
const USUAL_SLOTS = 8;

/** Slots of `z`. */
export const Z = { reconstruction: 0, distance: 1, score: 2 } as const;

type CalibrationParts = {
  readonly usual: Part<'float64'>;
  readonly z: Part<'float64'>;
  readonly errors: Part<'float32'>;
};

export interface Calibration extends Views<CalibrationParts> {}

/** The number of windows learned before the first whose error counts. */
export function errorsFrom(learnRows: number): number {
  return Math.ceil(ERRORS_FROM * learnRows);
}

/** The number of windows learned before the first whose scores count. */
export function scoresFrom(learnRows: number): number {
  return Math.ceil(SCORES_FROM * learnRows);
}

export function planCalibration(plan: ArenaPlan, learnRows: number): CalibrationParts {
  const errorsKept = learnRows - errorsFrom(learnRows);
  return {
    usual: plan.float64('anomaly.calibration.usual', USUAL_SLOTS),
    z: plan.float64('anomaly.calibration.z', 3), //                    of the newest row
    errors: plan.float32('anomaly.calibration.errors', errorsKept), // mean squared errors
  };
}

export function openCalibration(buffer: ArrayBufferLike, parts: CalibrationParts): Calibration {
  return viewsOf(buffer, parts);
}

export function resetCalibration({ usual, z, errors }: Calibration): void {
  usual.fill(0);
  z.fill(NaN);
  errors.fill(0);
}

/** Takes the two scores of a row on which nothing was wrong, answer[slotA] and answer[slotT]. */
export function calibrate(
  calibration: Calibration,
  answer: Float64Array,
  slotA: number,
  slotT: number,
): void {
  const { usual, z } = calibration;
  usual[USUAL.count] += 1;
  const alpha = 1 / usual[USUAL.count];
  writeLog(answer, slotA, z, Z.reconstruction);
  writeLog(answer, slotT, z, Z.distance);
  const differenceA = z[Z.reconstruction] - usual[USUAL.meanA];
  const differenceT = z[Z.distance] - usual[USUAL.meanT];
  usual[USUAL.m2A] += (1 - alpha) * differenceA * differenceA;
  usual[USUAL.m2T] += (1 - alpha) * differenceT * differenceT;
  usual[USUAL.cross] += (1 - alpha) * differenceA * differenceT;
  usual[USUAL.meanA] += alpha * differenceA;
  usual[USUAL.meanT] += alpha * differenceT;
}

/** From slot to slot: a double that a function returns may be boxed. */
function writeLog(from: Float64Array, slot: number, to: Float64Array, toSlot: number): void {
  to[toSlot] = log(from[slot] + LOG_OFFSET);
}

/** @returns the deviation of the score; 1 if the scores did not vary at all */
export function finishCalibration({ usual }: Calibration): number {
  const count = usual[USUAL.count];
  usual[USUAL.deviationA] = Math.sqrt(usual[USUAL.m2A] / count);
  usual[USUAL.deviationT] = Math.sqrt(usual[USUAL.m2T] / count);
  const product = usual[USUAL.deviationA] * usual[USUAL.deviationT];
  if (!(product > 0)) {
    usual[USUAL.deviationA] = Math.max(usual[USUAL.deviationA], LOG_OFFSET);
    usual[USUAL.deviationT] = Math.max(usual[USUAL.deviationT], LOG_OFFSET);
    return 1;
  }
  return Math.sqrt(Math.max((1 + usual[USUAL.cross] / count / product) / 2, LOG_OFFSET));
}

/**
 * Writes `z` for the row with the scores answer[slotA] and answer[slotT]. Where A is NaN, since the window is not full,
 * T stands for both.
 * @param scales [slot] the score's deviation, from `finishCalibration`
 */
export function standardiseScores(
  { usual, z }: Calibration,
  answer: Float64Array,
  slotA: number,
  slotT: number,
  scales: Float64Array,
  slot: number,
): void {
  writeLog(answer, slotA, z, Z.reconstruction);
  writeLog(answer, slotT, z, Z.distance);
  z[Z.reconstruction] = (z[Z.reconstruction] - usual[USUAL.meanA]) / usual[USUAL.deviationA];
  z[Z.distance] = (z[Z.distance] - usual[USUAL.meanT]) / usual[USUAL.deviationT];
  if (z[Z.reconstruction] === z[Z.reconstruction]) {
    z[Z.score] = 0.5 * (z[Z.reconstruction] + z[Z.distance]);
  } else z[Z.score] = scales[slot] * z[Z.distance];
}

/** Overwrites the order of `errors`. @returns the error that 99 % of them do not exceed */
export function usualError({ errors }: Calibration): number {
  errors.sort();
  return errors[Math.floor(USUAL_SHARE * (errors.length - 1))];
}
