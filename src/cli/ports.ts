/** `edgeloop ports`: which serial ports there are, and which of them can be read. */
import { parseArgs } from 'node:util';
import { EXIT, EdgeloopError } from '../errors.ts';
import { LINUX, type Roots } from '../serial/machine.ts';
import { type SerialPortInfo, autoCandidates, boardName, listPorts, plugInAdvice } from '../serial/ports.ts';

export const PORTS_HELP = `edgeloop ports [--json]

  Lists the serial ports with what is known of them, without opening any: the board, who holds the port, whether
  it can be read and else why not, and below it the stable name for serial.port in the config.

  --json           print one JSON array, an object for each port
`;

/** @returns the exit status: 0 also when there is no port */
export async function ports(args: string[]): Promise<number> {
  const { help, json } = parse(args);
  if (help) process.stdout.write(PORTS_HELP);
  else process.stdout.write(json ? `${JSON.stringify(listPorts())}\n` : portsText(listPorts()));
  return EXIT.ok;
}

/** A table, with a line each below a port for its stable name and for what is the matter with it. */
export function portsText(ports: readonly SerialPortInfo[], roots: Roots = LINUX): string {
  if (ports.length === 0) return `no serial ports found: ${plugInAdvice(roots)}\n`;
  const rows = [HEADINGS, ...ports.map(cells)];
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join('  ')
      .trimEnd(),
  );
  const table = ports.flatMap((port, index) => [lines[index + 1], ...notes(port)]);
  return `${[lines[0], ...table, '', autoText(ports, roots)].join('\n')}\n`;
}

const HEADINGS = ['PORT', 'BOARD', 'USB ID', 'DRIVER', 'READABLE', 'IN USE'];

function cells(port: SerialPortInfo): string[] {
  const { path, usbId, driver, readable, inUse, usedBy } = port;
  const users = usedBy.map(({ pid, command }) => `${command} (${pid})`).join(', ');
  const use = inUse === 'yes' ? `by ${users}` : inUse;
  return [path, boardName(port), usbId ?? '-', driver ?? '-', readable ? 'yes' : 'no', use];
}

function notes({ path, stableName, problem }: SerialPortInfo): string[] {
  const lines = stableName === path ? [] : [`  ${stableName}`];
  return problem === null ? lines : [...lines, `  not readable: ${problem}`];
}

function autoText(ports: readonly SerialPortInfo[], roots: Roots): string {
  const candidates = autoCandidates(ports);
  if (candidates.length === 1) {
    const [{ kind, stableName }] = candidates;
    const wait = kind === 'uart' ? ', if no board comes on USB within seconds' : '';
    return `serial.port = "auto" takes ${stableName}${wait}`;
  }
  if (candidates.length === 0) return `serial.port = "auto" takes none of them. ${plugInAdvice(roots)}`;
  const names = candidates.map(({ stableName }) => stableName).join(' or ');
  return `serial.port = "auto" cannot choose; set serial.port to ${names}`;
}

function parse(args: string[]): { help: boolean; json: boolean } {
  const options = {
    help: { type: 'boolean', short: 'h', default: false },
    json: { type: 'boolean', default: false },
  } as const;
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    throw new EdgeloopError('ELOOP_CONFIG', `${(cause as Error).message}. Try --help.`);
  }
}
