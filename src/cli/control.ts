/** `edgeloop label`, `freeze`, `unfreeze`, `relearn`, `status`: asks a running model, says when it took effect. */
import { parseArgs } from 'node:util';
import { EXIT, EdgeloopError } from '../errors.ts';
import { type Answer, ask, chooseSocket } from '../service/control-client.ts';
import { FREEZABLE } from '../service/control-commands.ts';
import { count } from './words.ts';

export type ControlCommand = 'label' | 'freeze' | 'unfreeze' | 'relearn' | 'status';

export const CONTROL_HELP = `edgeloop status [--json]                          how the running model does
edgeloop label NAME | none                        the label of the rows from now on; none: they have no label
edgeloop label --undo                             mark the span of the last label for correction
edgeloop freeze [scaler | network | winner]       keep it as it is; without a word all of them
edgeloop unfreeze                                 let everything learn again
edgeloop relearn                                  back to the learn phase of an anomaly guard

  --model NAME     which model, where several run
  --json           print the answer as one line of JSON

  They talk to a program started with edgeloop run on the same machine. Each command takes effect between two
  records of the stream; the answer says at which.
`;

/** Nothing of a label can be mistaken for this: it is the word for none. */
const NO_LABEL_WORD = 'none';

interface Arguments {
  readonly model: string | undefined;
  readonly json: boolean;
  readonly help: boolean;
  readonly undo: boolean;
  readonly words: readonly string[];
}

/** @returns the exit status; errors are thrown */
export async function control(command: ControlCommand, args: string[]): Promise<number> {
  const given = parse(args);
  if (given.help) {
    process.stdout.write(CONTROL_HELP);
    return EXIT.ok;
  }
  const params = paramsOf(command, given);
  const { path } = await chooseSocket(given.model);
  const answer = await ask(path, command, params);
  const text = given.json
    ? `${JSON.stringify(documentOf(answer))}\n`
    : printable(wordsOf(command, given, answer));
  process.stdout.write(text);
  return EXIT.ok;
}

function paramsOf(command: ControlCommand, { words, undo }: Arguments): Record<string, unknown> {
  if (undo && command !== 'label') throw misused(`${command}: expected no --undo, which belongs to label.`);
  switch (command) {
    case 'label':
      if (undo && words.length === 0) return { undo: true };
      if (undo || words.length !== 1) throw misused('label: expected one NAME, none, or --undo.');
      return { name: words[0] === NO_LABEL_WORD ? null : words[0] };
    case 'freeze':
      if (words.length === 0) return {};
      if (words.length === 1 && FREEZABLE.some((name) => name === words[0])) return { what: words[0] };
      throw misused(`freeze: expected one of ${FREEZABLE.join(', ')} or nothing, got "${words.join(' ')}".`);
    default:
      if (words.length === 0) return {};
      throw misused(`${command}: expected nothing after it, got "${words.join(' ')}".`);
  }
}

function misused(message: string): EdgeloopError {
  return new EdgeloopError(
    'ELOOP_CONFIG',
    `edgeloop ${message} Try edgeloop ${message.split(':')[0]} --help.`,
  );
}

/** Of a status, the document alone: its words are for people. */
function documentOf(answer: Answer): object {
  const { sequence, document } = answer;
  return typeof document === 'object' && document !== null ? { sequence, ...document } : answer;
}

function wordsOf(command: ControlCommand, { words, undo }: Arguments, answer: Answer): string {
  const at = record(answer.sequence);
  switch (command) {
    case 'status':
      return String(answer.words);
    case 'label':
      if (undo) {
        const { label, from, to } = answer;
        return `Records ${record(from)} to ${record(to)}, labelled "${String(label)}", are marked for correction (at record ${at}).\n`;
      }
      if (words[0] === NO_LABEL_WORD) return `No label from record ${at} on.\n`;
      return `Label "${words[0]}" from record ${at} on.\n`;
    case 'freeze':
      return `Frozen from record ${at} on: ${words[0] ?? 'all'}.\n`;
    case 'unfreeze':
      return `Learning again from record ${at} on.\n`;
    case 'relearn':
      return `Back in the learn phase from record ${at} on.\n`;
  }
}

/** A label may have come from a board: what a terminal would obey is not passed on. */
function printable(text: string): string {
  return text.replace(/[^\P{C}\n]/gu, '?');
}

function record(sequence: unknown): string {
  return typeof sequence === 'number' ? count(sequence) : '-';
}

function parse(args: string[]): Arguments {
  const options = {
    help: { type: 'boolean', short: 'h', default: false },
    json: { type: 'boolean', default: false },
    model: { type: 'string' },
    undo: { type: 'boolean', default: false },
  } as const;
  try {
    const { values, positionals } = parseArgs({ args, options, strict: true, allowPositionals: true });
    return { ...values, model: values.model, words: positionals };
  } catch (cause) {
    throw new EdgeloopError('ELOOP_CONFIG', `${(cause as Error).message}. Try --help.`);
  }
}
