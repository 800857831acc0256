/**
 * The plain autoencoder of the published protocol on a single series: window W -> H -> W, plain SGD, running
 * standardisation of everything seen; the score is the mean squared error before the step.
 */
import { ArenaPlan } from '../../../src/engine/arena.ts';
import { openKernels } from '../../../src/engine/kernels.ts';
import {
  type Activation,
  type NetworkConfig,
  initialParameters,
  openNetwork,
  planNetwork,
  writeParameters,
} from '../../../src/engine/network.ts';
import { mulberry32 } from '../../../src/engine/random.ts';

/** What happens after the first 15 %: it learns on, not at all, or where the score is usual. */
export type NabMode = 'learning' | 'frozen' | 'gated';

export interface NabRun {
  readonly windowRows: number;
  readonly hidden: number;
  readonly activation: Activation;
  readonly rate: number;
  readonly mode: NabMode;
  readonly seed: number;
}

export const NAB_WARM_SHARE = 0.15;
const GATE_QUANTILE = 0.99;
const GATE_FACTOR = 1.5;

/** @returns the score of each row; NaN before the first full window and where it is not finite */
export function scoreNab(values: Float32Array, run: NabRun): Float64Array {
  const { windowRows } = run;
  const config: NetworkConfig = {
    inputs: windowRows,
    hidden: run.hidden,
    outputs: windowRows,
    hiddenActivation: run.activation,
    outputActivation: 'identity',
    loss: 'halfSquared',
    learningRate: run.rate,
  };
  const plan = new ArenaPlan();
  const parts = planNetwork(plan, config);
  const memory = plan.allocate();
  const network = openNetwork(memory.buffer, config, parts);
  const engine = openKernels(memory, network);
  writeParameters(network, initialParameters(config, mulberry32(run.seed)));

  const scores = new Float64Array(values.length).fill(NaN);
  const warmRows = Math.floor(NAB_WARM_SHARE * values.length);
  let gate = Infinity;
  let mean = 0;
  let m2 = 0;
  for (let row = 0; row < values.length; row++) {
    const distance = values[row] - mean;
    mean += distance / (row + 1);
    m2 += distance * (values[row] - mean);
    if (row < windowRows - 1) continue;
    const deviation = Math.sqrt(m2 / (row + 1));
    for (let i = 0; i < windowRows; i++) {
      network.inputs[i] = (values[row - windowRows + 1 + i] - mean) / deviation;
    }
    engine.forward();
    scores[row] = meanSquaredError(network.outputs, network.inputs);
    if (row === warmRows && run.mode === 'gated') gate = gateOf(scores.subarray(windowRows - 1, row));
    if (row >= warmRows && (run.mode === 'frozen' || !(scores[row] <= gate))) continue;
    network.targets.set(network.inputs);
    engine.learn();
  }
  return scores;
}

function meanSquaredError(outputs: Float32Array, inputs: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < inputs.length; i++) sum += (outputs[i] - inputs[i]) ** 2;
  return sum / inputs.length;
}

/** Of the second half of the warm-up. */
function gateOf(warm: Float64Array): number {
  const usual = warm.slice(warm.length >> 1).sort();
  return GATE_FACTOR * usual[Math.floor(GATE_QUANTILE * (usual.length - 1))];
}
