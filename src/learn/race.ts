/**
 * Learning without tuning: the candidates race on the same records, the best so far answers, and scouts look for a
 * better rate beside the best network's.
 *
 * - Fading loss of each candidate, S <- 0.9995·S + loss, of what it had said before it saw the label: 0 or 1 of
 *   classes, the squared error of standardised numbers.
 * - Before a prediction the one with the smallest S takes over, if it is strictly smaller than the present one's.
 * - Every 250 learned samples scouts other than the best network b copy b's weights, S a touch more than b's, and
 *   take a rate beside b's. The anchors keep their rates, so that a stream that turns restless finds a high rate alive.
 *
 * A candidate may answer in several ways (classify: with what it expects of the next label); each way has an S of its
 * own, and the candidate's is the smallest of them.
 *
 * All choices are made at fixed places of the stream, so they are the same everywhere.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../engine/arena.ts';
import { PACE } from '../engine/network.ts';
import { type CandidateConfig, type Candidates, FAILURES, copyWeights, hasDiverged } from './candidates.ts';

const FADING = 0.9995;
const EXCHANGE_EVERY = 250;
const RATE_MIN = 1e-4;
const RATE_MAX = 1;
/** A copy is as good as what it was copied from, and must not take over from it by that. */
const COPIED = 1 + 1e-6;
/** One that replaces a network which has diverged has to prove itself a little more. */
const REPLACED = 1.01;

const LINEAR: CandidateConfig = { kind: 'linear', rate: 0.03, scout: false, answers: true };
const NULL: CandidateConfig = { kind: 'null', rate: 0, scout: false, answers: true };

function network(rate: number, scout: boolean): CandidateConfig {
  return { kind: 'network', rate, scout, answers: true };
}

/** `full`: two anchors and two scouts; `cheap`: three fixed rates. Both with the linear and the null model. */
export const RACES = {
  full: [
    network(0.0316, false),
    network(0.1, false),
    network(0.0158, true),
    network(0.0316, true),
    LINEAR,
    NULL,
  ],
  cheap: [network(0.0056, false), network(0.0316, false), network(0.178, false), LINEAR, NULL],
} as const satisfies Record<string, readonly CandidateConfig[]>;

/** One network at a rate of the user's, beside a linear model and the null model that never answer. */
export function withoutRace(rate: number): readonly CandidateConfig[] {
  return [network(rate, false), { ...LINEAR, answers: false }, { ...NULL, answers: false }];
}

type RaceParts = {
  /** S [C][V] */
  readonly sums: Part<'float64'>;
  /** The smallest S of each candidate, scratch [C]. */
  readonly smallest: Part<'float64'>;
  /** [samples learned, times the answering candidate changed] */
  readonly counts: Part<'float64'>;
  /** See RACE_STATE. */
  readonly state: Part<'int32'>;
};

export const RACE_COUNT = { learned: 0, changes: 1 } as const;
/** Which candidate answers and in which way, and 1 when the race has ended. */
export const RACE_STATE = { answering: 0, way: 1, ended: 2 } as const;

export interface Race extends Views<RaceParts> {
  /** V */
  readonly ways: number;
}

/** @param ways V, in which every candidate may answer */
export function planRace(plan: ArenaPlan, candidates: number, ways: number): RaceParts {
  return {
    sums: plan.float64('race.sums', candidates * ways), // [C][V]
    smallest: plan.float64('race.smallest', candidates), // [C]
    counts: plan.float64('race.counts', 2),
    state: plan.int32('race.state', 3),
  };
}

export function openRace(buffer: ArrayBufferLike, parts: RaceParts, ways: number): Race {
  return { ...viewsOf(buffer, parts), ways };
}

/** Who answers next, and how: into `state`. */
export function chooseAnswering({ sums, counts, state, ways }: Race, { members }: Candidates): void {
  if (state[RACE_STATE.ended] === 1) return;
  const present = state[RACE_STATE.answering] * ways + state[RACE_STATE.way];
  let best = present;
  for (let c = 0; c < members.length; c++) {
    if (!members[c].answers) continue;
    const waysOfIt = members[c].kind === 'null' ? 1 : ways;
    for (let v = 0; v < waysOfIt; v++) if (sums[c * ways + v] < sums[best]) best = c * ways + v;
  }
  if (best === present) return;
  counts[RACE_COUNT.changes] += 1;
  state[RACE_STATE.way] = best % ways;
  state[RACE_STATE.answering] = (best - (best % ways)) / ways;
}

/** @param losses [C][V], of what each candidate had said to the sample whose label is now known */
export function takeLosses({ sums }: Race, losses: Float64Array): void {
  for (let i = 0; i < sums.length; i++) sums[i] = FADING * sums[i] + losses[i];
}

/** The smallest S of every candidate, into `smallest`. */
function writeSmallest({ sums, smallest, ways }: Race): void {
  for (let c = 0; c < smallest.length; c++) {
    smallest[c] = sums[c * ways];
    for (let v = 1; v < ways; v++) smallest[c] = Math.min(smallest[c], sums[c * ways + v]);
  }
}

function copySums({ sums, ways }: Race, from: number, to: number, factor: number): void {
  for (let v = 0; v < ways; v++) sums[to * ways + v] = sums[from * ways + v] * factor;
}

/**
 * Counts a learned sample and every now and then has the scouts move on.
 * @param waiting what the candidates said to samples that wait for their label, [samples][C][K]: copied, too
 */
export function moveScouts(race: Race, candidates: Candidates, waiting: Float32Array): void {
  const { counts, state } = race;
  counts[RACE_COUNT.learned] += 1;
  if (state[RACE_STATE.ended] === 1 || counts[RACE_COUNT.learned] % EXCHANGE_EVERY !== 0) return;
  const best = bestNetwork(race, candidates, -1);
  const odd = (counts[RACE_COUNT.learned] / EXCHANGE_EVERY) % 2 === 1;
  const { members } = candidates;
  const bestRate = rateOf(candidates, best);
  let scouts = 0;
  for (let c = 0; c < members.length; c++) {
    if (!members[c].scout || c === best) continue;
    // Beside an anchor one scout goes up and the other down; beside a scout the other goes down and up in turn.
    const up = members[best].scout ? !odd : scouts === 0;
    copyCandidate(candidates, best, c, waiting);
    copySums(race, best, c, COPIED);
    setRate(candidates, c, neighbourOf(bestRate, up));
    scouts += 1;
  }
}

function rateOf({ members }: Candidates, candidate: number): number {
  return members[candidate].network!.pace[PACE.rate];
}

function setRate({ members }: Candidates, candidate: number, rate: number): void {
  members[candidate].network!.pace[PACE.rate] = rate;
}

/** Twice the rate, or half of it; at the end of the range the other. */
function neighbourOf(rate: number, up: boolean): number {
  const wanted = up ? 2 * rate : rate / 2;
  if (wanted > RATE_MAX) return rate / 2;
  if (wanted < RATE_MIN) return 2 * rate;
  return wanted;
}

/** The network with the smallest S, the first of equals. @param but not this one @returns −1 if there is none alive */
function bestNetwork(race: Race, candidates: Candidates, but: number): number {
  const { members } = candidates;
  const { smallest } = race;
  writeSmallest(race);
  let best = -1;
  for (let c = 0; c < members.length; c++) {
    if (members[c].kind !== 'network' || c === but) continue;
    if (but >= 0 && hasDiverged(candidates, c)) continue;
    if (best < 0 || smallest[c] < smallest[best]) best = c;
  }
  return best;
}

/** The network that answers, or the best one while the linear or the null model does. @returns which candidate */
export function leadingNetwork(race: Race, candidates: Candidates): number {
  const answering = race.state[RACE_STATE.answering];
  return candidates.members[answering].kind === 'network' ? answering : bestNetwork(race, candidates, -1);
}

/** What has diverged is replaced by the best network that has not, and keeps its rate. */
export function replaceDiverged(race: Race, candidates: Candidates, waiting: Float32Array): void {
  const { members, active, failures, outputs, config } = candidates;
  const K = config.outputs;
  for (let c = 0; c < members.length; c++) {
    const { network: own, kind } = members[c];
    if (own === undefined || active[c] === 0 || !hasDiverged(candidates, c)) continue;
    failures[FAILURES.replaced] += 1;
    if (kind === 'linear') {
      own.parameters.fill(0);
      own.parameterBound[0] = 1;
      outputs.fill(0, c * K, (c + 1) * K);
      continue;
    }
    const best = bestNetwork(race, candidates, c);
    copyCandidate(candidates, best, c, waiting);
    if (best < 0) outputs.fill(0, c * K, (c + 1) * K);
    else {
      copySums(race, best, c, REPLACED);
      for (let k = 0; k < K; k++) outputs[c * K + k] = outputs[best * K + k];
    }
  }
}

function copyCandidate(candidates: Candidates, from: number, to: number, waiting: Float32Array): void {
  copyWeights(candidates, from, to);
  if (from < 0) return;
  const { members, config } = candidates;
  const K = config.outputs;
  const stride = members.length * K;
  for (let first = 0; first < waiting.length; first += stride) {
    for (let k = 0; k < K; k++) waiting[first + to * K + k] = waiting[first + from * K + k];
  }
}

/** Ends the race: who answers now goes on alone, beside the linear model; or takes it up again. */
export function endRace({ state }: Race, { members, active }: Candidates, ended: boolean): void {
  state[RACE_STATE.ended] = ended ? 1 : 0;
  for (let c = 0; c < members.length; c++) {
    if (members[c].kind !== 'network') continue;
    active[c] = ended && c !== state[RACE_STATE.answering] ? 0 : 1;
  }
}
