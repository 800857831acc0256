import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { sniff } from '../../src/cli/sniff.ts';
import { parseConfig } from '../../src/config.ts';
import { type Pty, openPty } from '../../src/demo/pty.ts';
import { EXIT } from '../../src/errors.ts';

let pty: Pty;
let printed: string;

beforeEach(async () => {
  pty = await openPty();
  printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await pty.close();
});

/** Prints the row every 5 ms while the command listens. */
async function sniffAt(print: (row: number) => string, ...options: string[]): Promise<number> {
  let row = 0;
  const timer = setInterval(() => pty.write(print(row++)), 5);
  try {
    return await sniff([pty.path, '--for', '700ms', ...options]);
  } finally {
    clearInterval(timer);
  }
}

const state = (row: number): string => (row % 20 < 10 ? 'off' : 'on');

describe('edgeloop sniff', () => {
  it.each([
    ['numbers', (row: number) => `${row},${row / 4},${state(row)}\n`, ['c1', 'c2', 'label'], ''],
    ['plotter', (row: number) => `x:${row} y:${row / 4} state:${state(row)}\n`, ['x', 'y', 'state'], ''],
    [
      'teleplot',
      (row: number) => `>x:${row}\n>y:${row / 4}\n>state:${state(row)}|t\n`,
      ['x', 'y', 'state'],
      '',
    ],
    ['json', (row: number) => `{"x":${row},"s\\"t":"${state(row)}"}\n`, ['x', 's"t'], undefined],
    [
      'csv',
      (row: number) => `${row % 10 === 0 ? '\nx,y,state\n' : ''}${row},${row / 4},${state(row)}\n`,
      ['x', 'y', 'state'],
      '',
    ],
    [
      'text',
      (row: number) => `Acc [ ${row}, ${row / 4} ] ${state(row)}\n`,
      ['c1', 'c2', 'label'],
      'Acc [ {c1}, {c2} ] {label}',
    ],
  ])('prints a config of %s that can be used as it is', async (format, print, columns, pattern) => {
    expect(await sniffAt(print)).toBe(EXIT.ok);
    const config = parseConfig(printed, 'sniffed.toml');
    expect(config.serial).toMatchObject({ port: pty.path, baudRate: 115_200 });
    expect(config.input).toMatchObject({ format, columns, ...(pattern === undefined ? {} : { pattern }) });
    expect(config.input.label).toBe(columns.find((name) => /label|^s/.test(name)));
    expect(printed).toMatch(/# - .* rows per second, jitter .* ms \(median\)/);
  });

  it('prints everything as one JSON object on request', async () => {
    expect(await sniffAt((row) => `${row}\t${row}\n`, '--json', '--baud', '9600')).toBe(EXIT.ok);
    const found = JSON.parse(printed);
    expect(found).toMatchObject({ port: pty.path, baudRate: 9600, kind: 'numbers', labels: [] });
    expect(found.format).toMatchObject({ separator: 'tab', columns: ['c1', 'c2'] });
    expect(found.rate.rowsPerSecond).toBeGreaterThan(50);
  });

  it('says what to do about a class that nobody prints', async () => {
    await sniffAt((row) => `${row},${row}\n`);
    expect(printed).toMatch(/# To learn a class, have the board print its name/);
    expect(() => parseConfig(printed, 'sniffed.toml')).toThrow(/input\.label is missing/);
  });

  it('ends with status 1 and advice on silence', async () => {
    expect(await sniff([pty.path, '--for', '50ms'])).toBe(EXIT.failed);
    expect(printed).toMatch(/0 bytes: silence\n[^]*Check the cable/);
    for (const line of printed.trimEnd().split('\n')) expect(line).toMatch(/^# /);
  });

  it('says that the port went away while it listened', async () => {
    setTimeout(() => void pty.close(), 100);
    await expect(sniff([pty.path, '--for', '20s'])).rejects.toMatchObject({ code: 'ELOOP_PORT_GONE' });
  });

  it.each([
    [[], /expected one port, got 0/],
    [['/dev/a', '/dev/b'], /expected one port, got 2/],
    [['/dev/a', '--baud', 'fast'], /--baud: expected an integer from 50 to 4000000, got "fast"/],
    [['/dev/a', '--for', 'ever'], /expected a time such as/],
    [['/dev/a', '--loud'], /Try --help/],
  ])('refuses %j', async (args, message) => {
    await expect(sniff(args)).rejects.toThrow(message);
  });

  it('explains itself', async () => {
    expect(await sniff(['--help'])).toBe(EXIT.ok);
    expect(printed).toMatch(/^edgeloop sniff PORT/);
  });
});
