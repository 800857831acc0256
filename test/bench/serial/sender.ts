/**
 * The sending side of the serial bench, in a process of its own: prints the path of its tty, waits for a line on
 * standard input, then sends `rows` rows of `dialect`, at `rowsPerSecond` or as fast as they are read (0). A paced row
 * that is refused since too much is unread is lost; at the end the number of rows sent is printed.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPty } from '../../../src/demo/pty.ts';
import { type BenchDialect, makeStream } from './streams.ts';

const dialect = process.argv[2] as BenchDialect;
const [rows, rowsPerSecond] = process.argv.slice(3).map(Number);
// A thousand different rows, again and again: the sender must not be what is measured.
const stream = makeStream(dialect);

const pty = await openPty();
process.stdout.write(`${pty.path}\n`);
await once(process.stdin, 'data');
await pty.send(stream.opening);
process.stdout.write(`${rowsPerSecond > 0 ? await sendPaced() : await sendAll()}\n`);
await once(process.stdin.resume(), 'end');
await pty.close();

async function sendAll(): Promise<number> {
  const block = Buffer.concat(stream.rows);
  for (let sent = 0; sent < rows; sent += stream.rows.length) await pty.send(block);
  return rows;
}

async function sendPaced(): Promise<number> {
  const startMs = performance.now();
  let sent = 0;
  for (let row = 0; row < rows;) {
    await sleep(1);
    const due = Math.min(rows, Math.floor(((performance.now() - startMs) * rowsPerSecond) / 1000));
    const burst: Uint8Array[] = [];
    for (; row < due; row++) burst.push(stream.rows[row % stream.rows.length]);
    if (burst.length > 0 && pty.write(Buffer.concat(burst))) sent += burst.length;
  }
  return sent;
}
