import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseDuration } from '../../src/cli/duration.ts';
import { VERSION } from '../../src/version.ts';
import { run, temporaryFolder } from '../support/program.ts';

const folder = temporaryFolder();
afterAll(folder.dispose);

const edgeloop = (...args: string[]): ReturnType<typeof run> => run(args, folder.path);

describe('the command line', () => {
  it('says its version, the same as the package', async () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));
    expect(VERSION).toBe(version);
    expect(await edgeloop('--version')).toMatchObject({ status: 0, stdout: `${VERSION}\n` });
  });

  it('lists its commands, and every key of the config with its default', async () => {
    expect((await edgeloop('--help')).stdout).toMatch(/edgeloop run --config FILE/);
    expect((await edgeloop('run', '--help')).stdout).toMatch(/serial\.baudRate = 115200\n\s+bits per second/);
  });

  it('prints the published run', async () => {
    const { status, stdout } = await edgeloop('trace');
    expect(status).toBe(0);
    expect(stdout).toMatch(/0\.00559935\s+-0\.0142069/);
    expect(stdout).toMatch(/0\.00559945\s+-0\.0142067/);
  });

  it.each([
    [['fly'], /expected a command, got "fly"/],
    [['run'], /expected --config FILE/],
    [['run', '--config', '/no/such.toml'], /\/no\/such\.toml: cannot read the config/],
    [['demo', '--for', 'soon'], /expected a time such as 500ms, 10s, 5m or 2h, got "soon"/],
    [['demo', '--seed', 'x'], /--seed: expected an integer/],
    [['demo', '--fast'], /--fast/],
  ])('ends with status 2 and a sentence: %j', async (args, sentence) => {
    const { status, stderr } = await edgeloop(...args);
    expect(stderr).toMatch(/^edgeloop: ELOOP_CONFIG: /);
    expect(stderr).toMatch(sentence);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(status).toBe(2);
  });

  it('ends with status 1 when the port cannot be opened, and says what to do', async () => {
    const config = join(folder.path, 'edgeloop.toml');
    writeFileSync(
      config,
      '[serial]\nport = "/dev/no-such-board"\nreopen = false\n[input]\ncolumns = ["x", "state"]\nlabel = "state"\n',
    );
    const { status, stderr } = await edgeloop('run', '--config', config);
    expect(stderr).toMatch(/ELOOP_PORT_ABSENT: \/dev\/no-such-board: .*no such device\. Plug the board in/);
    expect(status).toBe(1);
  });
});

describe('a time', () => {
  it('has a unit', () => {
    expect(['500ms', '10s', '1.5m', '2h'].map(parseDuration)).toEqual([500, 10_000, 90_000, 7_200_000]);
  });

  it.each(['', '10', 's', '-1s', '0s', '1d', '1e3s', '700h'])('is refused as %j', (text) => {
    expect(() => parseDuration(text)).toThrow(/expected a time/);
  });
});
