/**
 * The serial ports that the kernel has hardware for, and the names that udev gave them.
 *
 *   /sys/class/tty/ttyUSB0 ─> /sys/devices/.../1-3/1-3:1.0/ttyUSB0/tty/ttyUSB0
 *                                           │    │           └ the port; `device` is a link to the hardware
 *                                           │    └ the interface: bInterfaceNumber, driver
 *                                           └ the board: idVendor, idProduct, manufacturer, product, serial
 *
 *   /dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0 ─> ../../ttyUSB0
 */
import { basename, dirname, join } from 'node:path';
import { type Roots, readFolder, readLink, readName, readText, realPath } from './machine.ts';
import { ttyNumber } from './port-users.ts';

export interface Device {
  /** Below /dev. */
  readonly name: string;
  readonly path: string;
  /** Device number, see `ttyNumber`. */
  readonly tty: number;
  /** `uart`: on the machine's own board. */
  readonly kind: 'usb' | 'uart' | 'other';
  readonly driver: string | null;
  readonly usb: UsbBoard | null;
  /** Paths below /dev/serial that lead to it, best first. */
  readonly links: readonly string[];
}

export interface UsbBoard {
  /** Vendor and product in hexadecimal: "2341:0043". */
  readonly id: string;
  readonly maker: string | null;
  readonly product: string | null;
  readonly serialNumber: string | null;
  /** All that the port's by-id name is made of: ports that agree in it get the same name. */
  readonly identity: string;
}

/** A serial driver of Linux says so of a name that it keeps without hardware behind it. */
const UART_TYPE_NONE = '0';

/** Layers of the kernel that stand between a port and its driver, and would be taken for one. */
const LAYERS = ['serial-base', 'usb-serial'];

const LINK_FOLDERS = ['serial/by-id', 'serial/by-path'];

export function readDevices(roots: Roots): Device[] {
  const links = readLinks(roots);
  return readFolder(join(roots.sys, 'class/tty'))
    .map((name) => readDevice(name, links, roots))
    .filter((device) => device !== null);
}

/** @returns null for what has no hardware: terminals on the screen, reserved names */
function readDevice(name: string, links: Links, roots: Roots): Device | null {
  const folder = join(roots.sys, 'class/tty', name);
  const hardware = realPath(join(folder, 'device'));
  const uartType = readText(join(folder, 'type'));
  if (hardware === null || uartType === UART_TYPE_NONE) return null;
  const ancestors = foldersUpTo(realPath(roots.sys) ?? roots.sys, hardware);
  const usb = readUsb(ancestors);
  const path = join(roots.dev, name);
  return {
    name,
    path,
    tty: ttyNumber(readText(join(folder, 'dev'))),
    kind: usb ? 'usb' : uartType === null ? 'other' : 'uart',
    driver: readDriver(ancestors),
    usb,
    links: links.get(realPath(path) ?? path) ?? [],
  };
}

/** The folder and those it lies in, up to the top. */
function foldersUpTo(top: string, folder: string): string[] {
  const folders: string[] = [];
  for (let at = folder; at.startsWith(`${top}/`); at = dirname(at)) folders.push(at);
  return folders;
}

function readUsb(ancestors: readonly string[]): UsbBoard | null {
  const board = ancestors.find((folder) => readText(join(folder, 'idVendor')) !== null);
  if (board === undefined) return null;
  const read = (name: string): string | null => readName(join(board, name));
  const first = (name: string): string | null =>
    ancestors.map((folder) => readName(join(folder, name))).find((text) => text !== null) ?? null;
  const id = `${read('idVendor')}:${read('idProduct')}`;
  const [maker, product, serialNumber] = ['manufacturer', 'product', 'serial'].map(read);
  const port = [first('bInterfaceNumber'), first('port_number')];
  return {
    id,
    maker,
    product,
    serialNumber,
    identity: JSON.stringify([id, maker, product, serialNumber, ...port]),
  };
}

function readDriver(ancestors: readonly string[]): string | null {
  for (const folder of ancestors) {
    if (LAYERS.includes(basename(readLink(join(folder, 'subsystem')) ?? ''))) continue;
    const driver = readLink(join(folder, 'driver'));
    if (driver !== null) return basename(driver);
  }
  return null;
}

/** Device -> paths of the links to it; by-id before by-path. */
type Links = ReadonlyMap<string, readonly string[]>;

function readLinks(roots: Roots): Links {
  const links = new Map<string, string[]>();
  for (const folder of LINK_FOLDERS) {
    for (const name of readFolder(join(roots.dev, folder))) {
      const link = join(roots.dev, folder, name);
      const device = realPath(link);
      if (device !== null) links.set(device, [...(links.get(device) ?? []), link]);
    }
  }
  return links;
}

/**
 * The name for the config: by-id, which names the board; else by-path, which names the socket; else the path. A
 * by-id name that several boards share (clones without serial numbers) leads to the one plugged in last.
 */
export function stableName(device: Device, devices: readonly Device[]): string {
  const identity = device.usb?.identity;
  const isShared = devices.some((other) => other !== device && other.usb && other.usb.identity === identity);
  const link = device.links.find((path) => !isShared || basename(dirname(path)) !== 'by-id');
  return link ?? device.path;
}
