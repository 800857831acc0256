/**
 * Where the network lies in the imported memory, and its rule: set once by src/engine/kernels.ts, then constant.
 * One instance serves one network. D inputs, H hidden units in P panels of 16, K outputs in vectors of 4.
 */

/** A panel of 16 hidden units, and a vector of 4 float32, in bytes. */
export const PANEL: usize = 64;
export const VECTOR: usize = 16;

export const IDENTITY: i32 = 0;
export const SIGMOID: i32 = 1;
export const TANH: i32 = 2;
export const RELU: i32 = 3;

/** Of the losses only this one has a shape of its own; the squared ones differ by factors. */
export const CROSS_ENTROPY: i32 = 2;

export const SGD: i32 = 0;
export const MOMENTUM: i32 = 1;
export const ADAM: i32 = 2;

export let D: i32 = 0;
export let H: i32 = 0;
export let K: i32 = 0;
export let P: i32 = 0;
/** The panels that this instance works on: all of them, unless it is one of a team (team.ts). */
export let firstPanel: i32 = 0;
export let endPanel: i32 = 0;
/** Vectors that hold the K outputs. */
export let outputVectors: i32 = 0;

export let hiddenActivation: i32 = 0;
export let outputActivation: i32 = 0;
export let loss: i32 = 0;
/** What the sum of squares and the error are multiplied by. */
export let lossFactor: f32 = 0;
export let gradientFactor: v128 = i32x4.splat(0);

export let optimiser: i32 = 0;
export let learningRate: f32 = 0;
export let momentum: f32 = 0;
export let weightDecay: f32 = 0;
export let clipValue: f32 = 0;
export let clipNorm: f64 = 0;
/** Plain SGD on one sample: the gradient is an outer product, never written down. */
export let outerProduct: bool = false;

/** Where everything begins, in bytes. Shapes: src/engine/network.ts. */
export let weights1: usize = 0;
export let bias1: usize = 0;
export let weights2: usize = 0;
export let bias2: usize = 0;
export let inputs: usize = 0;
export let hidden: usize = 0;
export let outputs: usize = 0;
export let probabilities: usize = 0;
export let targets: usize = 0;
export let offsets: usize = 0;
export let delta1: usize = 0;
export let delta2: usize = 0;
export let step1: usize = 0;
export let step2: usize = 0;
export let lossSlot: usize = 0;
export let pace: usize = 0;
export let parameterBound: usize = 0;
export let gradient: usize = 0;
export let moment1: usize = 0;
export let moment2: usize = 0;
export let momentBounds: usize = 0;
export let biasCorrections: usize = 0;
export let queueInputs: usize = 0;
export let queueTargets: usize = 0;
export let queueOutputs: usize = 0;
export let queueLosses: usize = 0;
export let batchHidden: usize = 0;
export let batchDelta1: usize = 0;
export let batchDelta2: usize = 0;

/** Bytes from one panel to the next in weights1, in a row of weights2 (one sample's hidden), in batchHidden. */
export let weights1Stride: usize = 0;
export let rowStride: usize = 0;
export let batchStride: usize = 0;

/** All bits set for lanes that exist: four vectors of the last panel, and the last vector of outputs. */
export let hiddenMask0: v128 = i32x4.splat(0);
export let hiddenMask1: v128 = i32x4.splat(0);
export let hiddenMask2: v128 = i32x4.splat(0);
export let hiddenMask3: v128 = i32x4.splat(0);
export let outputMask: v128 = i32x4.splat(0);

export function setShape(inputCount: i32, hiddenCount: i32, outputCount: i32, queueSamples: i32): void {
  D = inputCount;
  H = hiddenCount;
  K = outputCount;
  P = (hiddenCount + 15) / 16;
  setPanels(0, P);
  outputVectors = (outputCount + 3) / 4;
  weights1Stride = <usize>D * PANEL;
  rowStride = <usize>P * PANEL;
  batchStride = <usize>queueSamples * PANEL;
  const units = H - (P - 1) * 16;
  hiddenMask0 = firstLanes(units);
  hiddenMask1 = firstLanes(units - 4);
  hiddenMask2 = firstLanes(units - 8);
  hiddenMask3 = firstLanes(units - 12);
  outputMask = firstLanes(K - (outputVectors - 1) * 4);
}

export function setPanels(first: i32, end: i32): void {
  firstPanel = first;
  endPanel = end;
}

function firstLanes(count: i32): v128 {
  return i32x4.gt_s(i32x4.splat(count), i32x4(0, 1, 2, 3));
}

export function setFunctions(
  hiddenKind: i32,
  outputKind: i32,
  lossKind: i32,
  factorOfLoss: f32,
  factorOfGradient: f32,
): void {
  lossFactor = factorOfLoss;
  gradientFactor = f32x4.splat(factorOfGradient);
  hiddenActivation = hiddenKind;
  outputActivation = outputKind;
  loss = lossKind;
}

export function setRule(
  kind: i32,
  isOuterProduct: i32,
  rate: f32,
  momentumFactor: f32,
  decay: f32,
  largestComponent: f32,
  largestNorm: f64,
): void {
  optimiser = kind;
  outerProduct = isOuterProduct != 0;
  learningRate = rate;
  momentum = momentumFactor;
  weightDecay = decay;
  clipValue = largestComponent;
  clipNorm = largestNorm;
}

export function setParameters(weights1At: usize, bias1At: usize, weights2At: usize, bias2At: usize): void {
  weights1 = weights1At;
  bias1 = bias1At;
  weights2 = weights2At;
  bias2 = bias2At;
}

export function setActivations(
  inputsAt: usize,
  hiddenAt: usize,
  outputsAt: usize,
  probabilitiesAt: usize,
  targetsAt: usize,
  offsetsAt: usize,
): void {
  inputs = inputsAt;
  hidden = hiddenAt;
  outputs = outputsAt;
  probabilities = probabilitiesAt;
  targets = targetsAt;
  offsets = offsetsAt;
}

export function setDeltas(
  delta1At: usize,
  delta2At: usize,
  step1At: usize,
  step2At: usize,
  lossAt: usize,
  paceAt: usize,
  parameterBoundAt: usize,
): void {
  delta1 = delta1At;
  delta2 = delta2At;
  step1 = step1At;
  step2 = step2At;
  lossSlot = lossAt;
  pace = paceAt;
  parameterBound = parameterBoundAt;
}

export function setOptimiser(
  gradientAt: usize,
  moment1At: usize,
  moment2At: usize,
  momentBoundsAt: usize,
  biasCorrectionsAt: usize,
): void {
  gradient = gradientAt;
  moment1 = moment1At;
  moment2 = moment2At;
  momentBounds = momentBoundsAt;
  biasCorrections = biasCorrectionsAt;
}

export function setQueue(inputsAt: usize, targetsAt: usize, outputsAt: usize, lossesAt: usize): void {
  queueInputs = inputsAt;
  queueTargets = targetsAt;
  queueOutputs = outputsAt;
  queueLosses = lossesAt;
}

export function setBatch(hiddenAt: usize, delta1At: usize, delta2At: usize): void {
  batchHidden = hiddenAt;
  batchDelta1 = delta1At;
  batchDelta2 = delta2At;
}
