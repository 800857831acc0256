/**
 * The weight file of a model that was trained offline: the tensors that every weight file has, and for numbers the
 * statistics of the targets. There is no arena of a live model in it. Layout: FORMAT.md, "Weight file".
 */
import { type Network, readParameters } from '../engine/network.ts';
import { replaceFile } from './replace-file.ts';
import { type Tensor, encodeSafetensors } from './safetensors.ts';

/** Statistics by which values are standardised: of each column [columns]. */
export interface Statistics {
  readonly count: Float64Array;
  readonly mean: Float64Array;
  readonly m2: Float64Array;
}

export interface TrainedModel {
  readonly network: Network;
  readonly inputNames: readonly string[];
  readonly scaler: Statistics;
  /** In order; empty for numbers. */
  readonly classes: readonly string[];
  /** Of numbers: names of the outputs in order, and their statistics [K]. */
  readonly targets?: { readonly names: readonly string[]; readonly statistics: Statistics };
  /** Samples learned, over all epochs. */
  readonly learned: number;
}

/**
 * Writes the file; on return it is whole and on the disk.
 * @throws EdgeloopError ELOOP_STORE
 */
export function saveTrainedModel(path: string, model: TrainedModel): Promise<void> {
  const { network, inputNames, scaler, classes, targets, learned } = model;
  const { inputs: D, hidden: H, outputs: K, hiddenActivation, outputActivation, loss } = network.config;
  const { weights1, bias1, weights2, bias2 } = readParameters(network);
  const tensors = new Map<string, Tensor>([
    ['layer1.weight', { shape: [H, D], data: weights1 }],
    ['layer1.bias', { shape: [H], data: bias1 }],
    ['layer2.weight', { shape: [K, H], data: weights2 }],
    ['layer2.bias', { shape: [K], data: bias2 }],
    ...statisticsTensors('scaler', scaler),
    ...(targets === undefined ? [] : statisticsTensors('target', targets.statistics)),
  ]);
  const metadata = {
    'edgeloop.format': '1',
    'edgeloop.arithmetic': '1',
    'edgeloop.config': JSON.stringify({ inputs: inputNames, hiddenActivation, outputActivation, loss }),
    'edgeloop.classes': JSON.stringify(classes),
    'edgeloop.learned': String(learned),
    ...(targets === undefined ? {} : { 'edgeloop.targets': JSON.stringify(targets.names) }),
  };
  return replaceFile(path, encodeSafetensors({ tensors, metadata }));
}

function statisticsTensors(name: string, { count, mean, m2 }: Statistics): [string, Tensor][] {
  const shape = [count.length];
  return [
    [`${name}.count`, { shape, data: count.slice() }],
    [`${name}.mean`, { shape, data: mean.slice() }],
    [`${name}.m2`, { shape, data: m2.slice() }],
  ];
}
