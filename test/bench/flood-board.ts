/**
 * The sending side of the serial bench, in a process of its own: prints the path of its tty, waits for a line on
 * standard input, then sends `rows` lines, at `rowsPerSecond` or as fast as they are read (0).
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPty } from '../../src/demo/pty.ts';
import { mulberry32 } from '../../src/engine/random.ts';

const [rows, rowsPerSecond] = process.argv.slice(2).map(Number);
const random = mulberry32(5);
const cells = (): string => Array.from({ length: 6 }, () => (20 * random() - 10).toFixed(3)).join(',');
// A thousand different lines, again and again: the sender must not be what is measured.
const lines = Array.from({ length: 1000 }, (_, row) => `${cells()},${row % 2 ? 'on' : 'off'}\n`);

const pty = await openPty();
process.stdout.write(`${pty.path}\n`);
await once(process.stdin, 'data');
await pty.send(Buffer.from('\n')); // ends the torn line, so that every row counts
if (rowsPerSecond > 0) await sendPaced();
else await pty.send(Buffer.from(lines.join('').repeat(rows / lines.length)));
await once(process.stdin.resume(), 'end');
await pty.close();

async function sendPaced(): Promise<void> {
  const startMs = performance.now();
  for (let row = 0; row < rows; row++) {
    const dueMs = startMs + (row * 1000) / rowsPerSecond;
    while (performance.now() < dueMs) await sleep(1);
    pty.write(lines[row % lines.length]);
  }
}
