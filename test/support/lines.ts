/** What tests of lines share: a decoder of bare numbers between commas, semicolons or tabs. */
import { makeDecoder } from '../../src/serial/dialects.ts';
import type { Labels } from '../../src/serial/labels.ts';
import type { LineStream, RowSink } from '../../src/serial/lines.ts';

/** @param columns names of the cells, the class's last */
export function numbersDecoder(columns: readonly string[], labels: Labels, sink: RowSink): LineStream {
  const label = columns.at(-1);
  return makeDecoder({ format: 'numbers', columns, label, separator: 'any', pattern: '' }, labels, sink);
}
