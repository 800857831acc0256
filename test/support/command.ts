/** Runs one command of src/cli/ as a program of its own: `node command.ts <command> <arguments>`. */
import { EdgeloopError } from '../../src/errors.ts';

const [command, ...args] = process.argv.slice(2);
const module = (await import(`../../src/cli/${command}.ts`)) as Record<
  string,
  (args: string[]) => Promise<number>
>;
try {
  process.exitCode = await module[command](args);
} catch (error) {
  if (!(error instanceof EdgeloopError)) throw error;
  process.stderr.write(`edgeloop: ${error.code}: ${error.message}\n`);
  process.exitCode = error.exitStatus;
}
