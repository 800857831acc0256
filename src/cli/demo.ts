/** `edgeloop demo`: the real program on a real tty, with a virtual board at its other end. */
import { makeConfig } from '../config.ts';
import { startBoard } from '../demo/board.ts';
import { MOTOR_STATES } from '../demo/motor.ts';
import type { StreamOptions } from './command.ts';
import { runStream } from './run.ts';

/** @returns the exit status */
export async function runDemo(seed: number, options: StreamOptions): Promise<number> {
  const board = await startBoard([process.argv[1], 'virtual-board', '--seed', String(seed)]);
  try {
    const config = makeConfig(
      {
        'serial.port': board.path,
        'serial.reopen': false, // the virtual board does not come back
        'input.columns': ['rmsX', 'rmsY', 'rmsZ', 'temperature', 'state'],
        'input.label': 'state',
        'network.classes': MOTOR_STATES.length,
        'store.weights': 'demo.safetensors',
      },
      'demo',
    );
    return await runStream(config, options);
  } finally {
    await board.stop();
  }
}
