import { describe, expect, it } from 'vitest';
import { OPTIONS, makeConfig, parseConfig, readConfig } from '../src/config.ts';
import { EXIT, EdgeloopError } from '../src/errors.ts';

const SMALLEST = `
[serial]
port = "/dev/ttyACM0"

[input]
columns = ["x", "state"]
label = "state"
`;

function errorOf(source: string): EdgeloopError {
  try {
    parseConfig(source, 'my.toml');
  } catch (error) {
    if (error instanceof EdgeloopError) return error;
    throw error;
  }
  return expect.fail(`accepted: ${source}`);
}

describe('the config', () => {
  it('needs a port, the columns and the label; the rest has defaults', () => {
    const config = parseConfig(SMALLEST, 'my.toml');
    expect(config.serial).toMatchObject({ port: '/dev/ttyACM0', baudRate: 115_200 });
    expect(config.input).toMatchObject({ columns: ['x', 'state'], label: 'state' });
    expect(config.network.hidden).toBe(16);
  });

  it('has a default inside the limits for every option that need not be given', () => {
    for (const [key, option] of Object.entries(OPTIONS)) {
      // The columns and the label may be left out, but not be empty.
      if (option.default === undefined || option.default === '' || Array.isArray(option.default)) continue;
      expect(option.accepts(option.default), key).toBe(true);
    }
  });

  it.each([
    [
      `${SMALLEST}\n[network]\nhiden = 3\n`,
      /^my\.toml:10: unknown key network\.hiden: expected one of .*network\.hidden/,
    ],
    [
      `${SMALLEST}\n[network]\nhidden = 0\n`,
      /^my\.toml:10: network\.hidden \(hidden units\): expected an integer from 1 to 4096, got 0/,
    ],
    [`${SMALLEST}\n[network]\nhidden = 3.5\n`, /got 3\.5/],
    [
      `${SMALLEST}\n[network]\nlearningRate = nan\n`,
      /network\.learningRate.*expected a number above 0, up to 10/,
    ],
    [
      `${SMALLEST}\n[network]\nactivation = "softsign"\n`,
      /expected one of "identity", "sigmoid", "tanh", "relu", got "softsign"/,
    ],
    [
      `${SMALLEST}\n[stream]\nringRows = 1000\n`,
      /stream\.ringRows.*expected a power of two from 16 to 65536, got 1000/,
    ],
    [`${SMALLEST}\nserial.baudRate = "fast"\n`, /baudRate/],
    [`port = 3\n${SMALLEST}`, /^my\.toml:1: unknown key port/],
    [
      SMALLEST.replace('label = "state"', 'label = "mood"'),
      /input\.label: expected one of x, state, got "mood"/,
    ],
    [SMALLEST.replace('label = "state"', ''), /^my\.toml: input\.label is missing/],
    [SMALLEST.replace('"x", "state"', '"x", "x"'), /my\.toml:6: input\.columns .*different names/],
    [`${SMALLEST}\nformat = "cvs"\n`, /my\.toml:9: input\.format .*"numbers", "plotter".*got "cvs"/],
    [`${SMALLEST}\nseparator = ","\n`, /input\.separator .*expected one of "any", "comma".*got ","/],
    [`${SMALLEST}\nformat = "text"\n`, /input\.pattern: expected each column once in braces, got ""/],
    [
      `${SMALLEST}\nformat = "text"\npattern = "acc {x}"\n`,
      /input\.pattern: .*the column \{state\} is missing/,
    ],
    ['[serial\n', /^my\.toml:1: expected TOML/],
    ['a = 1\na = 2\n', /^my\.toml:\d: expected TOML/],
  ])('names key, line and what was expected: %#', (source, message) => {
    const error = errorOf(source);
    expect(error.message).toMatch(message);
    expect(error.exitStatus).toBe(EXIT.usage);
  });

  it.each([
    ['time = "z"', /input\.time: expected one of x, y, and another column beside it; got "z"/],
    ['time = "state"', /input\.time: expected one of x, y/],
    ['format = "teleplot"\ntime = "x"', /input\.time: expected one of stamp/],
    ['format = "frames"\ntime = "x"', /frames", which carry the board's clock themselves; got "x"/],
    ['time = "x"\ntimeUnit = "min"', /input\.timeUnit .*expected one of "us", "ms", "s", got "min"/],
    ['classes = ["on", "on"]', /input\.classes .*different names/],
    ['classes = ["a\\u0007"]', /input\.classes/],
  ])('checks what [input] says together: %s', (input, message) => {
    const source = `[serial]\nport = "/dev/x"\n[input]\ncolumns = ["x", "y", "state"]\nlabel = "state"\n${input}\n`;
    expect(errorOf(source).message).toMatch(message);
  });

  it('takes a clock beside a value, and as many pinned classes as the network has', () => {
    const source =
      '[serial]\nport = "/dev/x"\n[input]\ncolumns = ["ms", "x", "state"]\nlabel = "state"\ntime = "ms"\n' +
      'classes = ["off", "running", "broken"]\n[network]\nclasses = ';
    expect(parseConfig(`${source}3`, 'c').input).toMatchObject({ time: 'ms', timeUnit: 'ms' });
    expect(errorOf(`${source}2`).message).toMatch(/expected at most network\.classes = 2 names, got 3/);
  });

  it('does not take a key of the prototype for an option', () => {
    expect(errorOf(`${SMALLEST}\n[constructor]\nname = 1\n`).message).toMatch(
      /unknown key constructor\.name/,
    );
    expect(errorOf(`${SMALLEST}\ntoString = 1\n`).message).toMatch(/unknown key/);
  });

  it('says when the file cannot be read', () => {
    expect(() => readConfig('/no/such/file.toml')).toThrow(
      /\/no\/such\/file\.toml: cannot read the config \(ENOENT\)/,
    );
  });

  it('checks values that a command makes just as strictly', () => {
    expect(() => makeConfig({ 'serial.port': '' }, 'demo')).toThrow(/^demo: serial\.port/);
  });
});
