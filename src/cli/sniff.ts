/** `edgeloop sniff`: listens to a board, says what it prints and why one thinks so, and writes the config for it. */
import { parseArgs } from 'node:util';
import { EXIT, EdgeloopError } from '../errors.ts';
import { BAUD_RATE_MAX, BAUD_RATE_MIN, isBaudRate } from '../config.ts';
import { type BaudTrial, USUAL_BAUD_RATES, searchBaudRate, trialText } from '../serial/baud-search.ts';
import { Hearing } from '../serial/hearing.ts';
import { SerialLink } from '../serial/link.ts';
import type { RowRate } from '../serial/rate.ts';
import type { InputFormat } from '../serial/decoder.ts';
import { DESCRIBED_WITHIN_MS, type RecognisedFormat, recogniseFormat } from '../serial/recognise-format.ts';
import type { StreamKind } from '../serial/recognise.ts';
import { parseDuration } from './duration.ts';

export const SNIFF_HELP = `edgeloop sniff PORT [options] > edgeloop.toml

  Listens to the board on the port (edgeloop ports lists them) and prints a config for what it heard: dialect,
  columns, the class's column, the board's clock, rows per second. Reasons are comments. If it hears noise it tries the
  usual baud rates, a second each at most. Ends with status 1 if it cannot tell.

  --baud N         bits per second to begin with (115200)
  --for TIME       listen this long (3s): 500ms, 10s, 5m, 2h
  --json           print one JSON object instead
`;

interface SniffOptions {
  readonly port: string;
  readonly baudRate: number;
  readonly forMs: number;
  readonly json: boolean;
}

/**
 * @returns the exit status
 * @throws EdgeloopError when the port cannot be opened or goes away
 */
export async function sniff(args: string[]): Promise<number> {
  const options = parse(args);
  if (options === undefined) {
    process.stdout.write(SNIFF_HELP);
    return EXIT.ok;
  }
  const heard = await listen(options);
  const { recognition, format, ...found } = heard;
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ port: options.port, ...found, ...recognition, format })}\n`
      : recognitionText(options.port, heard),
  );
  return format === undefined && recognition.kind !== 'frames' ? EXIT.failed : EXIT.ok;
}

interface Heard extends RecognisedFormat {
  readonly baudRate: number;
  /** Rates that were tried after noise was heard at the given one, that one first. */
  readonly trials: readonly BaudTrial[];
}

async function listen({ port, baudRate, forMs }: SniffOptions): Promise<Heard> {
  const hearing = new Hearing();
  const link = await SerialLink.open(
    { path: port, baudRate },
    { onBytes: (bytes, count) => hearing.take(bytes, count), onGone: (error) => hearing.fail(error) },
  );
  try {
    const first = await hear(hearing, forMs);
    if (first.recognition.kind !== 'noise') return { baudRate, trials: [], ...first };
    const [heard] = first.recognition.because;
    const trials: BaudTrial[] = [{ baudRate, sounds: 'noise', heard }];
    const found = await searchBaudRate(link, hearing, baudRate, (trial) => trials.push(trial));
    if (found === undefined) return { baudRate, trials, ...first };
    return { baudRate: found, trials, ...(await hear(hearing, forMs)) };
  } finally {
    await link.close();
  }
}

/** Frames may have to be listened to for longer than was asked for, until they describe themselves. */
async function hear(hearing: Hearing, forMs: number): Promise<RecognisedFormat> {
  const heard = recogniseFormat(await hearing.listen({ forMs }));
  if (heard.recognition.kind !== 'frames' || heard.format !== undefined) return heard;
  return recogniseFormat(await hearing.listen({ forMs: DESCRIBED_WITHIN_MS }));
}

/** The findings as comments, then the config: all of it is TOML. */
function recognitionText(port: string, { baudRate, trials, recognition, format }: Heard): string {
  const { kind, because, bytes, rows, dropped, rate } = recognition;
  const findings = [`${port} at ${baudRate} baud, ${bytes.toLocaleString('en-US')} bytes: ${describe(kind)}`];
  for (const trial of trials) findings.push(`- ${trialText(trial)}`);
  for (const reason of because) findings.push(`- ${reason}`);
  if (format !== undefined && dropped !== undefined) {
    const drops = Object.entries(dropped).filter(([, lines]) => lines > 0);
    const reasons = drops.map(([reason, lines]) => `${reason} ${lines}`).join(', ');
    findings.push(`- decoded so: ${rows} rows, dropped ${reasons === '' ? 'nothing' : reasons}`);
    findings.push(`- ${describeRate(rate)}`);
  }
  findings.push(...advice(kind, format));
  const comments = findings.map((line) => `# ${printable(line)}\n`).join('');
  return format === undefined ? comments : `${comments}\n${configText(port, baudRate, format)}`;
}

function describe(kind: StreamKind): string {
  const kinds: Record<StreamKind, string> = {
    numbers: 'lines of numbers',
    plotter: 'Serial Plotter pairs',
    teleplot: 'Teleplot values',
    json: 'JSON lines',
    csv: 'CSV',
    text: 'numbers inside text',
    frames: 'edgeloop frames, or others of their kind (binary)',
    noise: 'noise',
    silence: 'silence',
    unknown: 'text that could not be made out',
  };
  return kinds[kind];
}

function describeRate(rate: RowRate | undefined): string {
  if (rate === undefined) return 'too few reads to tell the rows per second';
  const { rowsPerSecond, jitterMs, gaps, longestGapMs } = rate;
  const digits = rowsPerSecond < 10 ? 2 : 1;
  const pauses =
    gaps === 0
      ? 'no gaps'
      : `${gaps} gap${gaps === 1 ? '' : 's'}, the longest ${(longestGapMs / 1000).toFixed(2)} s`;
  return `${rowsPerSecond.toFixed(digits)} rows per second, jitter ${jitterMs.toFixed(1)} ms (median), ${pauses}`;
}

function advice(kind: StreamKind, format: InputFormat | undefined): string[] {
  if (kind === 'silence') {
    return [
      'Check the cable and that the sketch prints; some boards print only after a reset. Try --for 10s.',
    ];
  }
  if (kind === 'noise')
    return [
      `None of the usual rates gave text or frames: ${USUAL_BAUD_RATES.join(', ')}. Give the number in the sketch's ` +
        'Serial.begin with --baud; look at the cable, and that both sides share a ground.',
    ];
  if (kind === 'frames' && format === undefined) {
    return ['They did not describe themselves: if they are edgeloop frames, try --for 10s.'];
  }
  if (kind === 'unknown') return ['Try --for 10s. Each row should be one line with all its numbers.'];
  if (format !== undefined && format.label === undefined) {
    return [
      'To learn a class, have the board print its name with each row, and set input.label to its column.',
    ];
  }
  return [];
}

/** What differs from the defaults, as TOML. */
function configText(port: string, baudRate: number, format: InputFormat): string {
  const { columns, label, separator, pattern, time, timeUnit = 'ms' } = format;
  const hasSeparator = ['numbers', 'csv'].includes(format.format) || separator !== 'any';
  return [
    '[serial]',
    `port = ${quote(port)}`,
    `baudRate = ${baudRate}`,
    '',
    '[input]',
    `format = ${quote(format.format)}`,
    `columns = [${columns.map(quote).join(', ')}]`,
    label === undefined ? '# label = ' : `label = ${quote(label)}`,
    ...(time === undefined ? [] : [`time = ${quote(time)}`, `timeUnit = ${quote(timeUnit)}`]),
    ...(hasSeparator ? [`separator = ${quote(separator)}`] : []),
    ...(format.format === 'text' ? [`pattern = ${quote(pattern)}`] : []),
    '',
  ].join('\n');
}

/** A TOML string: JSON's escapes are TOML's; DEL must be escaped too. */
function quote(text: string): string {
  return JSON.stringify(text).replaceAll('\x7f', '\\u007f');
}

/** What a board prints may hold anything; a comment and a terminal should not. */
function printable(line: string): string {
  return line.replaceAll(/\p{Cc}/gu, '\ufffd');
}

/** @returns undefined if help was asked for. @throws EdgeloopError ELOOP_CONFIG */
function parse(args: string[]): SniffOptions | undefined {
  const { values, positionals } = parseRaw(args);
  if (values.help) return undefined;
  if (positionals.length !== 1) {
    throw new EdgeloopError(
      'ELOOP_CONFIG',
      `edgeloop sniff: expected one port, got ${positionals.length}. \`edgeloop ports\` lists them.`,
    );
  }
  const baudRate = Number(values.baud);
  if (!/^\d+$/.test(values.baud) || !isBaudRate(baudRate)) {
    throw new EdgeloopError(
      'ELOOP_CONFIG',
      `--baud: expected an integer from ${BAUD_RATE_MIN} to ${BAUD_RATE_MAX}, got "${values.baud}".`,
    );
  }
  return { port: positionals[0], baudRate, forMs: parseDuration(values.for), json: values.json };
}

function parseRaw(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        baud: { type: 'string', default: '115200' },
        for: { type: 'string', default: '3s' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
      strict: true,
      allowPositionals: true,
    });
  } catch (cause) {
    throw new EdgeloopError('ELOOP_CONFIG', `${(cause as Error).message}. Try --help.`);
  }
}
