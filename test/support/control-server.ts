/** A small program with a control socket, for tests: its model is a counter of records. Prints the path. */
import { setTimeout as sleep } from 'node:timers/promises';
import { EdgeloopError } from '../../src/errors.ts';
import { type ControlledModel, handlersOf } from '../../src/service/control-commands.ts';
import { ControlSocket } from '../../src/service/control-socket.ts';

const [model = 'default', idleMs = '30000', handlerMsMax = '10000'] = process.argv.slice(2);

let sequence = 1000;
const took = async (): Promise<{ sequence: number }> => ({ sequence: (sequence += 1) });
let label: string | null = null;

/** On the heap and beside it, where buffers are. */
function heldBytes(): number {
  globalThis.gc!();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const toy: ControlledModel = {
  label: (name) => {
    label = name;
    return took();
  },
  undoLabel: async () => {
    if (label === null)
      throw new EdgeloopError('ELOOP_CONTROL', 'expected a label to take back, got none yet.');
    return { sequence: (sequence += 1), label, from: 900, to: 999 };
  },
  freeze: took,
  unfreeze: took,
  relearn: took,
  status: async () => {
    const document = { label, memoryBytes: heldBytes(), counts: control.counts };
    return { sequence, words: `label ${label}\u001b[2J\n`, document };
  },
};

const control: ControlSocket = await ControlSocket.open({
  model,
  handlers: {
    ...handlersOf(toy),
    slow: () => sleep(60_000, {}, { ref: false }),
    broken: () => Promise.reject(new Error('a mistake of ours')),
    large: async () => ({ text: 'x'.repeat(1_000_000) }),
    flood: async () => {
      for (let event = 0; event < 1000; event++) control.publish('answers', { text: 'y'.repeat(1000) });
      return {};
    },
    tick: async () => {
      control.publish('answers', { class: 'idle' });
      return { wanted: control.isWanted('answers') };
    },
  },
  topics: ['answers'],
  idleMs: Number(idleMs),
  handlerMsMax: Number(handlerMsMax),
  onFault: (error) => process.stderr.write(`fault: ${error.message}\n`),
}).catch((error: EdgeloopError) => {
  process.stderr.write(`${error.code}: ${error.message}\n`);
  process.exit(1);
});
process.once('SIGTERM', () => void control.close());
process.stdout.write(`listening ${control.path}\n`);
