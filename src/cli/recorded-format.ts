/** How the bytes of a recording are read. */
import { EdgeloopError } from '../errors.ts';
import type { InputFormat } from '../serial/decoder.ts';
import { DIALECTS, SEPARATORS } from '../serial/dialects.ts';
import { describeRecording } from '../store/recording.ts';
import { checkColumns, parseColumns } from './columns.ts';

const FORMATS = [...DIALECTS, 'frames'] as const;

/**
 * What the command line says, else what is kept with the recording.
 * @param command for messages
 * @param list    names of the cells of a line; undefined: those kept with the recording
 * @throws EdgeloopError ELOOP_CONFIG, ELOOP_FORMAT
 */
export function recordedFormat(
  command: string,
  directory: string,
  list: string | undefined,
  label: string | undefined,
): InputFormat {
  const described = describeRecording(directory);
  if (list === undefined && described.columns === undefined) {
    const expected = 'expected --columns, since none are kept with this recording';
    throw new EdgeloopError('ELOOP_CONFIG', `edgeloop ${command}: ${directory}: ${expected}. Try --help.`);
  }
  const { columns, label: known } =
    list === undefined
      ? checkColumns(described.columns!, label ?? described.label)
      : parseColumns(list, label);
  const { separator, pattern = '' } = described;
  return {
    format: FORMATS.find((format) => format === described.format) ?? 'numbers',
    columns,
    label: known,
    separator: SEPARATORS.find((known) => known === separator) ?? 'any',
    pattern,
  };
}
