/**
 * Scalar automatic differentiation in reverse mode. An expression is a graph of plain nodes, built once:
 *
 *   const z = variable('z', 0.5);
 *   const sigmoid = div(1, add(1, exp(sub(0, z))));
 *   evaluate(sigmoid);    // 0.622...
 *   gradient(sigmoid, z); // 0.235...
 *
 * For a loop, a Tape holds the same graph flattened into arrays: it runs forward and backward without
 * allocating. Everything is computed in double; the caller rounds to float32 where it stores.
 *
 * Users' own functions are outside the claim of bit-identity: this file calls Math.exp, Math.log and their kin,
 * whose last bit differs between machines. The network's own activations do not come through here.
 *
 * Where a derivative does not exist, or is not finite:
 * - A kink has the mean of the slopes on its two sides, which is what a central difference gives: abs has 0 at
 *   0; min and max give each operand a half when they are equal. So max(x, 0) has the slope 1/2 at x = 0.
 * - A slope that is truly infinite stays so: sqrt and log at 0, pow(x, p) at 0 for p < 1 other than 0.
 * - pow at base 0: no slope by the base for exponent 0 (x^0 is 1 all around), no slope by the exponent for an
 *   exponent of 0 or more. By the exponent of a negative base it is NaN: the power is not defined around it.
 * - Along a path of the chain rule a factor of 0 wins over infinity or NaN: what max does not choose adds
 *   nothing, however steep it is; sqrt(x·x) has 0 at 0; 1/(1 + 1/exp z) has 0 where exp z overflows.
 * - A value of NaN in min, max or abs has a gradient of NaN.
 */
import assert from 'node:assert/strict';
import { EdgeloopError } from '../errors.ts';

export type UnaryOperation = 'exp' | 'log' | 'sqrt' | 'sin' | 'cos' | 'tanh' | 'abs';
export type BinaryOperation = 'add' | 'sub' | 'mul' | 'div' | 'pow' | 'min' | 'max';

export interface Constant {
  readonly kind: 'constant';
  readonly value: number;
}

/** `evaluate` and `gradient` read the value at the time of the call; set it as often as you like. */
export interface Variable {
  readonly kind: 'variable';
  readonly name: string; // for messages alone: two variables of one name are two variables
  value: number;
}

export interface Unary {
  readonly kind: 'unary';
  readonly operation: UnaryOperation;
  readonly left: Expression;
}

export interface Binary {
  readonly kind: 'binary';
  readonly operation: BinaryOperation;
  readonly left: Expression;
  readonly right: Expression;
}

export type Expression = Constant | Variable | Unary | Binary;

/** What an operation takes: a number stands for a constant. */
export type Operand = Expression | number;

export function constant(value: number): Constant {
  return { kind: 'constant', value };
}

/** A variable without a value has NaN, so that what depends on it shows that it was forgotten. */
export function variable(name: string, value = NaN): Variable {
  return { kind: 'variable', name, value };
}

export const add = (left: Operand, right: Operand): Expression => binary('add', left, right);
export const sub = (left: Operand, right: Operand): Expression => binary('sub', left, right);
export const mul = (left: Operand, right: Operand): Expression => binary('mul', left, right);
export const div = (left: Operand, right: Operand): Expression => binary('div', left, right);
export const pow = (base: Operand, exponent: Operand): Expression => binary('pow', base, exponent);
export const min = (left: Operand, right: Operand): Expression => binary('min', left, right);
export const max = (left: Operand, right: Operand): Expression => binary('max', left, right);

export const exp = (of: Operand): Expression => unary('exp', of);
export const log = (of: Operand): Expression => unary('log', of);
export const sqrt = (of: Operand): Expression => unary('sqrt', of);
export const sin = (of: Operand): Expression => unary('sin', of);
export const cos = (of: Operand): Expression => unary('cos', of);
export const tanh = (of: Operand): Expression => unary('tanh', of);
export const abs = (of: Operand): Expression => unary('abs', of);

/** The value of an expression at its variables' present values. */
export function evaluate(of: Expression): number {
  const variables = variablesOf(of);
  const tape = new Tape(of, variables);
  variables.forEach((each, index) => (tape.values[index] = each.value));
  tape.forward();
  return tape.values[tape.output];
}

/**
 * The partial derivative of `of` by one variable, or by each of several, at the variables' present values.
 * One backward pass serves them all. A variable that `of` does not contain has 0.
 */
export function gradient(of: Expression, by: Variable): number;
export function gradient(of: Expression, by: readonly Variable[]): number[];
export function gradient(of: Expression, by: Variable | readonly Variable[]): number | number[] {
  const wanted = 'kind' in by ? [by] : by;
  const variables = [...new Set([...wanted, ...variablesOf(of)])];
  const tape = new Tape(of, variables);
  variables.forEach((each, index) => (tape.values[index] = each.value));
  tape.forward();
  tape.backward();
  const partials = wanted.map((each) => tape.adjoints[variables.indexOf(each)]);
  return 'kind' in by ? partials[0] : partials;
}

/**
 * An expression as a list of steps over numbered slots, each step reading slots before its own. A node that is
 * used many times has one slot. V variables and N other nodes give:
 *
 *   slot      0 .. V-1     V .. V+N-1
 *   values    variables    constants and results of steps
 *   adjoints  gradient     d(output)/d(slot)
 *
 * forward and backward allocate nothing: write the inputs, call, read the slots.
 */
export class Tape {
  readonly values: Float64Array; //   [V + N]; write the first V, in the order of the constructor's variables
  readonly adjoints: Float64Array; // [V + N]; after backward() the first V are the gradient
  readonly output: number; //         the slot of the expression itself
  private readonly operations: (UnaryOperation | BinaryOperation)[]; // [steps]
  private readonly lefts: Int32Array; //    [steps], slot of the first operand
  private readonly rights: Int32Array; //   [steps], slot of the second; of the first where there is one alone
  private readonly outs: Int32Array; //     [steps], slot of the result
  private readonly partials = new Float64Array(2); // d(step)/d(left), d(step)/d(right)

  /** @param variables every variable of the expression, and any others, each once */
  constructor(of: Expression, variables: readonly Variable[]) {
    const slots = new Map<Expression, number>(variables.map((each, index) => [each, index]));
    assert.equal(slots.size, variables.length, 'a variable is given twice');
    const nodes = operandsFirst(of);
    for (const node of nodes) {
      assert(node.kind !== 'variable' || slots.has(node), `variable ${nameOf(node)} is not given`);
      if (!slots.has(node)) slots.set(node, slots.size);
    }
    this.values = new Float64Array(slots.size);
    this.adjoints = new Float64Array(slots.size);
    this.output = slots.get(of)!;
    const steps = nodes.filter((node) => node.kind === 'unary' || node.kind === 'binary');
    this.operations = steps.map((step) => step.operation);
    this.lefts = Int32Array.from(steps, (step) => slots.get(step.left)!);
    this.rights = Int32Array.from(steps, (step) =>
      slots.get(step.kind === 'binary' ? step.right : step.left)!,
    );
    this.outs = Int32Array.from(steps, (step) => slots.get(step)!);
    for (const node of nodes) if (node.kind === 'constant') this.values[slots.get(node)!] = node.value;
  }

  /** Computes every slot from the variables'. The result is values[output]. */
  forward(): void {
    const { operations, values, lefts, rights, outs } = this;
    for (let step = 0; step < operations.length; step++) {
      writeValue(operations[step], values, lefts[step], rights[step], outs[step]);
    }
  }

  /** After forward(): computes d(output)/d(slot) for every slot, the variables' among them. */
  backward(): void {
    const { operations, values, adjoints, lefts, rights, outs, partials } = this;
    adjoints.fill(0);
    adjoints[this.output] = 1;
    for (let step = operations.length - 1; step >= 0; step--) {
      const adjoint = adjoints[outs[step]];
      if (adjoint === 0) continue;
      writePartials(operations[step], values, lefts[step], rights[step], outs[step], partials);
      if (partials[0] !== 0) adjoints[lefts[step]] += adjoint * partials[0];
      if (partials[1] !== 0) adjoints[rights[step]] += adjoint * partials[1];
    }
  }
}

/** values[out] = operation(values[left], values[right]) */
function writeValue(
  operation: UnaryOperation | BinaryOperation,
  values: Float64Array,
  left: number,
  right: number,
  out: number,
): void {
  const a = values[left];
  const b = values[right];
  // prettier-ignore
  switch (operation) {
    case 'add': values[out] = a + b; break;
    case 'sub': values[out] = a - b; break;
    case 'mul': values[out] = a * b; break;
    case 'div': values[out] = a / b; break;
    case 'pow': values[out] = a ** b; break;
    case 'min': values[out] = Math.min(a, b); break;
    case 'max': values[out] = Math.max(a, b); break;
    case 'exp': values[out] = Math.exp(a); break;
    case 'log': values[out] = Math.log(a); break;
    case 'sqrt': values[out] = Math.sqrt(a); break;
    case 'sin': values[out] = Math.sin(a); break;
    case 'cos': values[out] = Math.cos(a); break;
    case 'tanh': values[out] = Math.tanh(a); break;
    case 'abs': values[out] = Math.abs(a); break;
  }
}

/**
 * partials = d(values[out])/d(values[left]), d(values[out])/d(values[right]); the second is 0 where an operation
 * has one operand. At kinks as the head of the file says.
 */
function writePartials(
  operation: UnaryOperation | BinaryOperation,
  values: Float64Array,
  left: number,
  right: number,
  out: number,
  partials: Float64Array,
): void {
  const a = values[left];
  const b = values[right];
  const result = values[out];
  partials[1] = 0;
  // prettier-ignore
  switch (operation) {
    case 'add': partials[0] = 1; partials[1] = 1; break;
    case 'sub': partials[0] = 1; partials[1] = -1; break;
    case 'mul': partials[0] = b; partials[1] = a; break;
    case 'div': partials[0] = 1 / b; partials[1] = -result / b; break;
    case 'pow':
      partials[0] = b === 0 ? 0 : b * a ** (b - 1);
      partials[1] = a === 0 && b >= 0 ? 0 : result * Math.log(a);
      break;
    case 'min': writeShares(values, right, left, partials); break;
    case 'max': writeShares(values, left, right, partials); break;
    case 'exp': partials[0] = result; break;
    case 'log': partials[0] = 1 / a; break;
    case 'sqrt': partials[0] = 0.5 / result; break;
    case 'sin': partials[0] = Math.cos(a); break;
    case 'cos': partials[0] = -Math.sin(a); break;
    case 'tanh': partials[0] = 1 - result * result; break;
    case 'abs': partials[0] = Math.sign(a); break;
  }
}

/**
 * partials[0] = 1 if values[winner] is greater than values[loser], 0 if less, a half if equal, NaN if either is;
 * partials[1] = the rest of 1. It takes slots and fills slots: doubles handed over would be boxed, 32 bytes a call.
 */
function writeShares(values: Float64Array, winner: number, loser: number, partials: Float64Array): void {
  if (values[winner] > values[loser]) partials[0] = 1;
  else if (values[winner] < values[loser]) partials[0] = 0;
  else partials[0] = values[winner] === values[loser] ? 0.5 : NaN;
  partials[1] = 1 - partials[0];
}

function unary(operation: UnaryOperation, of: Operand): Unary {
  return { kind: 'unary', operation, left: asExpression(of) };
}

function binary(operation: BinaryOperation, left: Operand, right: Operand): Binary {
  return { kind: 'binary', operation, left: asExpression(left), right: asExpression(right) };
}

function asExpression(operand: Operand): Expression {
  if (typeof operand === 'number') return constant(operand);
  if (isExpression(operand)) return operand;
  const got = typeof operand === 'string' ? `"${operand as string}"` : String(operand);
  throw new EdgeloopError('ELOOP_FUNCTION', `operand: expected an expression or a number, got ${got}.`);
}

export function isExpression(what: unknown): what is Expression {
  return typeof what === 'object' && what !== null && 'kind' in what;
}

function nameOf(node: Expression): string {
  return node.kind === 'variable' ? node.name : node.kind;
}

/** Each variable that the expression contains, once. */
export function variablesOf(of: Expression): Variable[] {
  return operandsFirst(of).filter((node) => node.kind === 'variable');
}

/**
 * Every node of the graph once, operands before what uses them. With a stack of its own: a sum built in a loop
 * may be deeper than the call stack.
 */
function operandsFirst(of: Expression): Expression[] {
  const done = new Set<Expression>(); // keeps the order of insertion
  const pending: Expression[] = [of];
  while (pending.length > 0) {
    const node = pending.at(-1)!;
    const missing = operandsOf(node).filter((operand) => !done.has(operand));
    if (missing.length > 0) {
      pending.push(...missing);
    } else {
      done.add(node);
      pending.pop();
    }
  }
  return [...done];
}

function operandsOf(node: Expression): Expression[] {
  if (node.kind === 'binary') return [node.left, node.right];
  return node.kind === 'unary' ? [node.left] : [];
}
