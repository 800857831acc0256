import { chmodSync, chownSync, existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Pty, openPty } from '../../src/demo/pty.ts';
import { cobsDecode } from '../../src/serial/cobs.ts';
import { FrameEncoder } from '../../src/serial/frame-encoder.ts';
import { decodeSafetensors } from '../../src/store/safetensors.ts';
import { Program, run, temporaryFolder } from '../support/program.ts';

let folder: ReturnType<typeof temporaryFolder>;
let pty: Pty;
let config: string;

beforeEach(async () => {
  folder = temporaryFolder();
  chmodSync(folder.path, 0o755);
  pty = await openPty();
  config = join(folder.path, 'edgeloop.toml');
  plugIn(pty.path);
  writeConfig();
});
afterEach(async () => {
  await pty.close();
  folder.dispose();
});

/** The port's name in the config: a link, as udev makes them, which can be led to another device. */
const portName = (): string => join(folder.path, 'board');

function plugIn(path: string): void {
  rmSync(portName(), { force: true });
  symlinkSync(path, portName());
}

/** The name goes first: the kernel gives the number of a closed pty to the next one, here or in another test. */
async function unplug(): Promise<void> {
  rmSync(portName());
  await pty.close();
}

function writeConfig(more = '', serial = ''): void {
  const input = '[input]\ncolumns = ["x", "y", "state"]\nlabel = "state"\n';
  writeFileSync(config, `[serial]\nport = "${portName()}"\n${serial}${input}${more}`);
}

const weightFile = (): string => join(folder.path, 'edgeloop/edgeloop.safetensors');
const start = (...args: string[]): Program => new Program(['run', '--config', config, ...args], folder.path);

describe('edgeloop run', () => {
  it('learns what the board prints, counts what it drops, and keeps the names of the classes', async () => {
    const program = start('--json');
    await until(() => /Starting with new weights/.test(program.stderr));
    await pty.send(Buffer.from('orn,off\n1,2,off\n2,nan,on\n3,4\n5,x,on\n,6,\n7,8,off\n'));
    await until(() => / rows\/s/.test(program.stderr));
    const { status, stdout } = await program.kill('SIGTERM');
    expect(status).toBe(0);
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({ rows: 4, labelled: 3, learned: 3, changes: 2, skipped: 0 });
    expect(document.dropped).toEqual({
      torn: 1,
      tooLong: 0,
      columnCount: 1,
      notANumber: 1,
      unknownLabel: 0,
      ringFull: 0,
    });
    const { metadata } = decodeSafetensors(readFileSync(weightFile()), 'weights');
    expect(metadata['edgeloop.classes']).toBe('["off","on"]');
  });

  it('saves and ends with status 3 when the port goes away and is not to be waited for', async () => {
    writeConfig('', 'reopen = false\n');
    const program = start();
    await program.prints(/Starting with new weights/);
    await pty.send(Buffer.from('\n1,2,off\n3,4,on\n'));
    await program.prints(/ rows\/s/);
    await unplug();
    const { status, stdout, stderr } = await program.ended;
    expect(status).toBe(3);
    expect(stdout).toMatch(/2 rows, the last of them in a run of .* 2 learned/);
    expect(stderr).toMatch(
      /^edgeloop: ELOOP_PORT_GONE: .*\/board: the port is gone \(.*\)\. Check the cable/,
    );
    expect(existsSync(weightFile())).toBe(true);
  });

  it('waits for a port that is away and goes on under its new name, with a gap between', async () => {
    const program = start('--json');
    await until(() => /Starting with new weights/.test(program.stderr));
    await pty.send(Buffer.from('\n1,2,off\n3,4,on\n5,6'));
    await until(() => / rows\/s/.test(program.stderr));
    await unplug();
    await until(() => /the port is gone .* Waiting for it\./.test(program.stderr));
    await until(() => /port away/.test(program.stderr));
    pty = await openPty();
    plugIn(pty.path);
    await until(() => /is open again; learning goes on/.test(program.stderr));
    await pty.send(Buffer.from(',on\n7,8,off\n'));
    await until(() => / rows\/s[^]*open again[^]* rows\/s/.test(program.stderr));
    const { status, stdout } = await program.kill('SIGTERM');
    expect(status).toBe(0);
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({ rows: 3, learned: 3, changes: 1, link: { reopens: 1 } });
    expect(document.dropped.torn).toBe(2);
    expect(document.link.awayMs).toBeGreaterThan(100);
  });

  it('starts without the board and takes it up when it comes', async () => {
    rmSync(portName());
    const program = start('--for', '20s');
    await program.prints(/no such device.*Waiting for it/);
    plugIn(pty.path);
    await program.prints(/1\d\d rows\/s|0 rows\/s/);
    const { status } = await program.kill('SIGINT');
    expect(status).toBe(0);
  });

  it('prints every prediction as a line of JSON', async () => {
    const program = start('--output', 'jsonl');
    await until(() => /Starting with new weights/.test(program.stderr));
    await pty.send(Buffer.from('\n1,2,off\n3,4,on\n5,6,\n'));
    await program.prints(/\n.*\n.*\n/);
    const { status, stdout } = await program.kill('SIGTERM');
    expect(status).toBe(0);
    const answers = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(answers.map(({ sequence, label }) => [sequence, label])).toEqual([
      [0, 'off'],
      [1, 'on'],
      [2, null],
    ]);
    for (const { class: name, probability } of answers) {
      expect(probability).toBeGreaterThan(1 / 8); // the most likely of eight
      expect(probability).toBeLessThan(1);
      expect([null, 'off', 'on']).toContain(name);
    }
  });

  it('takes labels and freezing from another process, and says at which record they took effect', async () => {
    const program = start('--json');
    await until(() => /Starting with new weights/.test(program.stderr));
    await pty.send(Buffer.from('\n1,2,off\n3,4,\n'));
    await until(() => / [1-9]\d* rows\/s/.test(program.stderr));
    const ask = async (...args: string[]) => {
      const { status, stdout, stderr } = await run([...args, '--json'], folder.path);
      expect(status, stderr).toBe(0);
      return JSON.parse(stdout);
    };
    expect(await ask('label', 'on')).toMatchObject({ sequence: 2 });
    await pty.send(Buffer.from('5,6,\n7,8,\n'));
    let status = await ask('status');
    for (let tries = 0; status.rows < 4 && tries < 50; tries++) status = await ask('status');
    expect(status).toMatchObject({ rows: 4, labelled: 3, learned: 3, label: 'on', frozen: [] });
    expect(await ask('label', '--undo')).toMatchObject({ label: 'on', from: 2 });
    await ask('freeze', 'network');
    await pty.send(Buffer.from('9,9,off\n'));
    for (let tries = 0; status.rows < 5 && tries < 50; tries++) status = await ask('status');
    expect(status).toMatchObject({ labelled: 4, learned: 3, label: null, frozen: ['network'] });
    const refused = await run(['relearn'], folder.path);
    expect(refused.stderr).toMatch(/ELOOP_CONTROL: relearn: expected an anomaly detector/);
    expect((await program.kill('SIGTERM')).status).toBe(0);
  });

  it('sends the prediction back to the board, on change and no oftener than asked', async () => {
    const sent: Buffer[] = [];
    pty.onData = (bytes) => sent.push(bytes);
    writeConfig(
      '[output]\nline = "class={class}\\n"\neveryMs = 50\n[network]\nclasses = 2\nlearningRate = 1\n',
    );
    const program = start('--json');
    await until(() => /Starting with new weights/.test(program.stderr));
    await pty.send(Buffer.from(`\n${'0,0,off\n'.repeat(50)}`));
    await until(() => Buffer.concat(sent).includes('class=off\n'));
    for (let round = 0; round < 40; round++) {
      await pty.send(Buffer.from('9,9,on\n'));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const { stdout } = await program.kill('SIGTERM');
    const lines = Buffer.concat(sent).toString().trim().split('\n');
    expect(lines.at(-1)).toBe('class=on');
    expect(lines.every((line, at) => at === 0 || line !== lines[at - 1])).toBe(true);
    expect(JSON.parse(stdout).replies).toEqual({ sent: lines.length, lost: 0 });
  });

  it("answers a board of frames in frames, by the board's own numbers of the classes", async () => {
    const received: Buffer[] = [];
    pty.onData = (bytes) => received.push(bytes);
    const session = {
      rateHz: 100,
      hasTime: false,
      labelInBand: true,
      valueType: 'float32' as const,
      columns: ['x', 'y'].map((name) => ({ name, unit: '', scale: 1 })),
      classes: ['spare', 'off', 'on'],
    };
    writeFileSync(
      config,
      `[serial]\nport = "${portName()}"\n[input]\nformat = "frames"\ncolumns = ["x", "y", "label"]\nlabel = "label"\n` +
        'classes = ["on", "off"]\n[output]\nframe = true\neveryMs = 20\nonChange = false\n' +
        '[network]\nclasses = 2\nlearningRate = 1\n',
    );
    const program = start('--json');
    await until(() => /Starting with new weights/.test(program.stderr));
    const encoder = new FrameEncoder(session);
    await pty.send(Buffer.concat([Buffer.of(0), encoder.describe()]));
    // On a busy machine the learner is compiled late: some answers must have come.
    const isEnough = (): boolean => encoder.sequence >= 200 && Buffer.concat(received).length > 10 * 17;
    for (encoder.label = 1; !isEnough() && encoder.sequence < 3000;) {
      await pty.send(encoder.row([-1, 1]));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const { stdout } = await program.kill('SIGTERM');
    const answers = Buffer.concat(received);
    expect(answers.length).toBeGreaterThan(10 * 17);
    const document = JSON.parse(stdout);
    expect(document.replies).toEqual({ sent: answers.length / 17, lost: 0 });
    expect(document.dropped.unknownLabel).toBe(0);
    const frames = Array.from({ length: answers.length / 17 }, (_, n) =>
      answers.subarray(17 * n, 17 * n + 17),
    );
    const decoded = frames.map((bytes) => {
      const frame = Buffer.from(bytes);
      cobsDecode(frame, 16);
      return {
        sequence: frame.readUInt32LE(1),
        kind: frame[5],
        index: frame[6],
        value: frame.readFloatLE(7),
      };
    });
    const last = decoded.at(-1)!;
    expect(last).toMatchObject({ kind: 1, index: 1 });
    expect(last.value).toBeGreaterThan(0.5);
    for (const [n, { sequence, index }] of decoded.slice(1).entries()) {
      expect(sequence).toBeGreaterThan(decoded[n].sequence);
      expect([1, 2]).toContain(index);
    }
  });

  it('drops rows of a class that is not among the pinned ones, and refuses weights of others', async () => {
    writeConfig('classes = ["on", "off"]\n');
    const program = start('--json');
    await until(() => /Starting with new weights/.test(program.stderr));
    await pty.send(Buffer.from('\n1,2,off\n1,3,ff\n1,4,on\n1,4,of\n'));
    await until(() => / rows\/s/.test(program.stderr));
    const { stdout } = await program.kill('SIGTERM');
    expect(JSON.parse(stdout)).toMatchObject({ rows: 2, dropped: { unknownLabel: 2 } });
    const { metadata } = decodeSafetensors(readFileSync(weightFile()), 'weights');
    expect(metadata['edgeloop.classes']).toBe('["on","off"]');
    writeConfig('classes = ["off", "on"]\n');
    const { status, stderr } = await start().ended;
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /ELOOP_SHAPE: .*expected the classes off, on of input\.classes in this order, got on, off/,
    );
  });

  it('recognises what the board prints with format = "auto", and keeps to it', async () => {
    writeFileSync(config, `[serial]\nport = "${portName()}"\n[input]\nformat = "auto"\n`);
    const program = start('--json');
    const chatter = setInterval(() => {
      const state = Math.floor(performance.now() / 300) % 2 ? 'on' : 'off';
      pty.write(
        `ax:${performance.now().toFixed(1)},ay:${Math.sin(performance.now()).toFixed(3)},state:${state}\r\n`,
      );
    }, 5);
    await until(() => / [1-9]\d* rows\/s/.test(program.stderr));
    const { status, stdout } = await program.kill('SIGTERM');
    expect(program.stderr).toMatch(/Recognised plotter: ax, ay, state; the class is "state"/);
    expect(status).toBe(0);
    expect(JSON.parse(stdout).learned).toBeGreaterThan(50);
    clearInterval(chatter);

    const other = setInterval(
      () => pty.write(`${performance.now().toFixed(1)},2,3,${Math.random() < 0.5 ? 'a' : 'b'}\n`),
      5,
    );
    const second = await start().ended;
    clearInterval(other);
    expect(second.status).toBe(1);
    // ax rose like a clock, and was taken for one: the rows hold ay.
    expect(program.stderr).toMatch(/column "ax" rises .* the board's clock/);
    expect(second.stderr).toMatch(/inputs: expected \[.*\], got \["ay"\]/);
  });

  it('gives up on a silent board when the time is up, with format = "auto"', async () => {
    writeFileSync(config, `[serial]\nport = "${portName()}"\n[input]\nformat = "auto"\n`);
    const { status, stderr } = await start('--for', '1s').ended;
    expect(stderr).toMatch(
      /^Listening to .*board to find out what it prints\.\nedgeloop: ELOOP_STREAM: .*got none/,
    );
    expect(status).toBe(1);
  });

  it('learns from frames, and refuses a board that describes other columns', async () => {
    const session = {
      rateHz: 100,
      hasTime: false,
      labelInBand: true,
      valueType: 'float32' as const,
      columns: ['x', 'y'].map((name) => ({ name, unit: '', scale: 1 })),
      classes: ['off', 'on'],
    };
    const encoder = new FrameEncoder(session);
    writeFileSync(config, `[serial]\nport = "${portName()}"\n[input]\nformat = "auto"\n`);
    const program = start('--json');
    const sender = setInterval(() => {
      encoder.label = (encoder.sequence >> 4) & 1;
      if (encoder.sequence % 50 === 0) pty.write(encoder.describe());
      pty.write(encoder.row([Math.random(), encoder.label]));
    }, 5);
    await until(() => / [1-9]\d* rows\/s/.test(program.stderr));
    clearInterval(sender);
    const other = new FrameEncoder({ ...session, columns: [...session.columns].toReversed() });
    await pty.send(other.describe());
    const { status, stderr, stdout } = await program.ended;
    expect(stderr).toMatch(/Recognised frames: x, y, label/);
    expect(stderr).toMatch(/ELOOP_STREAM: .*expected x, y; got y, x/);
    expect(status).toBe(1);
    expect(JSON.parse(stdout).learned).toBeGreaterThan(20);
    expect(JSON.parse(stdout).dropped).toMatchObject({ crc: 0, lostFrames: 0 });
  });

  it('tells a board that came back its class again', async () => {
    const sent: string[] = [];
    const listen = (): void => {
      const at = sent.push('') - 1;
      pty.onData = (bytes) => (sent[at] += bytes.toString());
    };
    listen();
    writeConfig('[output]\nline = "{class}."\neveryMs = 10\n[network]\nclasses = 2\n');
    const program = start('--json');
    await until(() => /Starting with new weights/.test(program.stderr));
    await pty.send(Buffer.from(`\n${'0,0,x\n'.repeat(20)}`));
    await until(() => sent[0].includes('x.'));
    await unplug();
    await until(() => /Waiting for it/.test(program.stderr));
    pty = await openPty();
    listen();
    plugIn(pty.path);
    await until(() => /is open again/.test(program.stderr));
    await pty.send(Buffer.from(`\n${'0,0,x\n'.repeat(20)}`));
    await until(() => sent[1].includes('x.'));
    const { stdout } = await program.kill('SIGTERM');
    expect(JSON.parse(stdout).replies.lost).toBe(0);
  });

  it('takes a flood at any speed: every row is learned, or refused by the full ring and counted', async () => {
    writeConfig('[stream]\nringRows = 16\n[network]\nhidden = 128\n');
    const program = start('--json');
    await until(() => /Starting with new weights/.test(program.stderr));
    const rows = 50_000;
    const lines = Array.from(
      { length: rows },
      (_, row) => `${row % 10},${row % 7},${row % 2 ? 'odd' : 'even'}\n`,
    );
    await pty.send(Buffer.from(`\n${lines.join('')}\n`));
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { status, stdout } = await program.kill('SIGTERM');
    expect(status).toBe(0);
    const document = JSON.parse(stdout);
    expect(document.rows + document.dropped.ringFull).toBe(rows);
    expect(document.dropped.ringFull).toBeGreaterThan(0);
    expect(document.learned).toBe(document.rows);
  });

  it('refuses weights of another size with expected, got and remedy, and leaves them untouched', async () => {
    const first = start('--for', '500ms');
    expect((await first.ended).status).toBe(0);
    const before = readFileSync(weightFile());
    writeConfig('[network]\nhidden = 17\n');
    const { status, stderr } = await start('--for', '500ms').ended;
    expect(status).toBe(1);
    expect(stderr).toMatch(/ELOOP_SHAPE: .*expected shape \[17,2\], got \[16,2\].*--fresh/);
    expect(readFileSync(weightFile())).toEqual(before);
  });

  it('names the group to join when the port may not be opened', async (context) => {
    if (process.getuid?.() !== 0) {
      console.warn('SKIPPED: only root can start the program as a user without rights to the port');
      context.skip();
    }
    const dialout = 20; // on every Debian
    chownSync(pty.path, 0, dialout);
    chmodSync(pty.path, 0o660);
    const nobody = { uid: 65_534, gid: 65_534 };
    const { status, stderr } = await new Program(['run', '--config', config], folder.path, nobody).ended;
    expect(stderr).toMatch(
      /ELOOP_PORT: .*permission denied.*belongs to the group dialout: run `sudo usermod -aG dialout nobody`/,
    );
    expect(status).toBe(1);
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}
