import { describe, expect, test } from 'vitest';
import { LINES_PER_SECOND, Motor, MOTOR_STATES } from '../../src/demo/motor.ts';

interface Row {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly temperature: number;
  readonly state: string;
}

function lines(seed: number, count: number): string[] {
  const motor = new Motor(seed);
  return Array.from({ length: count }, () => motor.nextLine());
}

function rows(seed: number, count: number): Row[] {
  return lines(seed, count).map((line) => {
    const [x, y, z, temperature, state] = line.trimEnd().split(',');
    return { x: Number(x), y: Number(y), z: Number(z), temperature: Number(temperature), state };
  });
}

/** Runs of one state: where each begins and how many lines it lasts. The last one is cut off and left out. */
function dwells(stream: Row[]): { state: string; start: number; length: number }[] {
  const found = [{ state: stream[0].state, start: 0, length: 0 }];
  for (const [index, row] of stream.entries()) {
    if (row.state !== found.at(-1)!.state) found.push({ state: row.state, start: index, length: 0 });
    found.at(-1)!.length++;
  }
  return found.slice(0, -1);
}

/** Without hum z is 1 g within the noise; an amplitude of 0.8 g makes it sqrt(1 + 0.8²/2) = 1.15. Bumps blur it. */
function hums(row: Row): boolean {
  return row.z > 1.08;
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

const stream = rows(1, 360 * LINES_PER_SECOND); // six minutes, about 140 changes

describe('Motor', () => {
  test('prints lines as the sketch does', () => {
    for (const line of lines(1, 5000)) {
      expect(line).toMatch(/^\d\.\d{3},\d\.\d{3},\d\.\d{3},\d\d\.\d\d,(off|running|unbalanced)\r\n$/);
    }
  });

  test('gives the same lines for the same seed and others for another', () => {
    expect(lines(7, 2000)).toEqual(lines(7, 2000));
    expect(lines(7, 10)).not.toEqual(lines(8, 10));
  });

  test('stays one to four seconds in a state, evenly spread', () => {
    const seconds = dwells(stream).map((dwell) => dwell.length / LINES_PER_SECOND);
    expect(seconds.length).toBeGreaterThan(100);
    expect(Math.min(...seconds)).toBeGreaterThanOrEqual(1);
    expect(Math.max(...seconds)).toBeLessThanOrEqual(4);
    // Uniform over 1..4: mean 2.5, standard deviation of the mean of 140 about 0.07.
    expect(Math.abs(mean(seconds) - 2.5)).toBeLessThan(0.3);
    expect(seconds.filter((length) => length < 2).length / seconds.length).toBeGreaterThan(0.2);
  });

  test('begins off, and takes every change between two states', () => {
    const course = dwells(stream).map((dwell) => dwell.state);
    expect(course[0]).toBe('off');
    const changes = new Set(course.slice(1).map((state, index) => `${course[index]} ${state}`));
    expect(changes.size).toBe(MOTOR_STATES.length * (MOTOR_STATES.length - 1));
  });

  test('hums along z in the very first line with the drive on, and is still in the first without', () => {
    const firsts = dwells(stream).map((dwell) => stream[dwell.start]);
    const driven = firsts.filter((row) => row.state !== 'off');
    const off = firsts.filter((row) => row.state === 'off');
    expect(driven.filter(hums).length / driven.length).toBeGreaterThan(0.9);
    expect(off.filter(hums).length / off.length).toBeLessThan(0.1);
  });

  test('turns the unbalanced force from x to y and back, a quarter of a turn with each line', () => {
    const unbalanced = stream.filter((row) => row.state === 'unbalanced');
    const ofX = unbalanced.map((row) => row.x / Math.hypot(row.x, row.y)).toSorted((a, b) => a - b);
    expect(ofX[Math.floor(ofX.length * 0.1)]).toBeLessThan(0.55);
    expect(ofX[Math.floor(ofX.length * 0.9)]).toBeGreaterThan(0.83);
    const force = median(unbalanced.map((row) => Math.hypot(row.x, row.y)));
    const residual = median(
      stream.filter((row) => row.state === 'running').map((row) => Math.hypot(row.x, row.y)),
    );
    expect(force).toBeGreaterThan(5 * residual);
  });

  test('leaves some lines of running and unbalanced that no threshold on one axis tells apart', () => {
    const driven = stream.filter((row) => row.state !== 'off');
    const wrong = (threshold: number) =>
      driven.filter((row) => row.x > threshold !== (row.state === 'unbalanced')).length / driven.length;
    const best = Math.min(...Array.from({ length: 60 }, (_, index) => wrong(index / 100)));
    expect(best).toBeGreaterThan(0.005);
    expect(best).toBeLessThan(0.1);
  });

  test('warms up slowly when driven and cools when off', () => {
    expect(Math.abs(mean(stream.slice(0, 100).map((row) => row.temperature)) - 22)).toBeLessThan(0.5);
    const drift = { off: [] as number[], driven: [] as number[] };
    for (const dwell of dwells(stream)
      .slice(20)
      .filter((one) => one.length > 400)) {
      const part = stream.slice(dwell.start, dwell.start + dwell.length).map((row) => row.temperature);
      const change = mean(part.slice(-100)) - mean(part.slice(0, 100));
      drift[dwell.state === 'off' ? 'off' : 'driven'].push(change);
    }
    expect(mean(drift.driven)).toBeGreaterThan(0);
    expect(mean(drift.off)).toBeLessThan(0);
    expect(Math.max(...stream.map((row) => row.temperature))).toBeLessThan(38);
  });
});
