/**
 * What is expected of the next label before its sample is looked at. Networks whose logits are adjusted (rehearsal.ts)
 * say how well a sample fits each class, whatever the classes' frequencies; the answer is the largest of o + prior:
 *
 *     way 0       ln c            all labels that ever came count alike
 *     way 1, 2    ln(q + 10⁻³)    q follows the labels of late: q += rate·(onehot − q), rates 0.01 and 0.1
 *
 * Which way answers best shows in the race: where states last, the label before says much about the next; where they
 * alternate at random it says nothing. With every sample whose label does not come, q falls back toward way 0: what
 * was learned of late about labels ages, what was learned about samples does not.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../engine/arena.ts';
import { log } from '../engine/arithmetic.ts';

/** q's of the ways from 1 on. */
const RATES = [0.01, 0.1] as const;
export const WAYS = 1 + RATES.length;

const SHARE_MIN = 1e-3;

/** Of the way back to the long-run shares with each sample that has no label. */
const AGEING_RATE = 0.05;

type PriorParts = {
  readonly counts: Part<'float64'>;
  readonly total: Part<'float64'>;
  readonly recent: Part<'float64'>;
  readonly logits: Part<'float32'>;
};

export interface Priors extends Views<PriorParts> {
  /** K */
  readonly classes: number;
}

export function planPriors(plan: ArenaPlan, classes: number): PriorParts {
  return {
    counts: plan.float64('priors.counts', classes), //                  c, from 1 up [K]
    total: plan.float64('priors.total', 1), //                          Σ c
    recent: plan.float64('priors.recent', RATES.length * classes), //   q [V − 1][K]
    logits: plan.float32('priors.logits', WAYS * classes), //           [V][K]
  };
}

export function openPriors(buffer: ArrayBufferLike, classes: number, parts: PriorParts): Priors {
  return { ...viewsOf(buffer, parts), classes };
}

/** Sets the shares of a new arena: all alike. */
export function startPriors({ counts, total, recent, classes }: Priors): void {
  counts.fill(1);
  total[0] = classes;
  recent.fill(1 / classes);
}

/** A label has come. */
export function countLabel(priors: Priors, label: number): void {
  const { counts, total, recent, logits, classes: K } = priors;
  counts[label] += 1;
  total[0] += 1;
  logits[label] = log(counts[label]);
  for (let v = 0; v < RATES.length; v++) {
    for (let k = 0; k < K; k++) {
      const at = v * K + k;
      recent[at] += RATES[v] * ((k === label ? 1.0 : 0.0) - recent[at]);
      logits[K + at] = log(recent[at] + SHARE_MIN);
    }
  }
}

/** A sample goes without a label: what is recent grows old. */
export function agePriors({ counts, total, recent, logits, classes: K }: Priors): void {
  for (let v = 0; v < RATES.length; v++) {
    for (let k = 0; k < K; k++) {
      const at = v * K + k;
      recent[at] += AGEING_RATE * (counts[k] / total[0] - recent[at]);
      logits[K + at] = log(recent[at] + SHARE_MIN);
    }
  }
}
