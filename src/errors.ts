/**
 * The world is wrong: one error class with a stable code. The message is the sentence the user reads; it says
 * what was expected, what was got and what to do. Line noise is not an error (it is counted), and a mistake of
 * ours is an assertion.
 */
export type ErrorCode =
  | 'ELOOP_CONFIG' //   config file or command line: unknown key, bad value
  | 'ELOOP_SHAPE' //    a matrix or a file does not have the shape asked for
  | 'ELOOP_FUNCTION' // an activation or loss of the user's own is not an expression of its variables
  | 'ELOOP_FORMAT' //   a file is not what it claims to be: truncated, foreign, damaged
  | 'ELOOP_PORT' //     the serial port cannot be opened
  | 'ELOOP_PORT_ABSENT' // there is no such serial port (yet)
  | 'ELOOP_PORT_GONE' // the serial port went away
  | 'ELOOP_STREAM' //   the board sends something else than was learned from
  | 'ELOOP_NODE' //     this Node is too old
  | 'ELOOP_BOARD' //    the virtual board did not start
  | 'ELOOP_STORE' //   a file cannot be written
  | 'ELOOP_CONTROL'; // a running model cannot be reached, or refuses what it was asked

/** Exit statuses of the command line. A port that went away has its own, so that a supervisor can tell. */
export const EXIT = { ok: 0, failed: 1, usage: 2, portGone: 3 } as const;

export class EdgeloopError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.name = 'EdgeloopError';
    this.code = code;
  }

  /** The exit status that a command ending with this error returns. */
  get exitStatus(): number {
    if (this.code === 'ELOOP_CONFIG') return EXIT.usage;
    if (this.code === 'ELOOP_PORT_GONE') return EXIT.portGone;
    return EXIT.failed;
  }
}
