/**
 * How well a score tells anomalies from the rest: the area under the ROC curve, which is the chance that an anomalous
 * row has a higher score than a normal one. Exactly that would need all scores; here they are counted in bins, by
 * class, and a pair in the same bin counts half. The error is at most half the share of pairs in one bin, and
 * `areaOf` says how much that is: 1/64 if all scores lie evenly in one octave, less if in more.
 *
 * Bins lie by the bits of the float32: sign, exponent and five bits of the fraction, 32 to each octave from 2^-20 to
 * 2^20 (about 1e-6 to 1e6) on either side of zero, in order of the score. What is beyond falls into the first or last
 * bin of its side.
 *
 *     bin     0 ........ 1279 | 1280 ........ 2559
 *     score   -1e6 .... -1e-6 | 1e-6 ......... 1e6
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../../engine/arena.ts';
import { WINDOW, WINDOWS, ageWindow, fadeSums } from './fading.ts';

/** Bits of a float32 below those that choose a bin. */
const FRACTION_BITS_LEFT = 18;
const BINS_PER_OCTAVE = 32;
const OCTAVES = 40;
const HALF = OCTAVES * BINS_PER_OCTAVE;
const BINS = 2 * HALF;
/** 2^-20 with the bias of the exponent. */
const FIRST_BIN = (127 - OCTAVES / 2) * BINS_PER_OCTAVE;

/** N of the fading window: anomalies are rare. */
export const RANKING_FADING_ROWS = 10_000;

type RankingParts = {
  readonly weights: Part<'float64'>;
  /** [2 windows x 2 x BINS]: rows by bin, normal then anomalous. */
  readonly counts: Part<'float64'>;
  /** [1]: score of the row to be counted. */
  readonly score: Part<'float64'>;
  /** [1]: rows whose score was not a number. */
  readonly unranked: Part<'float64'>;
};

export interface Ranking extends Views<RankingParts> {}

/** 80 KiB. */
export function planRanking(plan: ArenaPlan, name: string): RankingParts {
  return {
    weights: plan.float64(`${name}.weights`, WINDOWS),
    counts: plan.float64(`${name}.counts`, WINDOWS * 2 * BINS),
    score: plan.float64(`${name}.score`, 1),
    unranked: plan.float64(`${name}.unranked`, 1),
  };
}

export function openRanking(buffer: ArrayBufferLike, parts: RankingParts): Ranking {
  return viewsOf(buffer, parts);
}

const bitsFloat32 = new Float32Array(1);
const bitsInt32 = new Int32Array(bitsFloat32.buffer);

/** Counts the row whose score stands in `score`. @param isAnomaly 0 or 1 */
export function rankScore({ weights, counts, score, unranked }: Ranking, isAnomaly: number): void {
  if (score[0] !== score[0]) {
    unranked[0] += 1;
    return;
  }
  if (ageWindow(weights, 0, RANKING_FADING_ROWS)) fadeSums(counts, 2 * BINS, 4 * BINS);
  const bin = isAnomaly * BINS + binOf(score);
  counts[bin] += weights[WINDOW.all];
  counts[2 * BINS + bin] += weights[WINDOW.fading];
}

function binOf(score: Float64Array): number {
  bitsFloat32[0] = score[0] + 0; // -0 becomes 0
  const magnitude = ((bitsInt32[0] & 0x7fff_ffff) >>> FRACTION_BITS_LEFT) - FIRST_BIN;
  const within = magnitude < 0 ? 0 : magnitude < HALF ? magnitude : HALF - 1;
  return bitsInt32[0] < 0 ? HALF - 1 - within : HALF + within;
}

export interface Area {
  /** 0.5 is chance, 1 perfect; NaN until both kinds have been seen. */
  readonly area: number;
  /** The true area is not farther from it than this. */
  readonly errorMax: number;
  /** Rows of each kind, faded ones by their weight. */
  readonly normal: number;
  readonly anomalous: number;
}

/** @param window WINDOW.all or WINDOW.fading */
export function areaOf({ weights, counts }: Ranking, window: number): Area {
  const first = window * 2 * BINS;
  let below = 0;
  let anomalous = 0;
  let ordered = 0;
  let tied = 0;
  for (let bin = 0; bin < BINS; bin++) {
    const normalHere = counts[first + bin];
    const anomalousHere = counts[first + BINS + bin];
    ordered += anomalousHere * below;
    tied += anomalousHere * normalHere;
    below += normalHere;
    anomalous += anomalousHere;
  }
  const pairs = below * anomalous;
  const weight = weights[window];
  return {
    area: (ordered + tied / 2) / pairs,
    errorMax: tied / 2 / pairs,
    normal: below / weight,
    anomalous: anomalous / weight,
  };
}
