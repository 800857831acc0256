/**
 * Activations and losses of the user's own, given as expressions and differentiated by autodiff.ts:
 *
 *   ownActivation((z) => log(add(1, exp(z))))              softplus
 *   ownLoss((y, t) => abs(sub(y, t)))                      of one output, summed over all
 *   ownLossOfAll(3, (y, t) => ...)                         of three outputs at once: y and t are lists
 *
 * The network below is the reference's, with other functions in it: the same order of operations, the same optimisers,
 * the same skipped steps. f(z), f'(z) and dL/dy are computed in double from float32 values and rounded to float32 once;
 * the loss is summed in double, in order of output, and rounded once.
 *
 * +, -, *, /, sqrt, abs, min and max give the same bits everywhere. An expression with exp, log, sin, cos, tanh or pow
 * calls Math, whose last bit differs between machines: what is learned with it is outside the claim of bit-identity.
 *
 * Where an expression has no slope, or an infinite one, autodiff.ts says what is taken: max(z, 0) has 1/2 at 0, where
 * the built-in relu has 0. A slope that is not finite makes the step a skipped one.
 */
import assert from 'node:assert/strict';
import { EdgeloopError } from '../errors.ts';
import type { ArenaPlan, Part, Views } from './arena.ts';
import { type Expression, Tape, type Variable, isExpression, variable, variablesOf } from './autodiff.ts';
import type { Kernels } from './kernels.ts';
import {
  ACTIVATIONS,
  type Activation,
  LOSSES,
  type Loss,
  type Network,
  type NetworkConfig,
  hiddenPadded,
  outputsPadded,
} from './network.ts';
import * as reference from './reference.ts';

/** f(z). Made by `ownActivation`; any number of networks can have it. */
export interface OwnActivation {
  readonly z: Variable;
  readonly value: Expression;
}

/** L(y, t). Made by `ownLoss` or `ownLossOfAll`; any number of networks can have it. */
export interface OwnLoss {
  /** The outputs that the expression is of: all K, or one if it is summed. */
  readonly y: readonly Variable[];
  readonly t: readonly Variable[];
  /** The loss is the sum of the expression over all outputs. */
  readonly summed: boolean;
  readonly value: Expression;
}

/** A network's config in which own functions may stand for names. */
export interface OwnConfig extends Omit<NetworkConfig, 'hiddenActivation' | 'outputActivation' | 'loss'> {
  readonly hiddenActivation: Activation | OwnActivation;
  readonly outputActivation: Activation | OwnActivation;
  readonly loss: Loss | OwnLoss;
}

/** What stands in for the built-in functions of the network's config. */
export interface OwnFunctions {
  readonly hiddenActivation?: OwnActivation | undefined;
  readonly outputActivation?: OwnActivation | undefined;
  readonly loss?: OwnLoss | undefined;
}

type OwnParts = { readonly sums1: Part<'float32'>; readonly sums2: Part<'float32'> };

/**
 * An activation: an expression of the weighted sum z of one unit.
 * @param of called once, with z; builds the expression from the operations of autodiff.ts
 * @throws EdgeloopError ELOOP_FUNCTION if the result is no expression, or not one of z alone
 */
export function ownActivation(of: (z: Variable) => Expression): OwnActivation {
  const z = variable('z');
  const value = of(z);
  checkVariables('ownActivation', value, [z], []);
  return { z, value };
}

/**
 * A loss that is a sum over the outputs: an expression of one output y and its target t.
 * @param of called once, with y and t
 * @throws EdgeloopError ELOOP_FUNCTION if the result is no expression, has other variables, or is without y
 */
export function ownLoss(of: (y: Variable, t: Variable) => Expression): OwnLoss {
  const [y, t] = [variable('y'), variable('t')];
  const value = of(y, t);
  checkVariables('ownLoss', value, [y], [t]);
  return { y: [y], t: [t], summed: true, value };
}

/**
 * A loss that needs all outputs at once.
 * @param outputs K of the network that it is for
 * @param of      called once, with the outputs y [K] and the targets t [K]
 * @throws EdgeloopError ELOOP_FUNCTION if the result is no expression, has other variables, or is without an output
 */
export function ownLossOfAll(
  outputs: number,
  of: (y: readonly Variable[], t: readonly Variable[]) => Expression,
): OwnLoss {
  const list = (name: string): Variable[] =>
    Array.from({ length: outputs }, (_, k) => variable(`${name}[${k}]`));
  const [y, t] = [list('y'), list('t')];
  const value = of(y, t);
  checkVariables('ownLossOfAll', value, y, t);
  return { y, t, summed: false, value };
}

function names(variables: readonly Variable[]): string {
  return variables.map((each) => each.name).join(', ');
}

/** The value must be an expression with every variable of `needed` and none but these and `allowed`. */
function checkVariables(
  name: string,
  value: unknown,
  needed: readonly Variable[],
  allowed: readonly Variable[],
): void {
  const refuse = (expected: string, got: string, remedy: string): never => {
    throw new EdgeloopError('ELOOP_FUNCTION', `${name}: expected ${expected}, got ${got}. ${remedy}`);
  };
  const of = names([...needed, ...allowed]);
  if (!isExpression(value)) {
    const remedy = 'Use the operations that edgeloop exports, such as mul(2, z), not Math or + - * /.';
    return refuse(`an expression of ${of}`, String(value), remedy);
  }
  const found = variablesOf(value);
  const foreign = found.filter((each) => !needed.includes(each) && !allowed.includes(each));
  if (foreign.length > 0) {
    const got = `another variable (${names(foreign)})`;
    refuse(`no variables but the given ${of}`, got, 'Put in a number, which is a constant.');
  }
  const missing = needed.filter((each) => !found.includes(each));
  if (missing.length === 0) return;
  refuse(
    `an expression with ${names(needed)}`,
    `one without ${names(missing)}`,
    'What a loss or a unit does not depend on is never learned.',
  );
}

/**
 * Takes own functions out of a config.
 * @returns the config of the network below, where built-in functions that are never called or do nothing take their
 *   place, and the own functions, if there are any
 * @throws EdgeloopError ELOOP_FUNCTION if an activation or the loss is neither a name nor an own function; ELOOP_SHAPE
 *   if the loss is for another number of outputs
 */
export function separateFunctions(given: OwnConfig): {
  config: NetworkConfig;
  own: OwnFunctions | undefined;
} {
  const hiddenActivation = ownOf('hiddenActivation', given.hiddenActivation, ACTIVATIONS, 'z');
  const outputActivation = ownOf('outputActivation', given.outputActivation, ACTIVATIONS, 'z');
  const loss = ownOf('loss', given.loss, LOSSES, 'y');
  if (loss && !loss.summed && loss.y.length !== given.outputs) {
    const sizes = `expected one of ${given.outputs} outputs, got one of ${loss.y.length}`;
    throw new EdgeloopError('ELOOP_SHAPE', `loss: ${sizes}. Give ownLossOfAll the network's outputs.`);
  }
  const config = {
    ...given,
    hiddenActivation: hiddenActivation ? 'identity' : (given.hiddenActivation as Activation),
    outputActivation: outputActivation ? 'identity' : (given.outputActivation as Activation),
    loss: loss ? 'halfSquared' : (given.loss as Loss),
  } as const;
  const own =
    hiddenActivation || outputActivation || loss ? { hiddenActivation, outputActivation, loss } : undefined;
  return { config, own };
}

/** The own function that `given` is, known by its key; nothing if it is one of the names. */
function ownOf<Own extends OwnActivation | OwnLoss>(
  option: string,
  given: string | Own,
  builtIn: readonly string[],
  key: 'z' | 'y',
): Own | undefined {
  if (typeof given === 'string' && builtIn.includes(given)) return undefined;
  if (typeof given === 'object' && given !== null && key in given) return given;
  const makers = key === 'z' ? 'ownActivation(...)' : 'ownLoss(...), ownLossOfAll(...)';
  const got = typeof given === 'string' ? given : `${given === null ? null : typeof given}`;
  throw new EdgeloopError(
    'ELOOP_FUNCTION',
    `${option}: expected ${builtIn.join(', ')}, ${makers}, got ${got}.`,
  );
}

/** Adds what own activations remember between `forward` and `learn`: the weighted sums before the activation. */
export function planOwnFunctions(plan: ArenaPlan, own: OwnFunctions, config: NetworkConfig): OwnParts {
  const { hidden: H, outputs: K } = config;
  return {
    sums1: plan.float32('own.sums1', own.hiddenActivation ? hiddenPadded(H) : 0), //  z1 [H]
    sums2: plan.float32('own.sums2', own.outputActivation ? outputsPadded(K) : 0), // z2 [K]
  };
}

/**
 * The network with own functions, behind the face of the kernels. A call allocates nothing.
 * @param network opened with the config that `separateFunctions` leaves
 * @param sums    opened from the parts of `planOwnFunctions`
 */
export function openOwnFunctions(network: Network, own: OwnFunctions, sums: Views<OwnParts>): Kernels {
  const passes = passesOf(own, network.config, sums);
  const capacity = network.config.queueSamples ?? 0;
  return {
    forward() {
      passes.forward(network);
    },
    learn() {
      return reference.learn(network, passes);
    },
    forwardMany(count) {
      if (!(count <= capacity)) assert.fail('more samples than the queue has');
      reference.forwardMany(network, count, passes);
    },
    learnMany(count, batch = 1) {
      if (!(count <= capacity)) assert.fail('more samples than the queue has');
      if (!(batch >= 1)) assert.fail('a batch has at least one sample');
      return reference.learnMany(network, count, batch, passes);
    },
  };
}

type Stage = (network: Network) => void;

/** The reference's passes with a stage put in after each of its own where a function of the user's stands. */
function passesOf(own: OwnFunctions, config: NetworkConfig, sums: Views<OwnParts>): reference.Passes {
  const { hiddenActivation: f, outputActivation: g } = own;
  const [hiddenForward, hiddenBackward] = f ? stagesOf(f, 'hidden', 'delta1', sums.sums1, config.hidden) : [];
  const [outputForward, outputBackward] = g
    ? stagesOf(g, 'outputs', 'delta2', sums.sums2, config.outputs)
    : [];
  const forward = stagesThatAre(
    reference.forwardHidden,
    reference.activateHidden,
    hiddenForward,
    reference.forwardOutputs,
    reference.activateOutputs,
    outputForward,
    config.loss === 'crossEntropy' ? reference.softmax : undefined,
  );
  const builtInLoss = config.loss === 'crossEntropy' ? reference.crossEntropyDelta : reference.squaredDelta;
  const deltas = stagesThatAre(
    own.loss ? lossStageOf(own.loss) : builtInLoss,
    outputBackward,
    reference.hiddenDelta,
    hiddenBackward,
  );
  return {
    forward: (network) => runStages(forward, network),
    deltas: (network) => runStages(deltas, network),
  };
}

function stagesThatAre(...stages: (Stage | undefined)[]): readonly Stage[] {
  return stages.filter((stage) => stage !== undefined);
}

/**
 * One call site for all stages, so that the compiler does not inline them into each other: together they outgrow
 * what it is willing to inline, and the doubles of small functions that are left out are boxed, 60 to 190 bytes a step.
 */
function runStages(stages: readonly Stage[], network: Network): void {
  for (let i = 0; i < stages.length; i++) stages[i](network);
}

/** The stages of one layer: values = f(values) and, on the way back, deltas *= f'. */
function stagesOf(
  { z, value }: OwnActivation,
  values: 'hidden' | 'outputs',
  deltas: 'delta1' | 'delta2',
  sums: Float32Array,
  count: number,
): [Stage, Stage] {
  const tape = new Tape(value, [z]);
  return [
    (network) => applyActivation(tape, network[values], sums, count),
    (network) => multiplyBySlope(tape, network[deltas], sums, count),
  ];
}

function lossStageOf({ y, t, value }: OwnLoss): Stage {
  const tape = new Tape(value, [...y, ...t]);
  return (network) => ownOutputDelta(network, tape, y.length);
}

/** values[i] = f(values[i]) for i < count; what they were goes to `sums`. */
function applyActivation(tape: Tape, values: Float32Array, sums: Float32Array, count: number): void {
  for (let i = 0; i < count; i++) {
    sums[i] = values[i];
    tape.values[0] = values[i];
    tape.forward();
    values[i] = tape.values[tape.output];
  }
}

/** deltas[i] *= f'(sums[i]) for i < count */
function multiplyBySlope(tape: Tape, deltas: Float32Array, sums: Float32Array, count: number): void {
  for (let i = 0; i < count; i++) {
    tape.values[0] = sums[i];
    tape.forward();
    tape.backward();
    deltas[i] = deltas[i] * Math.fround(tape.adjoints[0]);
  }
}

/** BP1 with an own loss: delta2 = dL/dy ⊙ g'(z2) of a built-in g, and the loss. */
function ownOutputDelta(network: Network, tape: Tape, atOnce: number): void {
  const { config, outputs, targets, delta2, loss } = network;
  let sum = 0;
  for (let first = 0; first < config.outputs; first += atOnce) {
    for (let i = 0; i < atOnce; i++) {
      tape.values[i] = outputs[first + i];
      tape.values[atOnce + i] = targets[first + i];
    }
    tape.forward();
    tape.backward();
    sum += tape.values[tape.output];
    for (let k = first; k < first + atOnce; k++) {
      const slope = Math.fround(tape.adjoints[k - first]);
      delta2[k] = slope * reference.derivative(config.outputActivation, outputs[k]);
    }
  }
  loss[0] = sum;
}
