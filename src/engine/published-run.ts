/**
 * The published run of the original Edge Computing Engine, computed again with the matrix and the expressions of
 * this engine: five updates of a 2-2-2 network whose printed output deltas are known to six digits.
 *
 *   D = H = K = 2, input zeros, both biases ones, sigmoid on both layers, loss 0.5·(t - a)², learning rate 0.001.
 *
 * The original multiplies the hidden delta by weights2 where BP2 says weights2ᵀ; both are offered here. The
 * network that edgeloop trains uses weights2ᵀ, an exp of its own and another order of summation, so this file is
 * history reproduced, not the reference. It is outside the claim of bit-identity, since it uses Math.exp (by way
 * of the expressions): six digits are what it promises.
 *
 * Rounding, as the original's code has it:
 * - Values are stored as float32. A draw is computed in double and rounded once.
 * - Products are summed from zero, and the bias is added last.
 * - A hidden activation is computed in double and rounded.
 * - In the output delta a = 1/(1 + 1/exp z) of the float32 z stays double; a - t and a·(1 - a) are each rounded
 *   to float32, then multiplied.
 * - 0.001 x gradient is computed in double and rounded before it is subtracted.
 */
import { add, div, exp, mul, pow, sub, Tape, variable } from './autodiff.ts';
import { Matrix } from './matrix.ts';

/** What multiplies the output delta on its way back: the original's weights2, or the weights2ᵀ of BP2. */
export type HiddenDelta = 'W' | 'Wᵀ';

export interface PublishedRun {
  readonly outputDeltas: readonly Matrix[]; // one per epoch, [2 x 1], from before that epoch's update
  readonly weights1: Matrix; //                [2 x 2], after the last update
}

interface Network {
  weights1: Matrix; // [2 x 2]
  bias1: Matrix; //    [2 x 1]
  weights2: Matrix; // [2 x 2]
  bias2: Matrix; //    [2 x 1]
}

const LEARNING_RATE = 0.001;
const EPOCHS = 5;

const z = variable('z');
const activation = variable('activation');
const target = variable('target');
/** Inputs: z. Output: sigmoid(z); gradient: sigmoid'(z), which is a·(1 - a) to the last bits of a double. */
const sigmoid = new Tape(div(1, add(1, div(1, exp(z)))), [z]);
/** Inputs: activation, target. Gradient by the activation: a - t, exactly. */
const loss = new Tape(mul(0.5, pow(sub(target, activation), 2)), [activation, target]);

/** The five updates, from the start that the original's generator gives. */
export function publishedRun(hiddenDelta: HiddenDelta): PublishedRun {
  const draw = originalGenerator();
  const input = Matrix.zeros(2, 1);
  const label = Matrix.generate(2, 1, draw);
  const network: Network = {
    weights1: Matrix.generate(2, 2, draw),
    bias1: Matrix.ones(2, 1),
    weights2: Matrix.generate(2, 2, draw),
    bias2: Matrix.ones(2, 1),
  };
  const outputDeltas: Matrix[] = [];
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    outputDeltas.push(update(network, input, label, hiddenDelta));
  }
  return { outputDeltas, weights1: network.weights1 };
}

/** One forward pass, one backward pass, one step of SGD. Returns delta2 [2 x 1] from before the step. */
function update(network: Network, input: Matrix, label: Matrix, hiddenDelta: HiddenDelta): Matrix {
  const { weights1, bias1, weights2, bias2 } = network;
  // z1 = W1·x + b1, h = f(z1), z2 = W2·h + b2
  const z1 = weights1.matmul(input).add(bias1);
  const hidden = map(z1, sigmoidOf);
  const z2 = weights2.matmul(hidden).add(bias2);
  // BP1: delta2 = dL/da ⊙ f'(z2)
  const delta2 = lossSlope(z2, label).hadamard(map(z2, sigmoidSlopeOf));
  // BP2: delta1 = (W2ᵀ·delta2) ⊙ f'(z1), or with W2 as the original has it
  const backwards = hiddenDelta === 'W' ? weights2 : weights2.transpose();
  const delta1 = backwards.matmul(delta2).hadamard(map(z1, sigmoidSlopeOf));
  // BP3: dL/dW2 = delta2·hᵀ, dL/dW1 = delta1·xᵀ; BP4: dL/db = delta
  network.weights2 = descend(weights2, delta2.matmul(hidden.transpose()));
  network.bias2 = descend(bias2, delta2);
  network.weights1 = descend(weights1, delta1.matmul(input.transpose()));
  network.bias1 = descend(bias1, delta1);
  return delta2;
}

function descend(parameters: Matrix, gradients: Matrix): Matrix {
  return parameters.subtract(gradients.scale(LEARNING_RATE));
}

/** x <- 16807·x mod (2^31 - 1), starting at 1; draws from -1 to 1.9999 by 0.0001. */
function originalGenerator(): () => number {
  let x = 1;
  return () => {
    x = (16807 * x) % 2147483647; // below 2^46: exact in a double
    return (x % 30000) * 0.0001 - 1;
  };
}

function sigmoidOf(at: number): number {
  sigmoid.values[0] = at;
  sigmoid.forward();
  return sigmoid.values[sigmoid.output];
}

function sigmoidSlopeOf(at: number): number {
  sigmoidOf(at);
  sigmoid.backward();
  return sigmoid.adjoints[0];
}

/** dL/da at a = sigmoid(z2), which is kept in double: [K x 1] */
function lossSlope(z2: Matrix, label: Matrix): Matrix {
  return map(z2, (at, index) => {
    loss.values[0] = sigmoidOf(at);
    loss.values[1] = label.data[index];
    loss.forward();
    loss.backward();
    return loss.adjoints[0];
  });
}

/** f of every element, computed in double and rounded to float32. */
function map(matrix: Matrix, f: (value: number, index: number) => number): Matrix {
  return new Matrix(matrix.rows, matrix.cols, matrix.data.map(f));
}
