/**
 * Several instances, each on a thread of its own, that take the same steps on the same network: each on its panels of
 * hidden units, each with decisions of its own that are the same everywhere. What has one value for the whole network
 * (bounds, bias corrections, deltas of the outputs) every worker keeps for itself; the leader's lie where they belong.
 *
 *     control   +0 arrived   +128 generation   +256 sleeping   +384 samples, batch
 *     slots     [2][workers] of 128 bytes: two float64. What is 128 bytes apart shares no line of a cache.
 *
 * One worker is a team, too: alone nothing here does anything.
 */
import {
  P,
  VECTOR,
  biasCorrections,
  momentBounds,
  outputVectors,
  parameterBound,
  bias2,
  setPanels,
} from './layout';

const GENERATION: usize = 128;
const SLEEPING: usize = 256;
const SAMPLES: usize = 384;
const BATCH: usize = 388;
const SLOTS: usize = 512;
const SLOT: usize = 128;

/** 7 µs of looking, measured, before a worker sleeps and frees its core. */
const SPINS: i32 = 20_000;

/** No samples but the end. */
const DISMISSED: i32 = -1;

let worker: i32 = 0;
export let workers: i32 = 1;
/** The worker that keeps what there is only one of, and that returns results. */
export let leads: bool = true;

let control: usize = 0;
/** Lane sums of all panels for two samples in turn: [2][P][K padded][4]. */
export let lanes: usize = 0;
/** bias2 of this worker alone. */
export let ownBias2: usize = 0;
/** Of the leader. */
let leaderBound: usize = 0;
let leaderMomentBounds: usize = 0;
let leaderCorrections: usize = 0;

/** Which half of the slots the next agreement uses. */
let half: usize = 0;
/** The larger of each of the two values of all workers, after `agree`. */
export let agreedFirst: f64 = 0;
export let agreedSecond: f64 = 0;

export function setTeam(index: i32, count: i32, controlAt: usize, lanesAt: usize, ownBias2At: usize): void {
  worker = index;
  workers = count;
  leads = index == 0;
  control = controlAt;
  lanes = lanesAt;
  ownBias2 = ownBias2At;
  takeShare();
}

export function setLeader(parameterBoundAt: usize, momentBoundsAt: usize, biasCorrectionsAt: usize): void {
  leaderBound = parameterBoundAt;
  leaderMomentBounds = momentBoundsAt;
  leaderCorrections = biasCorrectionsAt;
}

/** The first of `count` things that are this worker's. */
@inline export function shareFrom(count: i32): i32 {
  return (count * worker) / workers;
}

/** The first of `count` things that are the next worker's. */
@inline export function shareEnd(count: i32): i32 {
  return (count * (worker + 1)) / workers;
}

/** From now on this instance works on its own panels. */
export function takeShare(): void {
  setPanels(shareFrom(P), shareEnd(P));
}

/** Goes on when all workers have come here; what they wrote before can be read after. */
export function meet(): void {
  if (workers == 1) return;
  const generation = atomic.load<i32>(control, GENERATION);
  if (atomic.add<i32>(control, 1) + 1 == workers) {
    atomic.store<i32>(control, 0);
    atomic.store<i32>(control, generation + 1, GENERATION);
    // Who sleeps has said so before looking at the generation for the last time.
    if (atomic.load<i32>(control, SLEEPING) > 0) atomic.notify(control + GENERATION, workers);
    return;
  }
  for (let spin = 0; spin < SPINS; spin++) {
    if (atomic.load<i32>(control, GENERATION) != generation) return;
  }
  atomic.add<i32>(control, 1, SLEEPING);
  while (atomic.load<i32>(control, GENERATION) == generation) {
    atomic.wait<i32>(control + GENERATION, generation, -1);
  }
  atomic.sub<i32>(control, 1, SLEEPING);
}

/**
 * Meets, and finds the largest of what the workers bring: a maximum is the same in any order, NaN if one is. Slots are
 * used in turn: who writes one again has met everybody after they read it.
 */
export function agree(first: f64, second: f64): void {
  agreedFirst = first;
  agreedSecond = second;
  if (workers == 1) return;
  const slots = control + SLOTS + half * <usize>workers * SLOT;
  half = 1 - half;
  const own = slots + <usize>worker * SLOT;
  store<f64>(own, first, 0);
  store<f64>(own, second, 8);
  meet();
  for (let other = 0; other < workers; other++) {
    const at = slots + <usize>other * SLOT;
    agreedFirst = max<f64>(agreedFirst, load<f64>(at, 0));
    agreedSecond = max<f64>(agreedSecond, load<f64>(at, 8));
  }
}

/** Takes over what the leader has changed alone; the leader changes it next after they have met. */
export function followLeader(): void {
  if (leads) return;
  store<f64>(parameterBound, load<f64>(leaderBound));
  v128.store(momentBounds, v128.load(leaderMomentBounds));
  v128.store(biasCorrections, v128.load(leaderCorrections));
}

export function copyBias2(): void {
  if (leads) return;
  const end = <usize>outputVectors * VECTOR;
  for (let at: usize = 0; at < end; at += VECTOR) v128.store(ownBias2 + at, v128.load(bias2 + at));
}

/** The leader's call to all. */
export function call(samples: i32, batch: i32): void {
  store<i32>(control, samples, SAMPLES);
  store<i32>(control, batch, BATCH);
  meet();
}

/** Waits for a call. @returns the samples of it, or DISMISSED */
export function waitForCall(): i32 {
  meet();
  return load<i32>(control, SAMPLES);
}

@inline export function batchOfCall(): i32 {
  return load<i32>(control, BATCH);
}
