import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { portsText } from '../../src/cli/ports.ts';
import { type SerialPortInfo, listPorts } from '../../src/serial/ports.ts';
import { CommandProcess } from '../support/command-process.ts';
import { CH340_BY_ID, FTDI, Machine, UNO, ch340 } from '../support/machine.ts';

let machine: Machine;
beforeEach(() => void (machine = new Machine()));
afterEach(() => machine.dispose());

/** What the command prints of the machine, with the folder that stands for / taken out. */
function printed(): string {
  const text = portsText(listPorts(machine.roots), machine.roots);
  const root = machine.roots.dev.slice(0, -'/dev'.length);
  return text.replaceAll(root, '');
}

/** Its lines, with two spaces between columns: their width depends on where the test's folder lies. */
const squeezed = (): string[] =>
  printed()
    .split('\n')
    .map((line) => line.replaceAll(/(?<=\S) {2,}/g, '  '));

describe('edgeloop ports', () => {
  it('prints a table, with the stable name and the trouble below a port', () => {
    machine.acm(UNO);
    machine.process(900, 'serial-monitor');
    machine.opens(900, 'ttyACM0');
    machine.uart('ttyAMA10', '204:74');
    machine.link('dev/serial0', 'ttyAMA10');
    machine.file('proc/cmdline', 'console=ttyAMA10,115200\n');
    machine.file('boot/firmware/cmdline.txt', 'console=serial0,115200 console=tty1\n');
    expect(squeezed()).toEqual([
      'PORT  BOARD  USB ID  DRIVER  READABLE  IN USE',
      '/dev/ttyACM0  Arduino (www.arduino.cc)  2341:0043  cdc_acm  yes  by serial-monitor (900)',
      '  /dev/serial/by-id/usb-Arduino__www.arduino.cc__0043_75430333338351D0D1A1-if00',
      '/dev/ttyAMA10  on-board UART  -  uart-pl011  no  no',
      "  not readable: the kernel's console is on it. To free it, remove console=serial0,115200 from " +
        '/boot/firmware/cmdline.txt, run `sudo systemctl disable --now serial-getty@ttyAMA10` and restart the machine.',
      '',
      `serial.port = "auto" takes /dev/serial/by-id/${UNO.byId}`,
      '',
    ]);
  });

  it('begins every column of the table at the same place', () => {
    machine.acm(UNO);
    machine.uart('ttyAMA10', '204:74');
    const text = portsText(listPorts(machine.roots), machine.roots);
    const rows = text.split('\n').filter((line) => /^(PORT|\/.*(yes|no)$)/.test(line));
    expect(rows).toHaveLength(3);
    const starts = rows.map((row) => [...row.matchAll(/(?<=^| {2})\S/g)].map(({ index }) => index));
    expect(starts[0]).toHaveLength(6);
    expect(starts[1]).toEqual(starts[0]);
    expect(starts[2]).toEqual(starts[0]);
  });

  it('says what "auto" would have to choose from', () => {
    machine.usbSerial({ ...ch340(0), byId: CH340_BY_ID });
    machine.usbSerial(FTDI);
    expect(printed()).toContain(
      `serial.port = "auto" cannot choose; set serial.port to /dev/serial/by-id/${CH340_BY_ID} or ` +
        `/dev/serial/by-id/${FTDI.byId}\n`,
    );
  });

  it('says what to check when there is no board, or no port at all', () => {
    expect(printed()).toMatch(/^no serial ports found: Plug the board in with a cable that carries data/);
    machine.other('rfcomm0', '216:0');
    expect(printed()).toMatch(/serial\.port = "auto" takes none of them\. Plug the board in/);
  });

  it('looks at this machine and ends with status 0, whatever it finds', async () => {
    const { status, stdout, stderr } = await new CommandProcess(['ports']).ended;
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const found = listPorts();
    expect(stdout).toMatch(found.length > 0 ? /^PORT +BOARD/ : /^no serial ports found: /);
    for (const { path } of found) expect(stdout).toContain(path);
  });

  it('prints the same as JSON: an array, an object for each port', async () => {
    const { status, stdout } = await new CommandProcess(['ports', '--json']).ended;
    expect(status).toBe(0);
    const paths = (JSON.parse(stdout) as SerialPortInfo[]).map(({ path }) => path);
    expect(paths).toEqual(listPorts().map(({ path }) => path));
  });

  it('explains itself', async () => {
    const { status, stdout } = await new CommandProcess(['ports', '--help']).ended;
    expect(status).toBe(0);
    expect(stdout).toMatch(/^edgeloop ports \[--json\]/);
  });

  it.each([[['--all']], [['ttyACM0']]])('refuses what it does not know: %j', async (args) => {
    const { status, stderr } = await new CommandProcess(['ports', ...args]).ended;
    expect(stderr).toMatch(/^edgeloop: ELOOP_CONFIG: .*Try --help\.\n$/s);
    expect(status).toBe(2);
  });
});
