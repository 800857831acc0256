/** Steps at a rate of the caller's, and the linear model: as in src/engine/paced.ts. */
import { forwardHidden, outputDelta, softmax } from './forward';
import { hiddenDelta } from './gradient';
import { takeLinearStep, takeStep } from './outer-product';
import { squaredNorm } from './vector';
import {
  CROSS_ENTROPY,
  D,
  P,
  PANEL,
  VECTOR,
  delta1,
  delta2,
  hidden,
  inputs,
  loss,
  lossSlot,
  offsets,
  outputVectors,
  outputs,
  pace,
  step2,
  targets,
} from './layout';

const SQUARED_NORM_MIN: f64 = 1e-12;
/** Places in `pace` after the rate, in bytes. */
const CAPPED: usize = 8;
const ERROR_MAX: usize = 16;

export function learnPaced(): i32 {
  adjustProbabilities();
  outputDelta(outputs, targets, delta2, lossSlot);
  limitError();
  hiddenDelta(hidden, PANEL, delta2, delta1);
  let rate = load<f64>(pace);
  if (load<f64>(pace, CAPPED) != 0) {
    const squared1 = squaredNorm(delta1, P * 16) * (1 + squaredNorm(inputs, D));
    const squared2 = squaredNorm(delta2, outputVectors * 4) * (1 + squaredNorm(hidden, P * 16));
    rate = cappedRate(rate, squared1 + squared2);
  }
  return takeStep(inputs, <f32>rate, 1);
}

@inline function cappedRate(rate: f64, squared: f64): f64 {
  return min<f64>(rate, <f64>load<f32>(lossSlot) / (0.5 * squared + SQUARED_NORM_MIN));
}

function adjustProbabilities(): void {
  if (loss != CROSS_ENTROPY) return;
  const end = <usize>outputVectors * VECTOR;
  for (let at: usize = 0; at < end; at += VECTOR) {
    v128.store(step2 + at, f32x4.add(v128.load(outputs + at), v128.load(offsets + at)));
  }
  softmax(step2);
}

function limitError(): void {
  const errorMax = load<f64>(pace, ERROR_MAX);
  if (errorMax == Infinity) return;
  const norm = sqrt<f64>(squaredNorm(delta2, outputVectors * 4));
  const scale = f32x4.splat(norm > errorMax ? <f32>(errorMax / norm) : 1);
  const end = <usize>outputVectors * VECTOR;
  for (let at: usize = 0; at < end; at += VECTOR) {
    v128.store(delta2 + at, f32x4.mul(v128.load(delta2 + at), scale));
  }
}

export function forwardLinear(): void {
  forwardHidden(inputs, hidden, PANEL);
  if (loss == CROSS_ENTROPY) softmax(hidden);
}

/** `outputs` and `delta2` lie where hidden and delta1 do. */
export function learnLinearPaced(): i32 {
  adjustProbabilities();
  outputDelta(outputs, targets, delta2, lossSlot);
  limitError();
  let rate = load<f64>(pace);
  if (load<f64>(pace, CAPPED) != 0) {
    rate = cappedRate(rate, squaredNorm(delta1, P * 16) * (1 + squaredNorm(inputs, D)));
  }
  return takeLinearStep(inputs, <f32>rate);
}
