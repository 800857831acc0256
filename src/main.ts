/**
 * The entry. On the main thread it is the command line; on a pool thread it only offers the tasks, since the
 * single file is started again as the thread's script.
 */
import { isMainThread } from 'node:worker_threads';
import { runCommand } from './cli/command.ts';

export { learnStream } from './learn/task.ts';
export { followLeader, learnOffline, scoreOffline } from './learn/offline-task.ts';

if (isMainThread) process.exitCode = await runCommand(process.argv.slice(2));
