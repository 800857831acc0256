/**
 * Finding the board's serial port. Reads what Linux shows of its ports and opens none, which would reset many boards.
 */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { EdgeloopError, type ErrorCode } from '../errors.ts';
import { LINUX, type Roots } from './machine.ts';
import { consoleProblem, rightsProblem } from './port-access.ts';
import { type Device, readDevices, stableName } from './port-devices.ts';
import { type PortUse, type Process, PortUsers, readProcesses } from './port-users.ts';

export interface FoundPort {
  /** /dev/ttyACM0; the number changes with the order of plugging in. */
  readonly path: string;
  /** For the config: below /dev/serial, where there is such a name that leads to no other port; else the path. */
  readonly stableName: string;
  /** `uart`: on the machine's own board. */
  readonly kind: 'usb' | 'uart' | 'other';
  readonly maker: string | null;
  readonly product: string | null;
  readonly serialNumber: string | null;
  /** Vendor and product in hexadecimal: "2341:0043". */
  readonly usbId: string | null;
  readonly driver: string | null;
  readonly readable: boolean;
  /** Why it cannot be read, and what to do about it. */
  readonly problem: string | null;
  /** A console is on it: what, and how to free the port. */
  readonly consoleProblem: string | null;
  /** A board may be at its other end. The others have to be asked for by name. */
  readonly plausible: boolean;
}

export interface SerialPortInfo extends FoundPort, PortUse {}

/** Drivers of phones and mobile network sticks. */
const MODEM_DRIVERS = ['option', 'qcserial', 'sierra', 'hso'];

/** The likeliest first. */
const KINDS: readonly FoundPort['kind'][] = ['usb', 'uart', 'other'];

/** All serial ports with hardware behind them, the likeliest first. */
export function listPorts(roots: Roots = LINUX): SerialPortInfo[] {
  const devices = readDevices(roots);
  if (devices.length === 0) return [];
  const processes = readProcesses(roots);
  const users = new PortUsers(roots, processes);
  return devices
    .map((device) => {
      const names = [device.path, ...device.links].map((path) => basename(path));
      const use = users.of(device.path, names, device.tty);
      return { ...describe(device, devices, processes, roots), ...use };
    })
    .sort(byLikelihood);
}

/**
 * The port that a config means. "auto" is the only plausible one, by its stable name: boards on USB count first, the
 * machine's own UARTs only when there is none. Whether another program holds it plays no part, so that the answer
 * does not depend on who came first.
 * @param port       value of serial.port; anything but "auto" is returned as it is
 * @param takesUarts whether a UART will do; false: not yet, a board on USB may still be on its way
 * @throws EdgeloopError ELOOP_PORT_ABSENT if there is none, with what to check; ELOOP_PORT if there are several, with
 *   their names
 */
export function resolvePort(port: string, roots: Roots = LINUX, takesUarts = true): string {
  if (port !== 'auto') return port;
  const devices = readDevices(roots);
  const processes = readProcesses(roots);
  const ports = devices.map((device) => describe(device, devices, processes, roots)).sort(byLikelihood);
  const candidates = autoCandidates(ports);
  if (!takesUarts && candidates.some(({ kind }) => kind === 'uart')) {
    throw autoError('ELOOP_PORT_ABSENT', uartText(candidates));
  }
  if (candidates.length === 1) return candidates[0].stableName;
  // Absent, not wrong: a board may yet be plugged in.
  if (candidates.length === 0) throw autoError('ELOOP_PORT_ABSENT', noneText(ports, roots));
  throw autoError('ELOOP_PORT', severalText(candidates));
}

/** What "auto" has to choose from: one is the port, several are a question to the user. */
export function autoCandidates<T extends FoundPort>(ports: readonly T[]): T[] {
  const plausible = ports.filter((port) => port.plausible);
  const kind = KINDS.find((kind) => plausible.some((port) => port.kind === kind));
  return plausible.filter((port) => port.kind === kind);
}

/** In words: "Arduino (www.arduino.cc)". */
export function boardName({ kind, maker, product }: FoundPort): string {
  if (kind === 'uart') return 'on-board UART';
  const words = [maker, product].filter((word) => word !== null);
  return words.length > 0 ? words.join(' ') : kind === 'usb' ? 'USB serial' : 'serial port';
}

/** What to check when a board is not there. */
export function plugInAdvice(roots: Roots = LINUX): string {
  const folder = join(roots.sys, 'class/tty');
  if (!existsSync(folder)) return `Expected a Linux that shows its ports in ${folder}, which is not there.`;
  return (
    'Plug the board in with a cable that carries data (many only charge), and see what `sudo dmesg | tail` says ' +
    'about it. A virtual machine or a container has to be given the device.'
  );
}

function describe(
  device: Device,
  devices: readonly Device[],
  processes: readonly Process[],
  roots: Roots,
): FoundPort {
  const onConsole = consoleProblem(device.name, device.tty, processes, roots);
  const problem = onConsole ?? rightsProblem(device.path, roots);
  return {
    path: device.path,
    stableName: stableName(device, devices),
    kind: device.kind,
    maker: device.usb?.maker ?? null,
    product: device.usb?.product ?? null,
    serialNumber: device.usb?.serialNumber ?? null,
    usbId: device.usb?.id ?? null,
    driver: device.driver,
    readable: problem === null,
    problem,
    consoleProblem: onConsole,
    plausible: isPlausible(device) && onConsole === null,
  };
}

/** What the rights are plays no part: a board that may not be read is still the board, and the remedy is named. */
function isPlausible({ kind, driver, path }: Device): boolean {
  return kind !== 'other' && !MODEM_DRIVERS.includes(driver ?? '') && existsSync(path);
}

function byLikelihood(a: FoundPort, b: FoundPort): number {
  return (
    Number(b.plausible) - Number(a.plausible) ||
    KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) ||
    a.path.localeCompare(b.path, 'en', { numeric: true })
  );
}

function autoError(code: ErrorCode, why: string): EdgeloopError {
  return new EdgeloopError(code, `serial.port = "auto": ${why}`);
}

function severalText(candidates: readonly FoundPort[]): string {
  const names = candidates.map((port) => `"${port.stableName}" (${boardName(port)}, now ${port.path})`);
  return `expected one board, got ${candidates.length}. Set serial.port to one of ${names.join(', ')}.`;
}

function uartText(candidates: readonly FoundPort[]): string {
  const names = candidates.map(({ path }) => path).join(', ');
  return (
    `expected a board on USB, found none yet. If none comes the on-board UART is taken, ${names}; ` +
    'to have it at once, set serial.port to it.'
  );
}

function noneText(ports: readonly FoundPort[], roots: Roots): string {
  const others = ports.map(({ path, problem }) => ` ${path} is there: ${problem ?? OTHER_TEXT}`);
  return `expected a board, found none. ${plugInAdvice(roots)}${others.join('')}`;
}

const OTHER_TEXT = 'it does not look like a board; if it is one, set serial.port to it.';
