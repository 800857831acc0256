/**
 * Features of a window, computed when a sample is due. Mean, deviation, RMS, slope and extremes are read off
 * summaries that rows keep up to date. Zero crossings, which change with the mean, and spectra go through the window.
 */
import type { ArenaPlan } from '../engine/arena.ts';
import { type FeatureKind, type InputsConfig, isPlain, placesOf, windowColumns } from './input-layout.ts';
import { type Spectrum, blockRowsOf, makeSpectrum, transform } from './spectrum.ts';
import {
  EXTREMES,
  MOMENTS,
  type Summary,
  TREND,
  advance,
  openSummary,
  planSummary,
  summarise,
} from './summaries.ts';
import { type Window, windowStart } from './window.ts';

/** Which features read which summary. */
const READERS: { readonly [kind in 'moments' | 'trend' | 'extremes']: readonly FeatureKind[] } = {
  moments: ['mean', 'deviation', 'rms', 'zeroCrossings'],
  trend: ['slope'],
  extremes: ['min', 'max'],
};

const CODE = { mean: 0, deviation: 1, rms: 2, min: 3, max: 4, zeroCrossings: 5, slope: 6, bands: 7 } as const;

/** Words of a feature in `Features.list`. */
const WORD = { code: 0, input: 1, inputs: 2, column: 3, slot: 4 } as const;
const WORDS = 5;

/** A value nearer to the mean than this part of the deviation is on neither side, however the mean was rounded. */
const MIDDLE = 1 / 1024;

export interface FeaturesParts {
  readonly moments: ReturnType<typeof planSummary>;
  readonly trend: ReturnType<typeof planSummary>;
  readonly extremes: ReturnType<typeof planSummary>;
}

export interface Features {
  readonly moments: Summary;
  readonly trend: Summary;
  readonly extremes: Summary;
  readonly spectrum: Spectrum | undefined;
  /** Features that are no plain values [features x WORDS]. */
  readonly list: Int32Array;
}

export function planFeatures(plan: ArenaPlan, config: InputsConfig): FeaturesParts {
  const partsOf = (kind: keyof typeof READERS) =>
    planSummary(plan, kind, readColumns(config, kind).length, config.windowRows, config.hopRows);
  return { moments: partsOf('moments'), trend: partsOf('trend'), extremes: partsOf('extremes') };
}

export function openFeatures(
  buffer: ArrayBufferLike,
  parts: FeaturesParts,
  config: InputsConfig,
  window: Window,
): Features {
  const kept = windowColumns(config);
  const open = (kind: keyof typeof READERS) => {
    const columns = Int32Array.from(readColumns(config, kind), (column) => kept.indexOf(column));
    return openSummary(buffer, parts[kind], kind, columns, window);
  };
  const hasBands = config.features.some(({ kind }) => kind === 'bands');
  return {
    moments: open('moments'),
    trend: open('trend'),
    extremes: open('extremes'),
    spectrum: hasBands ? makeSpectrum(blockRowsOf(config.windowRows)) : undefined,
    list: listFeatures(config),
  };
}

/** Columns of the row that a summary is kept of, each once. */
function readColumns({ features }: InputsConfig, summary: keyof typeof READERS): number[] {
  const readers = READERS[summary];
  return [...new Set(features.filter(({ kind }) => readers.includes(kind)).map(({ column }) => column))];
}

function listFeatures(config: InputsConfig): Int32Array {
  const kept = windowColumns(config);
  const summaries = Object.keys(READERS) as (keyof typeof READERS)[];
  const words = placesOf(config)
    .filter(({ spec }) => !isPlain(spec))
    .flatMap(({ spec: { kind, column }, firstInput, inputs }) => {
      const summary = summaries.find((each) => READERS[each].includes(kind));
      const slot = summary === undefined ? 0 : readColumns(config, summary).indexOf(column);
      return [CODE[kind as keyof typeof CODE], firstInput, inputs, kept.indexOf(column), slot];
    });
  return Int32Array.from(words);
}

/** Takes the row into the summaries that was just put into the window. @param place where it went */
export function advanceFeatures({ moments, trend, extremes }: Features, window: Window, place: number): void {
  advance(moments, window, place);
  advance(trend, window, place);
  advance(extremes, window, place);
}

/** Writes the features of the full window to their places among the raw inputs. */
export function writeFeatures(features: Features, window: Window, raw: Float32Array): void {
  const { moments, trend, extremes, list } = features;
  summarise(moments, window);
  summarise(trend, window);
  summarise(extremes, window);
  for (let word = 0; word < list.length; word += WORDS) {
    const code = list[word + WORD.code];
    if (code === CODE.bands) writeBands(features, window, word, raw);
    else if (code === CODE.zeroCrossings) writeCrossings(features, window, word, raw);
    else writeSummary(features, word, raw);
  }
}

function writeSummary({ moments, trend, extremes, list }: Features, word: number, raw: Float32Array): void {
  const code = list[word + WORD.code];
  const slot = list[word + WORD.slot];
  const input = list[word + WORD.input];
  raw[input] = NaN; // unless enough values are there
  if (code === CODE.slope) {
    const at = slot * trend.size;
    if (trend.whole[at + TREND.count] < 2) return;
    raw[input] = trend.whole[at + TREND.mxt] / trend.whole[at + TREND.mtt];
  } else if (code === CODE.min || code === CODE.max) {
    const at = slot * extremes.size;
    if (extremes.whole[at + EXTREMES.min] > extremes.whole[at + EXTREMES.max]) return;
    raw[input] = extremes.whole[at + (code === CODE.min ? EXTREMES.min : EXTREMES.max)];
  } else {
    writeMoment(moments.whole, slot * moments.size, code, raw, input);
  }
}

function writeMoment(whole: Float64Array, at: number, code: number, raw: Float32Array, input: number): void {
  const count = whole[at + MOMENTS.count];
  const mean = whole[at + MOMENTS.mean];
  if (count < (code === CODE.deviation ? 2 : 1)) return;
  const variance = whole[at + MOMENTS.m2] / count;
  if (code === CODE.mean) raw[input] = mean;
  else if (code === CODE.deviation) raw[input] = Math.sqrt(variance);
  else raw[input] = Math.sqrt(mean * mean + variance);
}

/**
 * About the mean of the window, so that a bias or gravity does not hide a vibration. A value in the middle belongs to
 * the side of the one before; missing ones are passed over.
 */
function writeCrossings({ moments, list }: Features, window: Window, word: number, raw: Float32Array): void {
  const { values, rows } = window;
  const at = list[word + WORD.slot] * moments.size;
  const count = moments.whole[at + MOMENTS.count];
  const mean = moments.whole[at + MOMENTS.mean];
  const middle = MIDDLE * Math.sqrt(moments.whole[at + MOMENTS.m2] / count);
  const start = windowStart(window, list[word + WORD.column]);
  const end = start + rows;
  const above = mean + middle;
  const below = mean - middle;
  let crossings = 0;
  let side = 0;
  for (let index = start; index < end; index++) {
    const value = values[index];
    const now = value > above ? 1 : value < below ? -1 : side;
    if (now + side === 0 && now !== side) crossings += 1;
    side = now;
  }
  raw[list[word + WORD.input]] = crossings;
  if (count < 2) raw[list[word + WORD.input]] = NaN;
}

/**
 * The fourth root of the power in each of B bands, equal in width, of the newest 2^k values. Power spans decades, and a
 * running standardisation wants it compressed. Over three simulated machines (five states, eight bands, sixteen hidden
 * units) the accuracy was 89.8 % with the power itself, 92.7 with its square root, 93.6 with the fourth; 93.7 with a
 * logarithm whose floor suits the unit, 89.8 with one whose floor does not. Roots need no floor, whatever the unit.
 */
function writeBands({ spectrum, list }: Features, window: Window, word: number, raw: Float32Array): void {
  if (spectrum === undefined) return;
  const { rows, power } = spectrum;
  const end = windowStart(window, list[word + WORD.column]) + window.rows;
  const present = transform(spectrum, window.values, end - rows);
  const input = list[word + WORD.input];
  const bands = list[word + WORD.inputs];
  let bin = 0;
  for (let band = 0; band < bands; band++) {
    const last = Math.floor(((band + 1) * power.length) / bands);
    let sum = 0;
    for (; bin < last; bin++) sum += power[bin];
    if (2 * present > rows) raw[input + band] = Math.sqrt(Math.sqrt(sum));
    else raw[input + band] = NaN;
  }
}
