import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openPty, type Pty } from '../../src/demo/pty.ts';
import { EdgeloopError } from '../../src/errors.ts';
import { descendants, eventually, lives, Tty } from '../support/processes.ts';

const MODULE = JSON.stringify(new URL('../../src/demo/pty.ts', import.meta.url).href);
const LINE = '0.123,0.123,1.012,24.25,unbalanced\r\n';

const opened: (Pty | Tty)[] = [];

async function pair(): Promise<[Pty, Tty]> {
  const pty = await openPty();
  const tty = new Tty(pty.path);
  opened.push(tty, pty);
  return [pty, tty];
}

/** Offers lines until none has been taken for a while. */
async function takenUnread(pty: Pty): Promise<number> {
  let taken = 0;
  let idleMs = 0;
  while (idleMs++ < 100) {
    while (pty.write(LINE)) {
      taken++;
      idleMs = 0;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return taken;
}

afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

describe('openPty', () => {
  test('carries bytes unchanged in both directions', async () => {
    const [pty, tty] = await pair();
    // Every byte a terminal would act upon: control characters, CR, LF, XON, XOFF, end of file, erase.
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const back: Buffer[] = [];
    pty.onData = (bytes) => void back.push(bytes);

    await pty.send(all);
    expect(await tty.readUntil(() => tty.bytesRead >= 256)).toBe(true);
    expect(Buffer.from(tty.text, 'latin1')).toEqual(all);

    writeSync(tty.fd, all);
    await eventually(() => Buffer.concat(back).length >= 256);
    expect(Buffer.concat(back)).toEqual(all);
    tty.read();
    expect(tty.bytesRead).toBe(256); // nothing is echoed
  });

  test('refuses lines that nobody reads, and takes them again when somebody does', async () => {
    const [pty, tty] = await pair();
    const taken = await takenUnread(pty);
    // 64 KiB of ours, at most as much of the kernel's for the tty, and one line over.
    expect(taken * LINE.length).toBeGreaterThan(65_536 - LINE.length);
    expect(taken * LINE.length).toBeLessThan(2 * 65_536 + LINE.length);
    expect(await tty.readUntil(() => tty.bytesRead >= taken * LINE.length)).toBe(true);
    expect(tty.text).toBe(LINE.repeat(taken)); // whole lines only, none twice

    expect(await eventually(() => pty.write(LINE))).toBe(true);
    expect(await tty.readUntil(() => tty.bytesRead === (taken + 1) * LINE.length)).toBe(true);
  });

  test('keeps its account right when the other side writes much', async () => {
    const [pty, tty] = await pair();
    let back = 0;
    pty.onData = (bytes) => void (back += bytes.length);
    const bytes = Buffer.alloc(2000, 'x');
    for (let block = 0; block < 200; block++) {
      writeSync(tty.fd, bytes);
      const wanted = (block + 1) * bytes.length;
      expect(await eventually(() => back === wanted)).toBe(true);
    }
    // Were those 400 kB taken for ours or the other way round, this would be nothing, or far too much.
    const taken = await takenUnread(pty);
    expect(taken * LINE.length).toBeGreaterThan(65_536 - LINE.length);
    expect(taken * LINE.length).toBeLessThan(2 * 65_536 + LINE.length);
  });

  test('sends any amount at the pace of the reader', async () => {
    const [pty, tty] = await pair();
    const bytes = Buffer.alloc(3_000_000, LINE);
    let sent = false;
    const sending = pty.send(bytes).then(() => (sent = true));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(sent).toBe(false); // nobody has read yet
    expect(await tty.readUntil(() => tty.bytesRead >= bytes.length, 20_000)).toBe(true);
    await sending;
    expect(tty.bytesRead).toBe(bytes.length);
    expect(tty.text.slice(0, 1000)).toBe(bytes.toString('latin1', 0, 1000));
  });

  test('close is the pulled cable: the reader sees a hang-up, writing is refused, no process is left', async () => {
    const before = descendants(process.pid);
    const [pty, tty] = await pair();
    const started = descendants(process.pid).filter((pid) => !before.includes(pid));
    expect(started.length).toBe(2); // script and sleep
    let gone = false;
    pty.onGone = () => (gone = true);
    expect(pty.write(LINE)).toBe(true);
    expect(await tty.readUntil(() => tty.text === LINE)).toBe(true);

    await Promise.all([pty.close(), pty.close()]);
    expect(await tty.readUntil(() => tty.hungUp)).toBe(true);
    expect(started.filter(lives)).toEqual([]);
    expect(pty.write(LINE)).toBe(false);
    await expect(pty.send(Buffer.from(LINE))).rejects.toThrow(/was closed/);
    expect(gone).toBe(false); // that is for an end nobody asked for
  });

  test('closes while the pipe is full', async () => {
    const [pty] = await pair();
    const sending = pty.send(Buffer.alloc(1_000_000, LINE));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await Promise.all([expect(sending).rejects.toThrow(EdgeloopError), pty.close()]);
  });

  test('says so when it goes away by itself', async () => {
    const before = descendants(process.pid);
    const [pty, tty] = await pair();
    const started = descendants(process.pid).filter((pid) => !before.includes(pid));
    const gone = new Promise<void>((resolve) => (pty.onGone = resolve));
    process.kill(started[0], 'SIGKILL'); // script; the sleep is its child
    await gone;
    expect(pty.write(LINE)).toBe(false);
    expect(await tty.readUntil(() => tty.hungUp)).toBe(true);
    expect(await eventually(() => !started.some(lives))).toBe(true);
    await pty.close();
  });

  test('leaves no process when its own is killed', async () => {
    const code = `const { openPty } = await import(${MODULE}); console.log((await openPty()).path); setInterval(() => {}, 1e6);`;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(owner.stdout, 'data');
    const started = descendants(owner.pid!);
    expect(started.length).toBe(2);
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    expect(await eventually(() => !started.some(lives))).toBe(true);
  });
});

describe('openPty without what it needs', () => {
  const path = process.env.PATH;
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'edgeloop-pty-'));
  });

  afterEach(() => {
    process.env.PATH = path;
    rmSync(folder, { recursive: true });
  });

  /** What openPty() rejects with when there are no other programs than those in the folder. */
  async function refusal(openMsMax: number): Promise<string> {
    process.env.PATH = folder;
    const error = await openPty(openMsMax).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(EdgeloopError);
    expect((error as EdgeloopError).code).toBe('ELOOP_BOARD');
    return (error as EdgeloopError).message;
  }

  function pretendSetpriv(script: string): void {
    writeFileSync(join(folder, 'setpriv'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }

  test('names the packages when setpriv is missing', async () => {
    expect(await refusal(5000)).toMatch(/ENOENT.*bsdutils.*util-linux/);
  });

  test('names the packages when script is missing', async () => {
    const setpriv = path!.split(':').map((one) => join(one, 'setpriv'));
    symlinkSync(setpriv.find(existsSync)!, join(folder, 'setpriv'));
    expect(await refusal(5000)).toMatch(/got: setpriv: .*script.*bsdutils/);
  });

  test('gives up when no tty is named in time, and ends what it has started', async () => {
    const before = descendants(process.pid);
    pretendSetpriv('exec /bin/sleep 1000');
    expect(await refusal(200)).toMatch(/no answer within 200 ms/);
    const isGone = () => descendants(process.pid).every((pid) => before.includes(pid) || !lives(pid));
    expect(await eventually(isGone)).toBe(true);
  });

  test('does not take something else for a tty', async () => {
    pretendSetpriv('echo not a tty; echo 4711; exec /bin/sleep 1000');
    expect(await refusal(5000)).toMatch(/got: "not a tty\\n4711/);
  });
});
