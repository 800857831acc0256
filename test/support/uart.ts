/** A board behind a UART that garbles unless the tty has its baud rate: see uart.py. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export class Uart {
  /** The tty. */
  readonly path: string;
  readonly #child: ChildProcess;

  private constructor(path: string, child: ChildProcess) {
    this.path = path;
    this.#child = child;
  }

  /** @param rows sent again and again: lines, or frames with their zeros */
  static async open(baudRate: number, rowsPerSecond: number, rows: string | Uint8Array): Promise<Uart> {
    const args = [join(import.meta.dirname, 'uart.py'), `${baudRate}`, `${rowsPerSecond}`];
    const child = spawn('python3', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end(rows);
    const [path] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
    return new Uart(path.trim(), child);
  }

  async close(): Promise<void> {
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}
