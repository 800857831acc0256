import { expect, test } from 'vitest';
import {
  abs,
  add,
  constant,
  cos,
  div,
  evaluate,
  exp,
  gradient,
  log,
  max,
  min,
  mul,
  pow,
  sin,
  sqrt,
  sub,
  Tape,
  tanh,
  variable,
} from '../../src/engine/autodiff.ts';
import type { Expression, Operand, Variable } from '../../src/engine/autodiff.ts';
import { heapBytesPerCall } from '../support/heap.ts';

const UNARY: [string, (of: Operand) => Expression, (x: number) => number, number[]][] = [
  ['exp', exp, Math.exp, [-2, 0, 1.5]],
  ['log', log, Math.log, [0.2, 1, 7]],
  ['sqrt', sqrt, Math.sqrt, [0.3, 1, 9]],
  ['sin', sin, Math.sin, [-2, 0, 1]],
  ['cos', cos, Math.cos, [-2, 0.5, 1]],
  ['tanh', tanh, Math.tanh, [-1.2, 0, 0.4]],
  ['abs', abs, Math.abs, [-3, 0.5]],
];

const BINARY: [string, (left: Operand, right: Operand) => Expression, (x: number, y: number) => number][] = [
  ['add', add, (x, y) => x + y],
  ['sub', sub, (x, y) => x - y],
  ['mul', mul, (x, y) => x * y],
  ['div', div, (x, y) => x / y],
  ['pow', pow, (x, y) => x ** y],
  ['min', min, Math.min],
  ['max', max, Math.max],
];

// Left greater and right greater, either sign on the right, a base that pow takes to any exponent.
const PAIRS = [
  [2, -3],
  [0.4, 1.5],
];

/** (f(v + h) - f(v - h)) / 2h by each variable; they get their values back. */
function centralDifferences(of: Expression, by: readonly Variable[]): number[] {
  const h = 1e-5;
  return by.map((each) => {
    const value = each.value;
    each.value = value + h;
    const above = evaluate(of);
    each.value = value - h;
    const below = evaluate(of);
    each.value = value;
    return (above - below) / (2 * h);
  });
}

/** The gradient by every variable, after it has agreed with central differences and is not all zero. */
function checkedGradient(of: Expression, by: readonly Variable[]): number[] {
  const exact = gradient(of, by);
  const numeric = centralDifferences(of, by);
  expect(exact.length).toBe(by.length);
  exact.forEach((partial, index) => {
    const allowed = 1e-8 * Math.max(1, Math.abs(numeric[index]));
    expect(Math.abs(partial - numeric[index])).toBeLessThan(allowed);
  });
  expect(exact.some((partial) => Math.abs(partial) > 1e-3)).toBe(true);
  return exact;
}

test.each(UNARY)(
  '%s has the value of its function and the slope of its central difference',
  (_, build, f, at) => {
    for (const value of at) {
      const x = variable('x', value);
      expect(evaluate(build(x))).toBe(f(value));
      checkedGradient(sin(add(build(x), 0.3)), [x]); // inside another function, so that adjoints are not all 1
    }
  },
);

test.each(BINARY)('%s has the value of its function and the slopes of its differences', (_, build, f) => {
  for (const [left, right] of PAIRS) {
    const x = variable('x', left);
    const y = variable('y', right);
    expect(evaluate(build(x, y))).toBe(f(left, right));
    checkedGradient(build(x, y), [x, y]);
    checkedGradient(mul(build(x, y), add(x, 7)), [x, y]);
  }
});

test('a number stands for a constant on either side', () => {
  const x = variable('x', 3);
  expect(evaluate(sub(10, x))).toBe(7);
  expect(evaluate(sub(x, constant(10)))).toBe(-7);
  expect(gradient(pow(2, x), x)).toBeCloseTo(8 * Math.LN2, 12);
  expect(gradient(pow(x, 2), x)).toBe(6);
});

test('an integer power of a negative base has its slope by the base', () => {
  const x = variable('x', -2);
  expect(checkedGradient(pow(x, 3), [x])).toEqual([12]);
});

test('a variable used on several paths collects the slopes of all', () => {
  const x = variable('x', 1.7);
  const y = variable('y', -0.6);
  const shared = mul(x, y);
  checkedGradient(add(mul(shared, shared), div(exp(shared), add(x, shared))), [x, y]);
});

test('the loss of a small network has the gradient of its differences by every parameter', () => {
  const parameters = [0.3, -0.8, 0.5, 0.9, -0.2, 0.7].map((value, index) => variable(`w${index}`, value));
  const [a, b, c, d, e, f] = parameters;
  const hidden1 = tanh(add(mul(a, 0.4), b));
  const hidden2 = max(add(mul(c, -1.1), d), mul(0.1, c));
  const output = div(1, add(1, exp(sub(0, add(mul(e, hidden1), mul(f, hidden2))))));
  const partials = checkedGradient(sub(0, log(output)), parameters);
  expect(partials.every((partial) => partial !== 0)).toBe(true);
});

test('the gradient by one variable is a number, by several a list in their order', () => {
  const x = variable('x', 2);
  const y = variable('y', 5);
  const unused = variable('unused', 1);
  const of = mul(mul(x, x), y);
  expect(gradient(of, x)).toBe(20);
  expect(gradient(of, [y, unused, x, y])).toEqual([4, 0, 20, 4]);
  expect(gradient(x, x)).toBe(1);
  expect(gradient(constant(3), x)).toBe(0);
});

test('evaluation follows the present values of the variables', () => {
  const x = variable('x', 2);
  const of = mul(x, x);
  expect(evaluate(of)).toBe(4);
  x.value = 3;
  expect([evaluate(of), gradient(of, x)]).toEqual([9, 6]);
  expect(evaluate(add(variable('forgotten'), 1))).toBeNaN();
});

test('at a kink the gradient is the mean of both slopes, as a central difference has it', () => {
  const x = variable('x', 0);
  const y = variable('y', 0);
  expect(gradient(abs(x), x)).toBe(0);
  expect(gradient(add(abs(x), mul(3, x)), x)).toBe(3);
  expect(gradient(max(x, y), [x, y])).toEqual([0.5, 0.5]);
  expect(gradient(min(x, y), [x, y])).toEqual([0.5, 0.5]);
  expect(gradient(max(x, mul(-3, x)), x)).toBe(-1);
  expect(checkedGradient(max(x, 0), [x])).toEqual([0.5]);
  expect(gradient(max(x, x), x)).toBe(1);
});

test('a slope that is infinite stays infinite', () => {
  const x = variable('x', 0);
  expect(gradient(sqrt(x), x)).toBe(Infinity);
  expect(gradient(log(x), x)).toBe(Infinity);
  expect(gradient(pow(x, 0.5), x)).toBe(Infinity);
});

test('pow at base 0 has finite slopes where the power is defined around it', () => {
  const x = variable('x', 0);
  const y = variable('y', 2);
  expect(gradient(pow(x, y), [x, y])).toEqual([0, 0]);
  y.value = 0;
  expect(gradient(pow(x, y), [x, y])).toEqual([0, 0]);
  y.value = 1;
  expect(gradient(pow(x, y), [x, y])).toEqual([1, 0]);
  x.value = -2;
  expect(gradient(pow(x, y), [x, y])).toEqual([1, NaN]);
});

test('a factor of zero on a path wins over infinity and NaN', () => {
  const x = variable('x', 0);
  expect(gradient(max(1, sqrt(x)), x)).toBe(0);
  expect(gradient(sqrt(mul(x, x)), x)).toBe(0);
  const sigmoid = div(1, add(1, div(1, exp(x))));
  for (const value of [-1000, 1000]) {
    x.value = value;
    expect(gradient(sigmoid, x)).toBe(0);
  }
});

test('a value of NaN has a gradient of NaN in min, max and abs', () => {
  const x = variable('x', NaN);
  for (const of of [max(x, 0), min(0, x), abs(x)]) expect(gradient(of, x)).toBeNaN();
});

test('a shared expression is computed once, however often it is used', () => {
  const x = variable('x', 1);
  let of: Expression = x;
  for (let doubling = 0; doubling < 60; doubling++) of = add(of, of); // 2^60 paths, 60 steps
  expect(new Tape(of, [x]).values.length).toBe(61);
  expect([evaluate(of), gradient(of, x)]).toEqual([2 ** 60, 2 ** 60]);
});

test('an expression may be deeper than the call stack', () => {
  const x = variable('x', 0.5);
  let of: Expression = x;
  for (let depth = 0; depth < 50_000; depth++) of = add(of, x);
  expect([evaluate(of), gradient(of, x)]).toEqual([25_000.5, 50_001]);
});

test('a tape runs again and again over new inputs, in the order of its variables', () => {
  const x = variable('x');
  const y = variable('y');
  const of = add(mul(x, x), div(sin(y), x));
  const tape = new Tape(of, [y, x]);
  for (const [first, second] of [
    [0.5, 2],
    [-1, 0.7],
    [3, -4],
  ]) {
    tape.values[0] = y.value = first;
    tape.values[1] = x.value = second;
    tape.forward();
    tape.backward();
    expect(tape.values[tape.output]).toBe(evaluate(of));
    expect(Array.from(tape.adjoints.subarray(0, 2))).toEqual(checkedGradient(of, [y, x]));
  }
});

test('a tape allocates nothing, whatever it computes', () => {
  const x = variable('x');
  const operations = [...UNARY.map(([, build]) => build(x)), ...BINARY.map(([, build]) => build(2, x))];
  const of = operations.reduce((sum, each) => add(sum, each));
  const tape = new Tape(of, [x]);
  tape.values[0] = 0.7;
  const run = () => {
    tape.forward();
    tape.backward();
  };
  expect(heapBytesPerCall(run)).toBeLessThan(1);
  expect(heapBytesPerCall(() => tape.values.slice())).toBeGreaterThan(100); // the measure does see allocations
});

test('a tape refuses a variable that is missing or given twice', () => {
  const x = variable('x');
  const y = variable('speed');
  expect(() => new Tape(mul(x, y), [x])).toThrow(/variable speed is not given/);
  expect(() => new Tape(x, [x, x])).toThrow(/given twice/);
});
