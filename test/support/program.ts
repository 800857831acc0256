/** Runs the real program from its sources, in a state directory of its own. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ENTRY = join(import.meta.dirname, '../../src/main.ts');

/** A new directory, removed by `dispose`. */
export function temporaryFolder(): { path: string; dispose: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'edgeloop-test-'));
  return { path, dispose: () => rmSync(path, { recursive: true, force: true }) };
}

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A child process with what it printed so far. */
export class ChildProgram {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly ended: Promise<Ended>;

  constructor(command: string, args: readonly string[], options: SpawnOptions) {
    this.child = spawn(command, args, options);
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

export class Program extends ChildProgram {
  /**
   * @param stateHome becomes $XDG_STATE_HOME and $RUNTIME_DIRECTORY
   * @param user      to run as; undefined: the present one
   */
  constructor(args: readonly string[], stateHome: string, user?: { uid: number; gid: number }) {
    const own = { XDG_STATE_HOME: stateHome, STATE_DIRECTORY: '', RUNTIME_DIRECTORY: stateHome };
    const env = { ...process.env, ...own };
    super(process.execPath, [ENTRY, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'], ...user });
  }
}

export function run(args: readonly string[], stateHome: string): Promise<Ended> {
  return new Program(args, stateHome).ended;
}
