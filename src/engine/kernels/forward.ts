/** inputs -> hidden -> outputs, one sample or several; loss and delta2. */
import {
  ONE,
  activate,
  exp,
  largerMagnitude,
  storeMinusLog,
  sumOfLanes,
  sumsOfLanes,
  timesDerivative,
} from './vector';
import {
  CROSS_ENTROPY,
  D,
  IDENTITY,
  K,
  P,
  PANEL,
  RELU,
  SIGMOID,
  TANH,
  VECTOR,
  bias1,
  bias2,
  endPanel,
  firstPanel,
  gradientFactor,
  hiddenActivation,
  hiddenMask0,
  hiddenMask1,
  hiddenMask2,
  hiddenMask3,
  loss,
  lossFactor,
  outputActivation,
  outputMask,
  outputVectors,
  probabilities,
  rowStride,
  weights1,
  weights1Stride,
  weights2,
} from './layout';

/** hidden = f(hidden) for the panel at `h`, whose vectors are z0 to z3. */
@inline function storePanel(kind: i32, h: usize, z0: v128, z1: v128, z2: v128, z3: v128): void {
  v128.store(h, activate(kind, z0), 0);
  v128.store(h, activate(kind, z1), 16);
  v128.store(h, activate(kind, z2), 32);
  v128.store(h, activate(kind, z3), 48);
}

/** Activates a panel; units that do not exist become +0. */
@inline export function activatePanel(panel: i32, h: usize, z0: v128, z1: v128, z2: v128, z3: v128): void {
  const kind = hiddenActivation;
  if (kind == SIGMOID) storePanel(SIGMOID, h, z0, z1, z2, z3);
  else if (kind == TANH) storePanel(TANH, h, z0, z1, z2, z3);
  else if (kind == RELU) storePanel(RELU, h, z0, z1, z2, z3);
  else storePanel(IDENTITY, h, z0, z1, z2, z3);
  if (panel == P - 1) maskPanel(h);
}

function maskPanel(h: usize): void {
  v128.store(h, v128.and(v128.load(h, 0), hiddenMask0), 0);
  v128.store(h, v128.and(v128.load(h, 16), hiddenMask1), 16);
  v128.store(h, v128.and(v128.load(h, 32), hiddenMask2), 32);
  v128.store(h, v128.and(v128.load(h, 48), hiddenMask3), 48);
}

/** h = f(W1·x + b1) of one sample; `stride` bytes from panel to panel of h. */
export function forwardHidden(x: usize, h: usize, stride: usize): void {
  h += <usize>firstPanel * stride;
  for (let panel = firstPanel; panel < endPanel; panel++, h += stride) {
    const b = bias1 + <usize>panel * PANEL;
    let w = weights1 + <usize>panel * weights1Stride;
    const end = w + weights1Stride;
    let z0 = v128.load(b, 0);
    let z1 = v128.load(b, 16);
    let z2 = v128.load(b, 32);
    let z3 = v128.load(b, 48);
    for (let from = x; w < end; w += PANEL, from += 4) {
      const value = v128.load32_splat(from);
      z0 = f32x4.add(z0, f32x4.mul(v128.load(w, 0), value));
      z1 = f32x4.add(z1, f32x4.mul(v128.load(w, 16), value));
      z2 = f32x4.add(z2, f32x4.mul(v128.load(w, 32), value));
      z3 = f32x4.add(z3, f32x4.mul(v128.load(w, 48), value));
    }
    activatePanel(panel, h, z0, z1, z2, z3);
  }
}

/** The same for the samples at x and x + 4·D, whose panels lie side by side: every weight is loaded once for both. */
export function forwardHiddenPair(x: usize, h: usize, stride: usize): void {
  const toNext = <usize>D << 2;
  h += <usize>firstPanel * stride;
  for (let panel = firstPanel; panel < endPanel; panel++, h += stride) {
    const b = bias1 + <usize>panel * PANEL;
    let w = weights1 + <usize>panel * weights1Stride;
    const end = w + weights1Stride;
    let y0 = v128.load(b, 0);
    let y1 = v128.load(b, 16);
    let y2 = v128.load(b, 32);
    let y3 = v128.load(b, 48);
    let z0 = y0;
    let z1 = y1;
    let z2 = y2;
    let z3 = y3;
    for (let from = x; w < end; w += PANEL, from += 4) {
      const first = v128.load32_splat(from);
      const second = v128.load32_splat(from + toNext);
      let weight = v128.load(w, 0);
      y0 = f32x4.add(y0, f32x4.mul(weight, first));
      z0 = f32x4.add(z0, f32x4.mul(weight, second));
      weight = v128.load(w, 16);
      y1 = f32x4.add(y1, f32x4.mul(weight, first));
      z1 = f32x4.add(z1, f32x4.mul(weight, second));
      weight = v128.load(w, 32);
      y2 = f32x4.add(y2, f32x4.mul(weight, first));
      z2 = f32x4.add(z2, f32x4.mul(weight, second));
      weight = v128.load(w, 48);
      y3 = f32x4.add(y3, f32x4.mul(weight, first));
      z3 = f32x4.add(z3, f32x4.mul(weight, second));
    }
    activatePanel(panel, h, y0, y1, y2, y3);
    activatePanel(panel, h + PANEL, z0, z1, z2, z3);
  }
}

/** Lane sums of one panel of one row of weights2. */
@inline export function lanesOfPanel(w: usize, h0: v128, h1: v128, h2: v128, h3: v128): v128 {
  const first = f32x4.add(f32x4.mul(v128.load(w, 0), h0), f32x4.mul(v128.load(w, 16), h1));
  const second = f32x4.add(first, f32x4.mul(v128.load(w, 32), h2));
  return f32x4.add(second, f32x4.mul(v128.load(w, 48), h3));
}

/** The four outputs of the rows of weights2 from `w` on, without bias. */
function fourRows(w: usize, hidden: usize, stride: usize): v128 {
  let h = hidden;
  let h0 = v128.load(h, 0);
  let h1 = v128.load(h, 16);
  let h2 = v128.load(h, 32);
  let h3 = v128.load(h, 48);
  const toNext = rowStride;
  let lanes0 = lanesOfPanel(w, h0, h1, h2, h3);
  let lanes1 = lanesOfPanel(w + toNext, h0, h1, h2, h3);
  let lanes2 = lanesOfPanel(w + 2 * toNext, h0, h1, h2, h3);
  let lanes3 = lanesOfPanel(w + 3 * toNext, h0, h1, h2, h3);
  for (const end = w + toNext - PANEL; w < end; ) {
    w += PANEL;
    h += stride;
    h0 = v128.load(h, 0);
    h1 = v128.load(h, 16);
    h2 = v128.load(h, 32);
    h3 = v128.load(h, 48);
    lanes0 = f32x4.add(lanes0, lanesOfPanel(w, h0, h1, h2, h3));
    lanes1 = f32x4.add(lanes1, lanesOfPanel(w + toNext, h0, h1, h2, h3));
    lanes2 = f32x4.add(lanes2, lanesOfPanel(w + 2 * toNext, h0, h1, h2, h3));
    lanes3 = f32x4.add(lanes3, lanesOfPanel(w + 3 * toNext, h0, h1, h2, h3));
  }
  return sumsOfLanes(lanes0, lanes1, lanes2, lanes3);
}

/** Lane sums of one row of weights2. */
@inline function oneRow(row: usize, hidden: usize, stride: usize): v128 {
  let w = row;
  let h = hidden;
  let lanes = lanesOfPanel(w, v128.load(h, 0), v128.load(h, 16), v128.load(h, 32), v128.load(h, 48));
  for (const end = w + rowStride - PANEL; w < end; ) {
    w += PANEL;
    h += stride;
    const ofPanel = lanesOfPanel(w, v128.load(h, 0), v128.load(h, 16), v128.load(h, 32), v128.load(h, 48));
    lanes = f32x4.add(lanes, ofPanel);
  }
  return lanes;
}

/** The last 1 to 3 outputs; the other lanes are +0. */
function lastRows(count: i32, w: usize, h: usize, stride: usize): v128 {
  const none = f32x4.splat(0);
  const lanes0 = oneRow(w, h, stride);
  const lanes1 = count > 1 ? oneRow(w + rowStride, h, stride) : none;
  const lanes2 = count > 2 ? oneRow(w + 2 * rowStride, h, stride) : none;
  return sumsOfLanes(lanes0, lanes1, lanes2, none);
}

/** y = g(W2·h + b2) into `y`; softmax(y) into `probabilities` if the loss needs it. */
export function forwardOutputs(h: usize, stride: usize, y: usize): void {
  let w = weights2;
  let b = bias2;
  let to = y;
  let left = K;
  const kind = outputActivation;
  for (; left >= 4; left -= 4, w += 4 * rowStride, b += VECTOR, to += VECTOR) {
    v128.store(to, activate(kind, f32x4.add(v128.load(b), fourRows(w, h, stride))));
  }
  if (left > 0) {
    const outputs = activate(kind, f32x4.add(v128.load(b), lastRows(left, w, h, stride)));
    v128.store(to, v128.and(outputs, outputMask));
  }
  if (loss == CROSS_ENTROPY) softmax(y);
}

/** Bytes of the lane sums of one panel, of all outputs. */
@inline function lanesStride(): usize {
  return <usize>outputVectors * PANEL;
}

/** Writes down the lane sums of this instance's panels: [P][K padded][4]. */
export function storeLanes(h: usize, lanes: usize): void {
  for (let panel = firstPanel; panel < endPanel; panel++) {
    const at = <usize>panel * PANEL;
    const h0 = v128.load(h + at, 0);
    const h1 = v128.load(h + at, 16);
    const h2 = v128.load(h + at, 32);
    const h3 = v128.load(h + at, 48);
    let w = weights2 + at;
    let to = lanes + <usize>panel * lanesStride();
    for (let k = 0; k < K; k++, w += rowStride, to += VECTOR) v128.store(to, lanesOfPanel(w, h0, h1, h2, h3));
  }
}

/** `forwardOutputs` from the lane sums of all panels, which are added in the same order; `bias` instead of bias2. */
export function forwardOutputsFromLanes(lanes: usize, bias: usize, y: usize): void {
  const kind = outputActivation;
  const last = <usize>(outputVectors - 1) * VECTOR;
  const toNext = lanesStride();
  for (let at: usize = 0; at <= last; at += VECTOR) {
    let from = lanes + 4 * at;
    let lanes0 = v128.load(from, 0);
    let lanes1 = v128.load(from, 16);
    let lanes2 = v128.load(from, 32);
    let lanes3 = v128.load(from, 48);
    for (let panel = 1; panel < P; panel++) {
      from += toNext;
      lanes0 = f32x4.add(lanes0, v128.load(from, 0));
      lanes1 = f32x4.add(lanes1, v128.load(from, 16));
      lanes2 = f32x4.add(lanes2, v128.load(from, 32));
      lanes3 = f32x4.add(lanes3, v128.load(from, 48));
    }
    const z = f32x4.add(v128.load(bias + at), sumsOfLanes(lanes0, lanes1, lanes2, lanes3));
    const outputs = activate(kind, z);
    v128.store(y + at, at == last ? v128.and(outputs, outputMask) : outputs);
  }
  if (loss == CROSS_ENTROPY) softmax(y);
}

/** probabilities = softmax of the logits at `y` */
export function softmax(y: usize): void {
  const last = <usize>(outputVectors - 1) * VECTOR;
  let largest = v128.bitselect(v128.load(y + last), f32x4.splat(-Infinity), outputMask);
  for (let at: usize = 0; at < last; at += VECTOR) largest = f32x4.max(largest, v128.load(y + at));
  largest = f32x4.max(largest, v128.shuffle<f32>(largest, largest, 2, 3, 0, 1));
  largest = f32x4.max(largest, v128.shuffle<f32>(largest, largest, 1, 0, 3, 2));
  let sums = f32x4.splat(0);
  for (let at: usize = 0; at <= last; at += VECTOR) {
    let power = exp(f32x4.sub(v128.load(y + at), largest));
    if (at == last) power = v128.and(power, outputMask);
    v128.store(probabilities + at, power);
    sums = f32x4.add(sums, power);
  }
  const sum = f32x4.splat(sumOfLanes(sums));
  for (let at: usize = 0; at <= last; at += VECTOR) {
    v128.store(probabilities + at, f32x4.div(v128.load(probabilities + at), sum));
  }
  v128.store(probabilities + last, v128.and(v128.load(probabilities + last), outputMask));
}

/**
 * BP1: delta2 and the loss of the outputs `y` (and `probabilities`) against the targets `t`.
 * @returns what `largerMagnitude` gathered of delta2
 */
export function outputDelta(y: usize, t: usize, delta: usize, lossAt: usize): v128 {
  const last = <usize>(outputVectors - 1) * VECTOR;
  const from = loss == CROSS_ENTROPY ? probabilities : y;
  const kind = outputActivation;
  let sums = f32x4.splat(0);
  let largest = i32x4.splat(0);
  for (let at: usize = 0; at <= last; at += VECTOR) {
    const predicted = v128.load(from + at);
    const target = v128.load(t + at);
    let error = f32x4.sub(predicted, target);
    if (at == last) error = v128.and(error, outputMask);
    sums = f32x4.add(sums, lossTerm(predicted, target, error));
    const result = timesDerivative(kind, f32x4.mul(error, gradientFactor), v128.load(y + at));
    v128.store(delta + at, result);
    largest = largerMagnitude(largest, result);
  }
  storeLoss(lossAt, sumOfLanes(sums));
  return largest;
}

/** BP1 of at most four outputs, z2 without bias in four lanes. Overwrites y and the loss. @returns delta2 */
@inline export function smallOutputDelta(z: v128, bias: v128, y: usize, t: usize, lossAt: usize): v128 {
  const kind = outputActivation;
  const outputs = activate(kind, f32x4.add(bias, z));
  v128.store(y, v128.and(outputs, outputMask));
  let predicted = outputs;
  if (loss == CROSS_ENTROPY) {
    softmax(y);
    predicted = v128.load(probabilities);
  }
  const target = v128.load(t);
  const error = v128.and(f32x4.sub(predicted, target), outputMask);
  storeLoss(lossAt, sumOfLanes(lossTerm(predicted, target, error)));
  return timesDerivative(kind, f32x4.mul(error, gradientFactor), outputs);
}

/** What each output adds to the loss: of cross-entropy the likelihood of the target, otherwise the square. */
@inline function lossTerm(predicted: v128, target: v128, error: v128): v128 {
  if (loss == CROSS_ENTROPY) return v128.and(predicted, f32x4.eq(target, ONE));
  return f32x4.mul(error, error);
}

@inline function storeLoss(at: usize, sum: f32): void {
  if (loss == CROSS_ENTROPY) storeMinusLog(at, <f64>sum);
  else store<f32>(at, lossFactor * sum);
}
