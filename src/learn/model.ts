/**
 * A model: everything that learns from one stream, in one arena, and nothing else. A pure function of the records: no
 * clock, no randomness but generators in the arena, no memory but the arena, so that a copy of it goes on exactly as the
 * original, and a journal of records gives it back.
 *
 *     record ──> row      ──> stream/inputs ──> supervised (classify, regress, forecast) or anomaly ──> answer
 *            ──> gap, label, freeze, relearn: what the rows after it mean
 */
import { ArenaPlan, type Part, type Views, viewsOf } from '../engine/arena.ts';
import { FREEZE, NO_LABEL, RECORD } from '../stream/ring.ts';
import {
  type Inputs,
  type InputsConfig,
  breakWindow,
  inputCount,
  openInputs,
  planInputs,
  takeLabel,
  takeRow as takeInputRow,
} from '../stream/inputs.ts';
import { freezeScaler, thawScaler } from '../stream/scaler.ts';
import { type EngineOf, kernelEngine } from './candidates.ts';
import {
  ANSWER,
  type Anomaly,
  type AnomalyConfig,
  type AnomalyEngine,
  PHASE,
  breakAnomaly,
  engineOf as anomalyEngineOf,
  holdAnomaly,
  openAnomaly,
  planAnomaly,
  relearn,
  takeAnomalyRow,
} from './anomaly.ts';
import { answerClass, takeClass } from './classify.ts';
import { answerNumbers, takeNumbers } from './numbers.ts';
import { endRace } from './race.ts';
import {
  ANOMALY,
  type Detection,
  markDetectionGap,
  openDetection,
  planDetection,
  scoreAnomaly,
} from './scores/detection.ts';
import { markClassGap } from './scores/classification.ts';
import {
  NEWEST,
  type Supervised,
  type SupervisedConfig,
  openSupervised,
  planSupervised,
  startSupervised,
} from './supervised.ts';
import { forgetWaiting } from './waiting.ts';

export type ModelConfig =
  | { readonly kind: 'supervised'; readonly inputs: InputsConfig; readonly supervised: SupervisedConfig }
  | { readonly kind: 'anomaly'; readonly anomaly: AnomalyConfig };

/** Slots of the counters, all float64. */
export const MODEL_COUNT = {
  /** Rows taken. */
  rows: 0,
  /** Samples made of them, and so answers. */
  samples: 1,
  /** Gaps in the stream, and rows known to be lost in them. */
  gaps: 2,
  rowsLost: 3,
  /** Labels given from outside, and corrections asked for. */
  labelsSet: 4,
  undone: 5,
} as const;
const COUNT_SLOTS = 6;

/** The standing label + 1 (0: none), what is frozen, and the sequence number of the record taken last. */
const STATE = { label: 0, frozen: 1, sequenceLow: 2, sequenceHigh: 3 } as const;

type OwnParts = {
  readonly counts: Part<'float64'>;
  readonly state: Part<'int32'>;
};

type SampleLearner = {
  readonly kind: 'supervised';
  readonly inputs: Inputs;
  readonly supervised: Supervised;
};

/** A detector, with scores for streams that say which rows were anomalies. */
interface Guard {
  readonly kind: 'anomaly';
  readonly detector: Anomaly;
  readonly engine: AnomalyEngine;
  readonly detection: Detection;
}

interface ModelParts {
  readonly own: OwnParts;
  readonly inputs: ReturnType<typeof planInputs> | undefined;
  readonly supervised: ReturnType<typeof planSupervised> | undefined;
  readonly anomaly: ReturnType<typeof planAnomaly> | undefined;
  readonly detection: ReturnType<typeof planDetection> | undefined;
}

export interface ModelPlan {
  readonly config: ModelConfig;
  readonly arena: ArenaPlan;
  readonly parts: ModelParts;
}

export interface Model extends Views<OwnParts> {
  readonly config: ModelConfig;
  /** The whole arena: a copy of these bytes is a copy of the model. */
  readonly bytes: Uint8Array;
  readonly learner: SampleLearner | Guard;
}

/** Values of a row in the ring. */
export function columnsOf(config: ModelConfig): number {
  return config.kind === 'anomaly' ? config.anomaly.columns : config.inputs.columns;
}

/** Numbers of an answer: the probability of its class; predicted values; score and threshold. */
export function numbersOf(config: ModelConfig): number {
  if (config.kind === 'anomaly') return 2;
  return config.supervised.task === 'classify' ? 1 : config.supervised.outputs;
}

/** Says what a model will take before anything is taken: `plan.arena.sizeBytes`. */
export function planModel(config: ModelConfig): ModelPlan {
  const arena = new ArenaPlan();
  const own = {
    counts: arena.float64('model.counts', COUNT_SLOTS),
    state: arena.int32('model.state', 4),
  };
  const none = { inputs: undefined, supervised: undefined, anomaly: undefined, detection: undefined };
  if (config.kind === 'anomaly') {
    const anomaly = planAnomaly(arena, config.anomaly);
    return { config, arena, parts: { ...none, own, anomaly, detection: planDetection(arena) } };
  }
  const inputs = planInputs(arena, config.inputs);
  const supervised = planSupervised(arena, config.supervised, inputCount(config.inputs));
  return { config, arena, parts: { ...none, own, inputs, supervised } };
}

/** Lays a model over an arena taken from its plan (or a copy of one), whose content it leaves as it is. */
export function openModel(
  plan: ModelPlan,
  memory: WebAssembly.Memory,
  engineOf: EngineOf = kernelEngine,
): Model {
  const own = viewsOf(memory.buffer, plan.parts.own);
  const bytes = new Uint8Array(memory.buffer, 0, plan.arena.sizeBytes);
  return { ...own, config: plan.config, bytes, learner: openModelLearner(plan, memory, engineOf) };
}

function openModelLearner(
  { config, parts }: ModelPlan,
  memory: WebAssembly.Memory,
  engineOf: EngineOf,
): SampleLearner | Guard {
  const { buffer } = memory;
  if (config.kind === 'anomaly') {
    const detector = openAnomaly(buffer, config.anomaly, parts.anomaly!);
    return {
      kind: 'anomaly',
      detector,
      engine: anomalyEngineOf(detector, engineOf(memory, detector.network, false)),
      detection: openDetection(buffer, parts.detection!),
    };
  }
  const D = inputCount(config.inputs);
  return {
    kind: 'supervised',
    inputs: openInputs(buffer, config.inputs, parts.inputs!),
    supervised: openSupervised(memory, config.supervised, D, parts.supervised!, engineOf),
  };
}

/** Makes a new arena the start of a model: initial weights, nothing seen. */
export function startModel({ learner }: Model): void {
  if (learner.kind === 'anomaly') relearn(learner.detector);
  else startSupervised(learner.supervised);
}

/**
 * Takes one record; the values of a row lie at values[first ..].
 * @param low  low word of its sequence number
 * @param high high word
 * @returns 1 if there is a new answer, else 0
 */
export function takeRecord(
  model: Model,
  kind: number,
  datum: number,
  low: number,
  high: number,
  timeUs: number,
  values: Float32Array,
  first: number,
): number {
  const { state } = model;
  state[STATE.sequenceLow] = low;
  state[STATE.sequenceHigh] = high;
  if (kind === RECORD.row) return takeRow(model, values, first, datum, timeUs);
  if (kind === RECORD.gap) takeGap(model, datum);
  else if (kind === RECORD.label) setLabel(model, datum);
  else if (kind === RECORD.freeze) freeze(model, datum);
  else if (kind === RECORD.relearn && model.learner.kind === 'anomaly') relearn(model.learner.detector);
  else if (kind === RECORD.undo) model.counts[MODEL_COUNT.undone] += 1;
  return 0;
}

function takeRow(model: Model, values: Float32Array, first: number, datum: number, timeUs: number): number {
  const { counts, state, learner } = model;
  const row = counts[MODEL_COUNT.rows];
  counts[MODEL_COUNT.rows] = row + 1;
  const label = datum === NO_LABEL ? state[STATE.label] - 1 : datum;
  let isSample = 1;
  if (learner.kind === 'anomaly') guardRow(learner, label, values, first, timeUs);
  else {
    const isFrozen = state[STATE.frozen] & FREEZE.network ? 1 : 0;
    isSample = sampleRow(learner, label, values, first, row, timeUs, isFrozen);
  }
  counts[MODEL_COUNT.samples] += isSample;
  return isSample;
}

/** Class 0 of a detector's stream is "usual", every other an anomaly. */
function guardRow(
  { detector, engine, detection }: Guard,
  label: number,
  values: Float32Array,
  first: number,
  timeUs: number,
): void {
  takeAnomalyRow(detector, engine, values, first);
  const { answer } = detector;
  if (answer[ANSWER.phase] !== PHASE.guard) return;
  const isAnomaly = label === NO_LABEL ? ANOMALY.unknown : Math.min(label, ANOMALY.yes);
  scoreAnomaly(detection, answer[ANSWER.score], answer[ANSWER.alarm], isAnomaly, timeUs);
}

function sampleRow(
  learner: SampleLearner,
  label: number,
  values: Float32Array,
  first: number,
  row: number,
  timeUs: number,
  isFrozen: number,
): number {
  const { inputs, supervised } = learner;
  takeLabel(inputs, label);
  const isSample = takeInputRow(inputs, values, first);
  // A label of an earlier sample is taken before this row is answered.
  if (supervised.isLate) learn(learner, label, values, first, row, timeUs, isFrozen);
  if (isSample === 1) {
    if (supervised.classes === undefined) answerNumbers(supervised, inputs, values, first, row, timeUs);
    else answerClass(supervised, inputs, row, timeUs);
  }
  if (!supervised.isLate) learn(learner, label, values, first, row, timeUs, isFrozen);
  return isSample;
}

function learn(
  { supervised, inputs }: SampleLearner,
  label: number,
  values: Float32Array,
  first: number,
  row: number,
  timeUs: number,
  isFrozen: number,
): void {
  if (supervised.classes === undefined) takeNumbers(supervised, values, first, row, timeUs, isFrozen);
  else if (label !== NO_LABEL) takeClass(supervised, inputs, label, row, timeUs, isFrozen);
}

/** What follows is not the row after what came before. */
function takeGap({ counts, learner }: Model, rowsLost: number): void {
  counts[MODEL_COUNT.gaps] += 1;
  counts[MODEL_COUNT.rowsLost] += rowsLost;
  if (learner.kind === 'anomaly') {
    breakAnomaly(learner.detector);
    markDetectionGap(learner.detection);
    return;
  }
  const { inputs, supervised } = learner;
  breakWindow(inputs);
  // By time it is still known which sample a label is of.
  if (supervised.config.delayUs === 0) forgetWaiting(supervised.waiting);
  if (supervised.classes !== undefined) markClassGap(supervised.classes);
  supervised.lastTargets.fill(NaN);
}

function setLabel({ counts, state }: Model, label: number): void {
  counts[MODEL_COUNT.labelsSet] += 1;
  state[STATE.label] = label + 1;
}

/** @param what a sum of FREEZE: this stands still from now on, the rest moves */
function freeze({ state, learner }: Model, what: number): void {
  const before = state[STATE.frozen];
  state[STATE.frozen] = what;
  if (learner.kind === 'anomaly') {
    holdAnomaly(learner.detector, what & FREEZE.network ? 1 : 0, what & FREEZE.scaler ? 1 : 0);
    return;
  }
  const { inputs, supervised } = learner;
  if (what & FREEZE.scaler) freezeScaler(inputs.scaler);
  else if (before & FREEZE.scaler) thawScaler(inputs.scaler);
  const ended = (what & FREEZE.winner) !== 0;
  if (ended !== ((before & FREEZE.winner) !== 0)) endRace(supervised.race, supervised.candidates, ended);
}

/** The newest answer's class, or −1 where there are none; of a detector 1 in an alarm. */
export function answeredClass({ learner }: Model): number {
  if (learner.kind === 'anomaly') return learner.detector.answer[ANSWER.alarm];
  return learner.supervised.classes === undefined ? -1 : learner.supervised.newest[NEWEST.class];
}

/** The newest answer's numbers, as many as `numbersOf` says and more. */
export function answeredNumbers({ learner }: Model): Float64Array {
  return learner.kind === 'anomaly' ? learner.detector.answer : learner.supervised.numbers;
}

/** What is frozen: a sum of FREEZE. */
export function frozenOf({ state }: Model): number {
  return state[STATE.frozen];
}

/** The label that rows without one of their own have, or NO_LABEL. */
export function standingLabel({ state }: Model): number {
  return state[STATE.label] - 1;
}

/** Byte in the arena where that number stands: two u32, low first. */
export function sequenceOffset({ parts }: ModelPlan): number {
  return parts.own.state.offset + 4 * STATE.sequenceLow;
}

/** Sequence number of the record taken last; exact up to 2^53. */
export function lastSequence({ state }: Model): number {
  return state[STATE.sequenceHigh] * 4_294_967_296 + (state[STATE.sequenceLow] >>> 0);
}
