import { expect, test } from 'vitest';
import { trace } from '../../src/cli/trace.ts';
import { publishedRun } from '../../src/engine/published-run.ts';

const PUBLISHED = [
  '0.0056014 -0.0142086',
  '0.00560088 -0.0142082',
  '0.00560037 -0.0142077',
  '0.00559986 -0.0142073',
  '0.00559935 -0.0142069',
];
const BP2 = [
  '0.0056014 -0.0142086',
  '0.00560091 -0.0142081',
  '0.00560042 -0.0142076',
  '0.00559993 -0.0142072',
  '0.00559945 -0.0142067',
];
const WEIGHTS1 = '0.0073, 0.3658, 1.893, 1.1272';

function traced(json: boolean): string {
  let text = '';
  trace((part) => (text += part), json);
  return text;
}

test('the trace prints both published tables to the digit, one epoch a line', () => {
  const [first, second, ...rest] = traced(false)
    .split('\n\n')
    .map((table) => table.trimEnd().split('\n'));
  expect(rest).toEqual([]);
  for (const [table, deltas] of [
    [first, PUBLISHED],
    [second, BP2],
  ]) {
    expect(table.slice(1)).toEqual([
      ...deltas.map((delta, index) => `epoch ${index + 1}: ${delta}`),
      `weights1: ${WEIGHTS1}`,
    ]);
  }
  expect(first[0]).toMatch(/published.*weights2, /);
  expect(second[0]).toMatch(/BP2.*weights2ᵀ/);
});

test('the JSON trace holds the same digits', () => {
  const weights1 = [0.0073, 0.3658, 1.893, 1.1272];
  const [published, bp2] = [PUBLISHED, BP2].map((deltas) =>
    deltas.map((delta) => delta.split(' ').map(Number)),
  );
  expect(JSON.parse(traced(true))).toEqual({
    published: { epochs: 5, outputDelta: published, weights1 },
    bp2: { epochs: 5, outputDelta: bp2, weights1 },
  });
});

test('inputs of zero leave weights1 as it was drawn, to the bit', () => {
  for (const hiddenDelta of ['W', 'Wᵀ'] as const) {
    expect(publishedRun(hiddenDelta).weights1.data).toEqual(
      Float32Array.of(73 * 0.0001, 13658 * 0.0001 - 1, 28930 * 0.0001 - 1, 21272 * 0.0001 - 1),
    );
  }
});

// The arithmetic as it is stated, in scalars and with the derivatives written by hand: what the expressions give
// must agree in every bit of float32, and not only in the digits that are printed.
test('the run has the same bits as its rules worked out by hand', () => {
  for (const hiddenDelta of ['W', 'Wᵀ'] as const) {
    const deltas = publishedRun(hiddenDelta).outputDeltas.map((delta) => Array.from(delta.data));
    expect(deltas).toEqual(byHand(hiddenDelta === 'Wᵀ'));
  }
});

const { fround } = Math;
const sigmoid = (z: number) => 1 / (1 + 1 / Math.exp(z));
const slope = (z: number) => fround(sigmoid(z) * (1 - sigmoid(z)));
const dot = (a: number, b: number, v: number[]) => fround(fround(a * v[0]) + fround(b * v[1]));
const descend = (parameter: number, gradient: number) => fround(parameter - fround(0.001 * gradient));

function byHand(transposed: boolean): number[][] {
  let x = 1;
  const draw = () => {
    x = Number((16807n * BigInt(x)) % 2147483647n);
    return fround((x % 30000) * 0.0001 - 1);
  };
  const label = [draw(), draw()];
  for (let skipped = 0; skipped < 4; skipped++) draw(); // weights1: inputs of zero hide it
  const weights2 = [draw(), draw(), draw(), draw()];
  const bias1 = [1, 1];
  const bias2 = [1, 1];
  const deltas: number[][] = [];
  for (let epoch = 0; epoch < 5; epoch++) {
    const hidden = bias1.map((z) => fround(sigmoid(z)));
    const delta2 = [0, 1].map((unit) => {
      const z = fround(dot(weights2[2 * unit], weights2[2 * unit + 1], hidden) + bias2[unit]);
      return fround(fround(sigmoid(z) - label[unit]) * slope(z));
    });
    const delta1 = [0, 1].map((unit) => {
      const [a, b] = transposed ? [unit, 2 + unit] : [2 * unit, 2 * unit + 1];
      return fround(dot(weights2[a], weights2[b], delta2) * slope(bias1[unit]));
    });
    for (let index = 0; index < 4; index++) {
      const gradient = fround(delta2[index >> 1] * hidden[index & 1]);
      weights2[index] = descend(weights2[index], gradient);
    }
    for (let unit = 0; unit < 2; unit++) {
      bias2[unit] = descend(bias2[unit], delta2[unit]);
      bias1[unit] = descend(bias1[unit], delta1[unit]);
    }
    deltas.push(delta2);
  }
  return deltas;
}
