import { readdirSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { type Pty, openPty } from '../../src/demo/pty.ts';
import type { EdgeloopError } from '../../src/errors.ts';
import { SerialLink } from '../../src/serial/link.ts';

let ptys: Pty[] = [];
afterEach(async () => {
  await Promise.all(ptys.map((pty) => pty.close()));
  ptys = [];
});

async function newPty(): Promise<Pty> {
  const pty = await openPty();
  ptys.push(pty);
  return pty;
}

interface Opened {
  link: SerialLink;
  received: Buffer[];
  gone: Promise<EdgeloopError>;
}

async function open(path: string): Promise<Opened> {
  const received: Buffer[] = [];
  let onGone: (error: EdgeloopError) => void;
  const gone = new Promise<EdgeloopError>((resolve) => (onGone = resolve));
  const link = await SerialLink.open(
    { path, baudRate: 115_200 },
    {
      onBytes: (bytes, count) => received.push(Buffer.from(bytes.slice(0, count))),
      onGone: (error) => onGone(error),
    },
  );
  return { link, received, gone };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

describe('the serial link on a real tty', () => {
  it('delivers every byte in order, in raw mode', async () => {
    const pty = await newPty();
    const { link, received } = await open(pty.path);
    const sent = Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * 31) & 0xff));
    await pty.send(sent);
    await until(() => received.reduce((sum, piece) => sum + piece.length, 0) >= sent.length);
    expect(Buffer.concat(received).equals(sent)).toBe(true);
    await link.close();
  });

  it.each(['idle', 'in mid-line', 'in mid-flood'])('says that the port is gone: %s', async (when) => {
    const pty = await newPty();
    const { received, gone } = await open(pty.path);
    if (when === 'in mid-line') {
      pty.write('0.1,0.');
      await until(() => received.length > 0);
    }
    const flood =
      when === 'in mid-flood' ? pty.send(Buffer.alloc(50_000_000, '1,2,3\n')).catch(() => {}) : undefined;
    if (flood) await until(() => received.length > 20);
    await pty.close();
    const error = await gone;
    await flood;
    expect(error.code).toBe('ELOOP_PORT_GONE');
    expect(error.exitStatus).toBe(3);
    expect(error.message).toContain(pty.path);
    expect(error.message).toMatch(/Check the cable/);
  });

  it('is silent once closed, can be closed twice and gives its descriptors back', async () => {
    const pty = await newPty();
    const before = openDescriptors();
    for (let round = 0; round < 5; round++) {
      const { link, received } = await open(pty.path);
      pty.write('1,2\n');
      await until(() => received.length > 0);
      await Promise.all([link.close(), link.close()]);
      const heard = received.length;
      pty.write('3,4\n');
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(received.length).toBe(heard);
    }
    expect(openDescriptors()).toBe(before);
  });

  it('holds the port alone, and says so to the second', async () => {
    const pty = await newPty();
    const { link } = await open(pty.path);
    await expect(open(pty.path)).rejects.toThrow(/another program holds it/);
    await link.close();
  });

  it('refuses what is no serial device', async () => {
    await expect(open('/dev/null')).rejects.toThrow(
      /\/dev\/null: cannot open the serial port.*Expected a serial device/,
    );
  });
});
