import { readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Pty, openPty } from '../../src/demo/pty.ts';
import { DurableLink } from '../../src/serial/durable-link.ts';
import { Machine } from '../support/machine.ts';
import { temporaryFolder } from '../support/program.ts';

/** Unplugged and plugged in again this often; EDGELOOP_CYCLES=200 for the long run. */
const CYCLES = Number(process.env.EDGELOOP_CYCLES ?? 20);

/** What the port gave last. */
const TEXT_CHARS = 4096;

let folder: ReturnType<typeof temporaryFolder>;
let pty: Pty | undefined;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(async () => {
  await pty?.close();
  pty = undefined;
  folder.dispose();
});

/** The stable name, as udev keeps one: a link to whatever the device is called now. */
const stableName = (): string => join(folder.path, 'board');

async function plugIn(): Promise<string> {
  pty = await openPty();
  rmSync(stableName(), { force: true });
  symlinkSync(pty.path, stableName());
  return pty.path;
}

/** The name goes first: the kernel gives the number of a closed pty to the next one, here or in another test. */
async function unplug(): Promise<void> {
  rmSync(stableName());
  await pty!.close();
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

interface Watched {
  link: DurableLink;
  text: () => string;
  told: string[];
}

async function open(reopen = true): Promise<Watched> {
  let text = '';
  const told: string[] = [];
  const link = await DurableLink.open(
    { port: stableName(), baudRate: 115_200, reopen, readEveryMs: 0 },
    {
      onBytes(bytes, count) {
        const piece = Buffer.from(bytes.subarray(0, count)).toString('latin1');
        text = `${text}${piece}`.slice(-TEXT_CHARS); // all of it would be what grows
      },
      onOpen: (_, again) => told.push(again ? 'again' : 'open'),
      onAway: () => told.push('away'),
      onEnd: () => told.push('end'),
    },
  );
  return { link, text: () => text, told };
}

describe('a port that comes and goes', () => {
  it(`is read again after each of ${CYCLES} unplugs, idle, in mid-line or in mid-flood, with nothing leaked`, async () => {
    await plugIn();
    const { link, text, told } = await open();
    const names = new Set<string>();
    const descriptors: number[] = [];
    const memory: number[] = [];
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      await pty!.send(Buffer.from(`<${cycle}>\n`));
      await until(() => text().includes(`<${cycle}>`));
      let flood: Promise<void> | undefined;
      if (cycle % 3 === 1) await pty!.send(Buffer.from('0.1,0.'));
      if (cycle % 3 === 2) flood = pty!.send(Buffer.alloc(2_000_000, '1,2\n')).catch(() => {});
      await unplug();
      await flood;
      await until(() => told.filter((what) => what === 'away').length === cycle + 1);
      descriptors.push(readdirSync('/proc/self/fd').length);
      memory.push(process.memoryUsage().rss);
      names.add(await plugIn());
      await until(() => told.filter((what) => what === 'again').length === cycle + 1);
    }
    expect(link.counts.reopens).toBe(CYCLES);
    expect(descriptors.at(-1)).toBeLessThanOrEqual(descriptors[0]);
    const [early, late] = [memory[memory.length >> 1], memory.at(-1)!];
    expect(late - early, 'resident memory of the second half').toBeLessThan(64 * 1024 * 1024);
    await link.close();
  }, 300_000);

  it('costs next to nothing while it is away', async () => {
    await plugIn();
    const { link, told } = await open();
    await unplug();
    await until(() => told.includes('away'));
    await new Promise((resolve) => setTimeout(resolve, 4000)); // the looks have slowed down by then
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const { user, system } = process.cpuUsage(before);
    await link.close();
    expect(user + system, 'microseconds of processor time in 5 s').toBeLessThan(250_000);
    expect(link.counts.awayMs).toBeGreaterThan(8000);
  });

  it('is waited for from the start, if it is to be', async () => {
    const { link, told } = await open();
    expect(told).toEqual(['away']);
    await plugIn();
    await until(() => told.includes('open'));
    expect(link.path).toBe(stableName());
    expect(link.counts.reopens).toBe(0);
    await link.close();
  });

  it('ends it at once where waiting was not asked for', async () => {
    await expect(open(false)).rejects.toMatchObject({ code: 'ELOOP_PORT_ABSENT' });
    await plugIn();
    const { told } = await open(false);
    await unplug();
    await until(() => told.includes('end'));
    expect(told).toEqual(['open', 'end']);
  });

  it('does not hide what waiting cannot mend', async () => {
    symlinkSync('/dev/null', stableName());
    await expect(open()).rejects.toMatchObject({ code: 'ELOOP_PORT' });
  });

  it('is left alone once closed, also while waiting', async () => {
    const { link, told } = await open();
    await link.close();
    await plugIn();
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(told).toEqual(['away']);
    expect(link.write(Buffer.from('x'))).toBe(false);
  });
});

describe('serial.port = "auto"', () => {
  /** Its devices lead to ttys. */
  let machine: Machine;
  beforeEach(() => {
    machine = new Machine();
  });
  afterEach(() => machine.dispose());

  function lead(name: string, to: string): void {
    rmSync(join(machine.roots.dev, name), { force: true });
    symlinkSync(to, join(machine.roots.dev, name));
  }

  async function openAuto(): Promise<{ link: DurableLink; told: string[] }> {
    const told: string[] = [];
    const link = await DurableLink.open(
      { port: 'auto', baudRate: 115_200, reopen: true, roots: machine.roots },
      {
        onBytes: () => {},
        onOpen: (path) => told.push(path.replace(machine.roots.dev, '/dev')),
        onChoice: (text) => told.push(text.replace(machine.roots.dev, '/dev')),
        onAway: ({ message }) => told.push(message),
        onEnd: () => {},
      },
    );
    return { link, told };
  }

  it('takes a UART only when no board came on USB, and says so', { timeout: 20_000 }, async () => {
    pty = await openPty();
    machine.uart('ttyAMA0', '204:64');
    lead('ttyAMA0', pty.path);
    const startMs = performance.now();
    const { link, told } = await openAuto();
    expect(told).toEqual([expect.stringMatching(/expected a board on USB, found none yet/)]);
    await until(() => told.length === 3);
    expect(performance.now() - startMs).toBeGreaterThan(5000);
    expect(told.slice(1)).toEqual([
      'serial.port = "auto" is /dev/ttyAMA0 (on-board UART; no board came on USB).',
      '/dev/ttyAMA0',
    ]);
    await link.close();
  });

  it(
    'takes the board that comes on USB a moment later, and after that no UART',
    { timeout: 20_000 },
    async () => {
      pty = await openPty();
      const uart = await openPty();
      machine.uart('ttyAMA0', '204:64');
      lead('ttyAMA0', uart.path);
      const { link, told } = await openAuto();
      await new Promise((resolve) => setTimeout(resolve, 500));
      const usb = { socket: '1-2', name: 'ttyACM0', device: '166:0', driver: 'cdc_acm' };
      machine.acm({ ...usb, vendorId: '2341', productId: '0043', product: 'Uno' });
      lead('ttyACM0', pty.path);
      rmSync(join(machine.roots.dev, 'serial'), { recursive: true }); // udev has not made its names yet
      await until(() => told.length === 3);
      expect(told.slice(1)).toEqual(['serial.port = "auto" is /dev/ttyACM0 (Uno).', '/dev/ttyACM0']);
      rmSync(join(machine.roots.dev, 'ttyACM0'));
      await pty.close();
      pty = undefined;
      await new Promise((resolve) => setTimeout(resolve, 7000));
      expect(told.length, told.join()).toBe(4);
      expect(link.path).toBeUndefined();
      await link.close();
      await uart.close();
    },
  );
});
