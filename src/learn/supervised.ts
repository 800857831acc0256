/**
 * Predict, score, then learn (prequential), for the tasks that have something to be told: classes, numbers, and the
 * future of a column.
 *
 *     row ──> inputs ──(a sample is ready)──> candidates answer ──> waiting
 *     label of row r ──> sample of row r − delay ──> score ──> losses of the race ──> one step ──> one rehearsal step
 *
 * - classify: the label is a class. Where a label comes with its own row the sample is predicted first; where labels
 *   are late the label that a row brings is taken first, so that the row's prediction has learned from it.
 * - regress: the labels are columns of the row, standardised by their own running statistics; what was answered is in
 *   the user's units. A row that lacks one of its targets has no label.
 * - forecast: the label of a sample is the column's value `horizon` rows later, as its change in deviations of the
 *   column at the time of the sample. Predicting no change is persistence.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../engine/arena.ts';
import { type Inputs, standardise } from '../stream/inputs.ts';
import {
  type Candidates,
  type CandidatesConfig,
  type EngineOf,
  forwardCandidates,
  learnCandidates,
  openCandidates,
  planCandidates,
  predictCandidates,
  startCandidates,
} from './candidates.ts';
import { type Drift, openDrift, planDrift } from './drift.ts';
import { type Priors, WAYS, openPriors, planPriors, startPriors } from './priors.ts';
import {
  RACE_STATE,
  type Race,
  chooseAnswering,
  moveScouts,
  openRace,
  planRace,
  replaceDiverged,
} from './race.ts';
import { type Rehearsal, openRehearsal, planRehearsal, startRehearsal } from './rehearsal.ts';
import { type Classification, openClassification, planClassification } from './scores/classification.ts';
import { type Regression, openRegression, planRegression } from './scores/regression.ts';
import { MARK, type Waiting, openWaiting, planWaiting, pushWaiting, setMark } from './waiting.ts';

export interface SupervisedConfig {
  readonly task: 'classify' | 'regress' | 'forecast';
  /** K: classes, or the number of targets. */
  readonly outputs: number;
  /** Columns of the row that hold the targets: of regress and forecast. */
  readonly targets: readonly number[];
  /** Rows from a sample to its label: how late labels are, or of forecast the horizon. */
  readonly delayRows: number;
  /** How late labels are in microseconds; 0: by rows. */
  readonly delayUs: number;
  /** Samples that may wait where labels are late by time. */
  readonly waitingSamples: number;
  readonly candidates: Omit<CandidatesConfig, 'inputs' | 'outputs' | 'loss'>;
  /** Samples in the buffer of rehearsal; 0: none. Of classify. */
  readonly rehearsalSamples: number;
  /** Whether drift is answered: statistics and output weights loosened. Only with rehearsal. */
  readonly respondToDrift: boolean;
}

type OwnParts = {
  /** Running mean, count and M2 of each target, and its last value [K]. */
  readonly targetMean: Part<'float64'>;
  readonly targetCount: Part<'float64'>;
  readonly targetM2: Part<'float64'>;
  readonly lastTargets: Part<'float64'>;
  /** An output o of the newest sample is reference + deviation·o in the user's units [K]. */
  readonly reference: Part<'float64'>;
  readonly deviation: Part<'float64'>;
  /** What the null model says [K]. */
  readonly known: Part<'float32'>;
  /** Of what each candidate had said, in each way, to the sample whose label came last [C][V]. */
  readonly losses: Part<'float64'>;
  /** The newest answer: the probability of its class, or numbers in the user's units [K]. */
  readonly numbers: Part<'float64'>;
  /** Of the answer to the sample whose label came last: −log of the class's probability, or half the squared error. */
  readonly loss: Part<'float64'>;
  readonly newest: Part<'int32'>;
  readonly counts: Part<'float64'>;
};

/**
 * Of the newest sample: the class answered, the candidate that answered, its place among the waiting; whether the
 * candidates still have it in their inputs, and whether a label has come since it did.
 */
export const NEWEST = { class: 0, answering: 1, place: 2, isFresh: 3, isLabelled: 4 } as const;
/** Samples whose label came, and those of them that were learned. */
export const COUNT = { labelled: 0, learned: 1 } as const;

export interface SupervisedParts {
  readonly own: OwnParts;
  readonly candidates: ReturnType<typeof planCandidates>;
  readonly race: ReturnType<typeof planRace>;
  readonly waiting: ReturnType<typeof planWaiting>;
  readonly priors: ReturnType<typeof planPriors>;
  readonly rehearsal: ReturnType<typeof planRehearsal>;
  readonly drift: ReturnType<typeof planDrift>;
  readonly classes: ReturnType<typeof planClassification> | undefined;
  readonly values: ReturnType<typeof planRegression> | undefined;
}

export interface Supervised extends Views<OwnParts> {
  readonly config: SupervisedConfig;
  readonly candidates: Candidates;
  readonly race: Race;
  readonly waiting: Waiting;
  readonly priors: Priors;
  readonly rehearsal: Rehearsal;
  readonly drift: Drift;
  readonly classes: Classification | undefined;
  readonly values: Regression | undefined;
  /** Which candidate is the linear model. */
  readonly linear: number;
  /** A row's label is of an earlier sample. */
  readonly isLate: boolean;
}

function candidatesConfig(config: SupervisedConfig, inputs: number): CandidatesConfig {
  const loss = config.task === 'classify' ? 'crossEntropy' : 'halfSquared';
  return { ...config.candidates, inputs, outputs: config.outputs, loss };
}

function waitingConfig(config: SupervisedConfig, inputs: number) {
  const { delayRows, delayUs, outputs, candidates } = config;
  const capacity = delayUs > 0 ? config.waitingSamples : delayRows + 1;
  return {
    inputs,
    outputs,
    candidates: candidates.list.length,
    delayRows,
    delayUs,
    capacity,
    ways: waysOf(config),
  };
}

function rehearsalConfig({ outputs, rehearsalSamples, candidates }: SupervisedConfig, inputs: number) {
  return { inputs, classes: outputs, samples: rehearsalSamples, seed: candidates.seed };
}

/** Ways to answer: with each of the priors, where logits are free of the classes' frequencies. */
function waysOf({ rehearsalSamples }: SupervisedConfig): number {
  return rehearsalSamples > 0 ? WAYS : 1;
}

/** @param inputs D */
export function planSupervised(plan: ArenaPlan, config: SupervisedConfig, inputs: number): SupervisedParts {
  const { outputs: K, task } = config;
  const C = config.candidates.list.length;
  return {
    own: {
      targetMean: plan.float64('targets.mean', K),
      targetCount: plan.float64('targets.count', K),
      targetM2: plan.float64('targets.m2', K),
      lastTargets: plan.float64('targets.last', K),
      reference: plan.float64('targets.reference', K),
      deviation: plan.float64('targets.deviation', K),
      known: plan.float32('supervised.known', K),
      losses: plan.float64('supervised.losses', C * waysOf(config)),
      numbers: plan.float64('supervised.numbers', K),
      loss: plan.float64('supervised.loss', 1),
      newest: plan.int32('supervised.newest', 5),
      counts: plan.float64('supervised.counts', 2),
    },
    candidates: planCandidates(plan, candidatesConfig(config, inputs)),
    race: planRace(plan, C, waysOf(config)),
    priors: planPriors(plan, K),
    waiting: planWaiting(plan, waitingConfig(config, inputs)),
    rehearsal: planRehearsal(plan, rehearsalConfig(config, inputs)),
    drift: planDrift(plan),
    classes: task === 'classify' ? planClassification(plan, K) : undefined,
    values: task === 'classify' ? undefined : planRegression(plan, K),
  };
}

/** Lays a planned learner over an arena, whose content it leaves as it is. */
export function openSupervised(
  memory: WebAssembly.Memory,
  config: SupervisedConfig,
  inputs: number,
  parts: SupervisedParts,
  engineOf: EngineOf,
): Supervised {
  const { buffer } = memory;
  const { outputs: K, candidates, delayRows, delayUs } = config;
  return {
    ...viewsOf(buffer, parts.own),
    config,
    candidates: openCandidates(memory, candidatesConfig(config, inputs), parts.candidates, engineOf),
    race: openRace(buffer, parts.race, waysOf(config)),
    priors: openPriors(buffer, K, parts.priors),
    waiting: openWaiting(buffer, waitingConfig(config, inputs), parts.waiting),
    rehearsal: openRehearsal(buffer, rehearsalConfig(config, inputs), parts.rehearsal),
    drift: openDrift(buffer, parts.drift),
    classes: parts.classes && openClassification(buffer, K, parts.classes),
    values: parts.values && openRegression(buffer, K, parts.values),
    linear: candidates.list.findIndex(({ kind }) => kind === 'linear'),
    isLate: delayRows > 0 || delayUs > 0,
  };
}

/** Sets the state of a new arena that is not zero. */
export function startSupervised({ candidates, priors, rehearsal, lastTargets }: Supervised): void {
  startCandidates(candidates);
  startPriors(priors);
  startRehearsal(rehearsal);
  lastTargets.fill(NaN);
}

/**
 * All candidates answer to the sample that `inputs` has made, and it begins to wait for its label.
 * @param row number of the row it was made at
 */
export function predictSample(model: Supervised, inputs: Inputs, row: number, timeUs: number): void {
  const { candidates, race, waiting, newest, known } = model;
  standardise(inputs, inputs.raw, 0, candidates.inputs, 0);
  if (predictCandidates(candidates, known) > 0) replaceDiverged(race, candidates, waiting.outputs);
  chooseAnswering(race, candidates);
  newest[NEWEST.answering] = race.state[RACE_STATE.answering];
  const place = pushWaiting(waiting, row, timeUs);
  newest[NEWEST.place] = place;
  newest[NEWEST.isFresh] = 1;
  keepWaiting(model, inputs, place);
}

function keepWaiting({ candidates, waiting, race }: Supervised, { raw }: Inputs, place: number): void {
  const D = raw.length;
  for (let d = 0; d < D; d++) {
    waiting.scaled[place * D + d] = candidates.inputs[d];
    waiting.raw[place * D + d] = raw[d];
  }
  const { outputs } = candidates;
  for (let i = 0; i < outputs.length; i++) waiting.outputs[place * outputs.length + i] = outputs[i];
  setMark(waiting, place, MARK.answering, race.state[RACE_STATE.answering]);
  setMark(waiting, place, MARK.way, race.state[RACE_STATE.way]);
}

/** Brings the sample at a place back into the inputs of the candidates, hidden units and all. */
export function recallSample({ candidates, waiting, newest }: Supervised, place: number): void {
  if (newest[NEWEST.isFresh] === 1 && newest[NEWEST.place] === place) return; // they still have it
  const D = candidates.inputs.length;
  for (let d = 0; d < D; d++) candidates.inputs[d] = waiting.scaled[place * D + d];
  forwardCandidates(candidates);
}

/** One step of every candidate on the sample that was recalled and the targets that were set. */
export function learnSample(model: Supervised): void {
  learnCandidates(model.candidates);
  model.newest[NEWEST.isFresh] = 0;
  model.counts[COUNT.learned] += 1;
}

/** At the end of a sample's turn: scouts may move. */
export function endSample({ race, candidates, waiting }: Supervised): void {
  moveScouts(race, candidates, waiting.outputs);
}

/** The statistics keep the weight of so many rows when drift is answered. */
const ROWS_KEPT = 50;

/** What was learned no longer holds: statistics move faster again, and the networks are less sure. */
export function loosen({ candidates }: Supervised, { scaler }: Inputs): void {
  const { count, m2 } = scaler;
  for (let column = 0; column < count.length; column++) {
    if (!(count[column] > ROWS_KEPT)) continue;
    m2[column] *= ROWS_KEPT / count[column];
    count[column] = ROWS_KEPT;
  }
  const { members } = candidates;
  for (let c = 0; c < members.length; c++) {
    const { kind, network } = members[c];
    if (kind !== 'network' || network === undefined) continue;
    const { weights2, bias2 } = network;
    for (let i = 0; i < weights2.length; i++) weights2[i] = weights2[i] / 2;
    for (let k = 0; k < bias2.length; k++) bias2[k] = bias2[k] / 2;
  }
}
