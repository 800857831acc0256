/** The contenders that run in the measuring thread itself: the strict kernels, the reference, plain JavaScript. */
import { ArenaPlan } from '../../../src/engine/arena.ts';
import { openKernels } from '../../../src/engine/kernels.ts';
import { type Network, openNetwork, planNetwork, writeParameters } from '../../../src/engine/network.ts';
import * as reference from '../../../src/engine/reference.ts';
import { plainJs } from './plain-js.ts';
import { type Pass, SAMPLES, type Task } from './task.ts';

export interface Contender {
  /** Learns from, or predicts, all samples so many times. Allocates nothing. */
  run(passes: number): void;
  /** @returns the predictions of all samples, [SAMPLES x K]: what the work has come to, and why none can be left out */
  predict(): ArrayLike<number>;
}

export const LOCAL_CONTENDERS = ['strict', 'reference', 'plainJs'] as const;

export type LocalName = (typeof LOCAL_CONTENDERS)[number];

export function makeLocal(name: LocalName, task: Task, pass: Pass, batch: number): Contender {
  if (name === 'plainJs') return plainJs(task, pass === 'train', batch);
  return overNetwork(name, task, pass, batch);
}

interface Engine {
  forward(): void;
  forwardMany(count: number): void;
  learnMany(count: number, batch: number): void;
}

function overNetwork(name: 'strict' | 'reference', task: Task, pass: Pass, batch: number): Contender {
  const plan = new ArenaPlan();
  const parts = planNetwork(plan, task.config);
  const memory = plan.allocate();
  const network = openNetwork(memory.buffer, task.config, parts);
  const engine = name === 'strict' ? openKernels(memory, network) : referenceOver(network);
  writeParameters(network, task.parameters);
  fillQueue(network, task);
  const once = pass === 'train' ? () => engine.learnMany(SAMPLES, batch) : inferrer(engine, network, batch);
  return {
    run(passes) {
      for (let i = 0; i < passes; i++) once();
    },
    predict() {
      if (pass === 'train') engine.forwardMany(SAMPLES);
      else once();
      return queuePredictions(network);
    },
  };
}

function referenceOver(network: Network): Engine {
  return {
    forward: () => reference.forward(network),
    forwardMany: (count) => reference.forwardMany(network, count),
    learnMany: (count, batch) => reference.learnMany(network, count, batch),
  };
}

/**
 * In a batch all samples are queued for one call. One by one means a call for each, as on a stream, with the copy of
 * the sample into its place and of the outputs out of theirs.
 */
function inferrer(engine: Engine, network: Network, batch: number): () => void {
  if (batch > 1) return () => engine.forwardMany(SAMPLES);
  const { inputs, outputs, queueInputs, queueOutputs } = network;
  const rows = Array.from({ length: SAMPLES }, (_, i) =>
    queueInputs.subarray(i * inputs.length, (i + 1) * inputs.length),
  );
  return () => {
    for (let sample = 0; sample < SAMPLES; sample++) {
      copy(rows[sample], inputs);
      engine.forward();
      for (let k = 0; k < outputs.length; k++) queueOutputs[sample * outputs.length + k] = outputs[k];
    }
  };
}

/** `set` costs a call: for a few values a loop is faster. */
function copy(from: Float32Array, to: Float32Array): void {
  if (from.length > 16) to.set(from);
  else for (let i = 0; i < from.length; i++) to[i] = from[i];
}

function fillQueue(network: Network, { inputs, targets }: Task): void {
  const K = network.config.outputs;
  network.queueInputs.set(inputs);
  for (let sample = 0; sample < SAMPLES; sample++) {
    const row = targets.subarray(sample * K, (sample + 1) * K);
    network.queueTargets.set(row, sample * network.outputsPadded);
  }
}

function queuePredictions({ config, queueOutputs, outputsPadded }: Network): Float32Array {
  const K = config.outputs;
  return Float32Array.from(
    { length: SAMPLES * K },
    (_, i) => queueOutputs[((i / K) | 0) * outputsPadded + (i % K)],
  );
}
