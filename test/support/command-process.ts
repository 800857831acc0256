/** One command of src/cli/ in a process of its own, started from the sources. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Ended } from './program.ts';

const ENTRY = join(import.meta.dirname, 'command.ts');

export class CommandProcess {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly ended: Promise<Ended>;

  /**
   * @param shell a line of sh that is run before and then becomes the command
   * @param cwd   undefined: ours
   */
  constructor(args: readonly string[], { shell, cwd }: { shell?: readonly string[]; cwd?: string } = {}) {
    const command = [...(shell ?? []), process.execPath, ENTRY, ...args];
    this.child = spawn(command[0], command.slice(1), { stdio: ['pipe', 'pipe', 'pipe'], cwd });
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.ended = once(this.child, 'close').then(([status, signal]) => ({
      status: status as number | null,
      signal: signal as NodeJS.Signals | null,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
  }

  /** @returns what of standard output matched; rejects if the program ends before */
  async prints(pattern: RegExp): Promise<RegExpExecArray> {
    let over = false;
    void this.ended.then(() => (over = true));
    for (;;) {
      const match = pattern.exec(this.stdout);
      if (match) return match;
      if (over) throw new Error(`ended before printing ${pattern}:\n${this.stdout}\n${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  kill(signal: NodeJS.Signals): Promise<Ended> {
    this.child.kill(signal);
    return this.ended;
  }
}
