/** A machine's /sys, /dev, /proc and so on as folders of its own, laid out and linked as Linux has them. */
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Roots } from '../../src/serial/machine.ts';
import { temporaryFolder } from './program.ts';

/** Debian's group of serial ports. */
export const DIALOUT = 20;

/** Readable for all who are in its group, as udev leaves it. */
const DEVICE_MODE = 0o660;

const FIRST_PID_NAMESPACE = 'pid:[4026531836]';
const OWN_PID = 4242;

export interface Usb {
  /** Of the bus and its ports: "1-2". */
  readonly socket: string;
  readonly name: string;
  /** Major and minor number: "166:0". */
  readonly device: string;
  readonly vendorId: string;
  readonly productId: string;
  readonly driver: string;
  readonly manufacturer?: string;
  readonly product?: string;
  readonly serial?: string;
  /** "00": which of the board's functions. */
  readonly interfaceNumber?: string;
  /** What udev calls it below /dev/serial/by-id, unless another board took the name. */
  readonly byId?: string;
}

export class Machine {
  readonly roots: Roots;
  readonly dispose: () => void;
  readonly #path: string;

  constructor() {
    const { path, dispose } = temporaryFolder();
    chmodSync(path, 0o755);
    this.#path = path;
    this.dispose = dispose;
    const at = (name: string): string => join(path, name);
    this.roots = {
      sys: at('sys'),
      dev: at('dev'),
      proc: at('proc'),
      run: at('run'),
      etc: at('etc'),
      boot: at('boot'),
    };
    for (const root of Object.values(this.roots)) mkdirSync(root);
    this.file('etc/group', 'root:x:0:\ntty:x:5:\ndialout:x:20:pi,nobody\nplugdev:x:46:pi\n');
    this.file('proc/cmdline', 'coherent_pool=1M console=tty1 root=PARTUUID=1-02 rootwait\n');
    this.file('sys/class/tty/console/active', 'tty0\n');
    this.link('proc/self', String(OWN_PID));
    this.process(OWN_PID, 'node');
    this.link(`proc/${OWN_PID}/ns/pid`, FIRST_PID_NAMESPACE);
    this.process(1, 'systemd');
    this.#screens();
  }

  file(path: string, text: string | Uint8Array): void {
    const file = join(this.#path, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  /** @param target as the link says it */
  link(path: string, target: string): void {
    const link = join(this.#path, path);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(target, link);
  }

  /** A device file. Only root can give it to a group; else it is the user's own. */
  node(name: string, mode = DEVICE_MODE, gid = DIALOUT): void {
    const path = join(this.roots.dev, name);
    this.file(`dev/${name}`, '');
    if (process.getuid?.() === 0) chownSync(path, 0, gid);
    chmodSync(path, mode);
  }

  /** @param tty number of the controlling terminal, as /proc/PID/stat has it */
  process(pid: number, command: string, { tty = 0, args = [command] as readonly string[] } = {}): void {
    this.file(`proc/${pid}/stat`, `${pid} (${command}) S 1 ${pid} ${pid} ${tty} -1 4194560 55744 0 0\n`);
    this.file(`proc/${pid}/cmdline`, args.map((argument) => `${argument}\0`).join(''));
    this.file(`proc/${pid}/cgroup`, `0::/system.slice/${command}.service\n`);
    mkdirSync(join(this.roots.proc, `${pid}/fd`));
  }

  /** The process holds /dev/`name` open. */
  opens(pid: number, name: string, descriptor = 3): void {
    this.link(`proc/${pid}/fd/${descriptor}`, join(this.roots.dev, name));
  }

  /** A board with its own USB, by cdc_acm: the port hangs on the interface. */
  acm(usb: Usb): void {
    const face = this.#usbBoard(usb);
    this.#bind(face, 'usb', usb.driver);
    this.#tty(usb, face);
  }

  /** A serial converter: the port hangs on a device of the kernel's usb-serial layer below the interface. */
  usbSerial(usb: Usb): void {
    const face = this.#usbBoard(usb);
    this.#bind(face, 'usb', usb.driver);
    const port = `${face}/${usb.name}`;
    this.file(`${port}/port_number`, '0\n');
    this.#bind(port, 'usb-serial', `${usb.driver}-uart`);
    this.#tty(usb, port);
  }

  /**
   * A UART of the machine, with the two layers that kernels since 6.5 put in.
   * @param type 0: a name without hardware behind it
   */
  uart(name: string, device: string, { type = 32, driver = 'uart-pl011', mode = DEVICE_MODE } = {}): void {
    const hardware = `sys/devices/platform/soc@107c000000/${name}.serial`;
    this.#bind(hardware, 'platform', driver);
    this.#bind(`${hardware}/${name}:0`, 'serial-base', 'ctrl');
    const port = `${hardware}/${name}:0/${name}:0.0`;
    this.#bind(port, 'serial-base', 'port');
    this.#tty({ name, device }, port);
    this.file(`${port}/tty/${name}/type`, `${type}\n`);
    this.node(name, mode);
  }

  /** Something else with a terminal: neither USB nor a UART. */
  other(name: string, device: string): void {
    const hardware = `sys/devices/virtual/bluetooth/${name}`;
    this.file(`${hardware}/uevent`, '');
    this.#tty({ name, device }, hardware);
    this.node(name);
  }

  #usbBoard(usb: Usb): string {
    const { socket, interfaceNumber = '00', byId } = usb;
    const board = `sys/devices/platform/axi/1000120000.pcie/usb1/${socket}`;
    const attributes = {
      idVendor: usb.vendorId,
      idProduct: usb.productId,
      manufacturer: usb.manufacturer,
      product: usb.product,
      serial: usb.serial,
    };
    for (const [name, text] of Object.entries(attributes)) {
      if (text !== undefined) this.file(`${board}/${name}`, `${text}\n`);
    }
    this.#bind(board, 'usb', 'usb');
    const face = `${board}/${socket}:1.${Number(interfaceNumber)}`;
    this.file(`${face}/bInterfaceNumber`, `${interfaceNumber}\n`);
    this.node(usb.name);
    if (byId !== undefined) this.link(`dev/serial/by-id/${byId}`, `../../${usb.name}`);
    const place = `platform-xhci-hcd.0-usb-0:${socket.slice(2)}:1.${Number(interfaceNumber)}`;
    this.link(`dev/serial/by-path/${place}-port0`, `../../${usb.name}`);
    return face;
  }

  #tty({ name, device }: { name: string; device: string }, hardware: string): void {
    const folder = `${hardware}/tty/${name}`;
    this.file(`${folder}/dev`, `${device}\n`);
    this.#linkTo(`${folder}/device`, hardware);
    this.#linkTo(`sys/class/tty/${name}`, folder);
  }

  #bind(device: string, bus: string, driver: string): void {
    const target = `sys/bus/${bus}/drivers/${driver}`;
    mkdirSync(join(this.#path, target), { recursive: true });
    this.#linkTo(`${device}/subsystem`, `sys/bus/${bus}`);
    this.#linkTo(`${device}/driver`, target);
  }

  /** A relative link, as sysfs has them. The second of two equal ones is the first. */
  #linkTo(path: string, target: string): void {
    try {
      this.link(path, relative(dirname(path), target));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    }
  }

  /** What is in every /sys/class/tty and is no serial port. */
  #screens(): void {
    for (const name of ['ptmx', 'tty', 'tty0', 'tty1']) {
      this.file(`sys/devices/virtual/tty/${name}/dev`, '4:0\n');
      this.#linkTo(`sys/class/tty/${name}`, `sys/devices/virtual/tty/${name}`);
    }
  }
}

export const UNO: Usb = {
  socket: '1-1.2',
  name: 'ttyACM0',
  device: '166:0',
  vendorId: '2341',
  productId: '0043',
  driver: 'cdc_acm',
  manufacturer: 'Arduino (www.arduino.cc)',
  serial: '75430333338351D0D1A1',
  byId: 'usb-Arduino__www.arduino.cc__0043_75430333338351D0D1A1-if00',
};

/** A clone without a serial number; `count` of them are plugged in side by side. */
export function ch340(count: number): Usb {
  return {
    socket: `1-1.${3 + count}`,
    name: `ttyUSB${count}`,
    device: `188:${count}`,
    vendorId: '1a86',
    productId: '7523',
    driver: 'ch341',
    product: 'USB Serial',
  };
}

export const CH340_BY_ID = 'usb-1a86_USB_Serial-if00-port0';

export const FTDI: Usb = {
  socket: '1-2',
  name: 'ttyUSB7',
  device: '188:7',
  vendorId: '0403',
  productId: '6001',
  driver: 'ftdi_sio',
  manufacturer: 'FTDI',
  product: 'FT232R USB UART',
  serial: 'A50285BI',
  byId: 'usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0',
};
