/** One command of src/cli/ in a process of its own, started from the sources. */
import { join } from 'node:path';
import { ChildProgram } from './program.ts';

const ENTRY = join(import.meta.dirname, 'command.ts');

export class CommandProcess extends ChildProgram {
  /**
   * @param shell a line of sh that is run before and then becomes the command
   * @param cwd   undefined: ours
   */
  constructor(args: readonly string[], { shell, cwd }: { shell?: readonly string[]; cwd?: string } = {}) {
    const command = [...(shell ?? []), process.execPath, ENTRY, ...args];
    super(command[0], command.slice(1), {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(cwd === undefined ? {} : { cwd }),
    });
  }
}
