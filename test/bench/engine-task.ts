/** Pool task of the engine bench: steps of one shape, timed and metered inside the thread that does them. */
import { ArenaPlan } from '../../src/engine/arena.ts';
import { openKernels } from '../../src/engine/kernels.ts';
import {
  type Network,
  type NetworkConfig,
  initialParameters,
  openNetwork,
  planNetwork,
  writeParameters,
} from '../../src/engine/network.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import { forward, learn } from '../../src/engine/reference.ts';
import { HeapMeter } from '../../src/learn/heap-meter.ts';

export interface EngineTask {
  /** Inputs, hidden units, outputs. */
  readonly shape: readonly [number, number, number];
  /** Steps of one timed repetition. */
  readonly steps: number;
  readonly repetitions: number;
  /** `allocating` is `kernels` with one array made per step: the meter must see it, or its zeros mean nothing. */
  readonly mode: 'kernels' | 'reference' | 'plainJs' | 'allocating';
}

export interface EngineResult {
  readonly usMin: number;
  readonly usMedian: number;
  readonly heapBytesPerStep: number;
  readonly gcEvents: number;
  /** Sum of the output weights: keeps the work alive, and equal runs give equal sums. */
  readonly checksum: number;
}

/** Code is compiled in stages, and the last one comes late: warm up for this long, and a number of steps at least. */
const WARM_UP_MS = 200;
const WARM_UP_STEPS_MIN = 200;

/** Samples that a repetition goes through again and again. */
const SAMPLES = 64;

export function engineBench({ shape, steps, repetitions, mode }: EngineTask): EngineResult {
  const { network, memory } = makeNetwork(shape);
  const samples = makeSamples(shape);
  const run =
    mode === 'plainJs' ? plainRunner(network, samples) : engineRunner(network, memory, samples, mode);
  const untilMs = performance.now() + WARM_UP_MS;
  do run(WARM_UP_STEPS_MIN);
  while (performance.now() < untilMs);
  writeParameters(network, initialParameters(network.config, mulberry32(1))); // equal runs, equal checksums
  const timesUs = new Float64Array(repetitions);
  const meter = new HeapMeter();
  meter.start();
  for (let repetition = 0; repetition < repetitions; repetition++) {
    const beforeMs = performance.now();
    run(steps);
    timesUs[repetition] = ((performance.now() - beforeMs) * 1000) / steps;
  }
  const { allocatedBytes, gcEvents } = meter.stop();
  timesUs.sort();
  return {
    usMin: timesUs[0],
    usMedian: timesUs[repetitions >> 1],
    heapBytesPerStep: allocatedBytes / (steps * repetitions),
    gcEvents,
    checksum: network.weights2.reduce((sum, weight) => sum + weight, 0),
  };
}

function makeNetwork([inputs, hidden, outputs]: EngineTask['shape']): {
  network: Network;
  memory: WebAssembly.Memory;
} {
  const config: NetworkConfig = {
    inputs,
    hidden,
    outputs,
    hiddenActivation: 'sigmoid',
    outputActivation: 'sigmoid',
    loss: 'halfSquared',
    learningRate: 0.01,
  };
  const plan = new ArenaPlan();
  const parts = planNetwork(plan, config);
  const memory = plan.allocate();
  const network = openNetwork(memory.buffer, config, parts);
  writeParameters(network, initialParameters(config, mulberry32(1)));
  return { network, memory };
}

interface Samples {
  /** [SAMPLES x D] */
  readonly inputs: Float32Array;
  /** [SAMPLES x K] */
  readonly targets: Float32Array;
}

function makeSamples([D, , K]: EngineTask['shape']): Samples {
  const random = mulberry32(2);
  return {
    inputs: Float32Array.from({ length: SAMPLES * D }, () => 2 * random() - 1),
    targets: Float32Array.from({ length: SAMPLES * K }, random),
  };
}

type Runner = (steps: number) => void;

/** Where an allocating step leaves its array, so that the compiler cannot leave it out. */
let kept: Float64Array | undefined;

function engineRunner(
  network: Network,
  memory: WebAssembly.Memory,
  samples: Samples,
  mode: EngineTask['mode'],
): Runner {
  const { inputs: D, outputs: K } = network.config;
  const reference = { forward: () => forward(network), learn: () => learn(network) };
  const engine = mode === 'reference' ? reference : openKernels(memory, network);
  const allocating = mode === 'allocating';
  return (steps) => {
    for (let step = 0; step < steps; step++) {
      const sample = step % SAMPLES;
      for (let d = 0; d < D; d++) network.inputs[d] = samples.inputs[sample * D + d];
      for (let k = 0; k < K; k++) network.targets[k] = samples.targets[sample * K + k];
      engine.forward();
      engine.learn();
      if (allocating) kept = new Float64Array(4);
    }
    if (kept !== undefined) kept[0] = steps;
  };
}

/** The peer: what one writes without rules for rounding, row-major, sums in double, `Math.exp`. */
function plainRunner(network: Network, samples: Samples): Runner {
  const { inputs: D, hidden: H, outputs: K } = network.config;
  const { weights1, bias1, weights2, bias2 } = initialParameters(network.config, mulberry32(1));
  const hidden = new Float32Array(H);
  const delta2 = new Float32Array(K);
  const rate = network.config.learningRate;
  return (steps) => {
    for (let step = 0; step < steps; step++) {
      const x = (step % SAMPLES) * D;
      const t = (step % SAMPLES) * K;
      for (let h = 0; h < H; h++) {
        let sum = bias1[h];
        for (let d = 0; d < D; d++) sum += weights1[h * D + d] * samples.inputs[x + d];
        hidden[h] = 1 / (1 + Math.exp(-sum));
      }
      for (let k = 0; k < K; k++) {
        let sum = bias2[k];
        for (let h = 0; h < H; h++) sum += weights2[k * H + h] * hidden[h];
        const y = 1 / (1 + Math.exp(-sum));
        delta2[k] = rate * (y - samples.targets[t + k]) * y * (1 - y);
      }
      for (let h = 0; h < H; h++) {
        let sum = 0;
        for (let k = 0; k < K; k++) {
          sum += weights2[k * H + h] * delta2[k];
          weights2[k * H + h] -= delta2[k] * hidden[h];
        }
        const delta1 = sum * hidden[h] * (1 - hidden[h]);
        for (let d = 0; d < D; d++) weights1[h * D + d] -= delta1 * samples.inputs[x + d];
        bias1[h] -= delta1;
      }
      for (let k = 0; k < K; k++) bias2[k] -= delta2[k];
    }
    network.weights2[0] = weights2[0];
  };
}
