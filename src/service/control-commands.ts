/**
 * The commands of the control socket: what comes in is checked here, once, and what a model has to offer for them is
 * a typed interface. All of them but `status` take effect between two records, and say at which.
 */
import { EdgeloopError } from '../errors.ts';
import type { Params } from './control-connection.ts';
import type { Handlers } from './control-socket.ts';

/** What can be kept as it is, together or by itself. */
export const FREEZABLE = ['all', 'scaler', 'network', 'winner'] as const;
export type Freezable = (typeof FREEZABLE)[number];

const LABEL_BYTES_MAX = 64;

export interface TookEffect {
  /** Sequence number of the record that does it. */
  readonly sequence: number;
}

export interface LabelUndone extends TookEffect {
  /** The label that was taken back, and the records that had it. */
  readonly label: string;
  readonly from: number;
  readonly to: number;
}

export interface ModelStatus extends TookEffect {
  /** For a terminal, lines with their ends. */
  readonly words: string;
  /** For programs. */
  readonly document: object;
}

/** A running model, to be controlled. Each may throw an EdgeloopError with a sentence for who asked. */
export interface ControlledModel {
  /** The label of the rows from now on; null: they have none. */
  label(name: string | null): Promise<TookEffect>;
  /** Marks the span of the last label for correction. */
  undoLabel(): Promise<LabelUndone>;
  freeze(what: Freezable): Promise<TookEffect>;
  unfreeze(): Promise<TookEffect>;
  /** Back to the learn phase of a guard. */
  relearn(): Promise<TookEffect>;
  status(): Promise<ModelStatus>;
}

export function handlersOf(model: ControlledModel): Handlers {
  return {
    label: async (params) => {
      requireKeys('label', params, ['name', 'undo']);
      if (params.undo === undefined) return model.label(labelOf(params.name));
      if (params.undo === true && params.name === undefined) return model.undoLabel();
      throw refused('label: expected either "name" or "undo": true.');
    },
    freeze: async (params) => {
      requireKeys('freeze', params, ['what']);
      const what = FREEZABLE.find((name) => name === (params.what ?? 'all'));
      if (what !== undefined) return model.freeze(what);
      throw refused(
        `freeze: expected "what" to be one of ${FREEZABLE.join(', ')}, got ${shown(params.what)}.`,
      );
    },
    unfreeze: async (params) => {
      requireKeys('unfreeze', params, []);
      return model.unfreeze();
    },
    relearn: async (params) => {
      requireKeys('relearn', params, []);
      return model.relearn();
    },
    status: async (params) => {
      requireKeys('status', params, []);
      return model.status();
    },
  };
}

/** A name is text without control characters, which a terminal would obey. */
function labelOf(name: unknown): string | null {
  if (name === null) return null;
  const fits =
    typeof name === 'string' &&
    name.trim() === name &&
    name.length > 0 &&
    Buffer.byteLength(name) <= LABEL_BYTES_MAX &&
    !/\p{C}/u.test(name);
  if (fits) return name;
  throw refused(
    `label: expected "name" to be null or 1 to ${LABEL_BYTES_MAX} bytes of text without control characters, ` +
      `got ${shown(name)}.`,
  );
}

/** A misspelt parameter must not be taken for a missing one. */
function requireKeys(command: string, params: Params, keys: readonly string[]): void {
  const unknown = Object.keys(params).find((key) => !keys.includes(key));
  if (unknown === undefined) return;
  const expected = keys.length === 0 ? 'no parameters' : `only ${keys.join(', ')}`;
  throw refused(`${command}: expected ${expected}, got ${shown(unknown)}.`);
}

function refused(message: string): EdgeloopError {
  return new EdgeloopError('ELOOP_CONTROL', message);
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 80);
}
