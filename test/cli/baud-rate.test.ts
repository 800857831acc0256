import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config.ts';
import { EXIT } from '../../src/errors.ts';
import { makeStream } from '../bench/serial/streams.ts';
import { isInstalled } from '../firmware/senders.ts';
import { Program, run, temporaryFolder } from '../support/program.ts';
import { Uart } from '../support/uart.ts';

const folder = temporaryFolder();
afterAll(folder.dispose);

const hasPython = isInstalled('python3', 'so no baud rate is searched for');

const LINES = Array.from(
  { length: 200 },
  (_, row) => `${(Math.sin(row) * 10).toFixed(3)},${row % 17},${row % 40 < 20 ? 'off' : 'on'}\r\n`,
).join('');

async function withUart<T>(
  baudRate: number,
  rowsPerSecond: number,
  rows: string | Uint8Array,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const uart = await Uart.open(baudRate, rowsPerSecond, rows);
  try {
    return await use(uart.path);
  } finally {
    await uart.close();
  }
}

describe.skipIf(!hasPython).concurrent('a board at an unknown baud rate', () => {
  it.for([
    [9600, 20],
    [57_600, 50],
    [230_400, 100],
    [921_600, 200],
    [250_000, 100],
    [19_200, 2],
  ])(
    'is found by sniff, which says how: %d',
    { timeout: 60_000 },
    async ([baudRate, perSecond], { expect }) => {
      const { stdout, stderr, status } = await withUart(baudRate, perSecond, LINES, (path) =>
        run(['sniff', path, '--for', perSecond < 10 ? '5s' : '1s'], folder.path),
      );
      expect([status, stderr]).toEqual([EXIT.ok, '']);
      const config = parseConfig(stdout, 'sniffed');
      expect(config.serial.baudRate).toBe(baudRate);
      expect(config.input).toMatchObject({ format: 'numbers', label: 'label' });
      expect(stdout).toMatch(/^# - 115200: noise, \d+ % of the characters are no text$/m);
      expect(stdout).toMatch(new RegExp(`^# - ${baudRate}: text$`, 'm'));
    },
  );

  it('is found by its frames', { timeout: 60_000 }, async ({ expect }) => {
    const { opening, rows } = makeStream('frames');
    const bytes = Buffer.concat([opening, ...rows.slice(0, 300)]);
    const { stdout, status } = await withUart(460_800, 200, bytes, (path) =>
      run(['sniff', path, '--for', '1s'], folder.path),
    );
    expect(status).toBe(EXIT.ok);
    expect(stdout).toMatch(/^# - 460800: \d+ of \d+ blocks between zero bytes are sound COBS frames$/m);
    expect(stdout).toMatch(/at 460800 baud, .*: edgeloop frames/);
  });

  it('is given up where none of the usual rates is its own', { timeout: 60_000 }, async ({ expect }) => {
    const { stdout, status } = await withUart(31_250, 100, LINES, (path) =>
      run(['sniff', path, '--for', '500ms'], folder.path),
    );
    expect(status).toBe(EXIT.failed);
    expect(stdout).toMatch(/at 115200 baud, .*: noise/);
    expect(stdout).toMatch(/None of the usual rates gave text or frames: 115200, 9600, /);
  });

  it('is learned from with baudRate = "auto"', { timeout: 60_000 }, async ({ expect }) => {
    await withUart(57_600, 100, LINES, async (path) => {
      const config = join(folder.path, 'auto.toml');
      writeFileSync(config, `[serial]\nport = "${path}"\nbaudRate = "auto"\n[input]\nformat = "auto"\n`);
      const program = new Program(['run', '--config', config, '--json'], folder.path);
      while (!/ [1-9]\d* rows\/s/.test(program.stderr)) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const { stdout, stderr } = await program.kill('SIGTERM');
      expect(stderr).toMatch(/Tried 9600: noise, .*\nTried 57600: text\.\nRecognised numbers: c1, c2, label/);
      expect(JSON.parse(stdout).learned).toBeGreaterThan(10);
    });
  });
});

describe('baudRate = "auto"', () => {
  it('needs format = "auto"', () => {
    const source =
      '[serial]\nport = "/dev/x"\nbaudRate = "auto"\n[input]\ncolumns = ["x", "y"]\nlabel = "y"\n';
    expect(() => parseConfig(source, 'c')).toThrow(
      /serial\.baudRate: expected a number with input\.format = "numbers", got "auto"/,
    );
  });
});
