/** `--columns a,b,c --label c`: how the cells of a line are called, and which of them holds the class. */
import { EdgeloopError } from '../errors.ts';

export interface Columns {
  readonly columns: readonly string[];
  readonly label?: string;
}

/**
 * @param list names separated by commas
 * @throws EdgeloopError ELOOP_CONFIG
 */
export function parseColumns(list: string, label: string | undefined): Columns {
  const names = list.split(',').map((name) => name.trim());
  return checkColumns(names, label);
}

/** @throws EdgeloopError ELOOP_CONFIG */
export function checkColumns(columns: readonly string[], label: string | undefined): Columns {
  if (columns.includes('') || new Set(columns).size < columns.length) {
    const expected = 'expected different names separated by commas, such as x,y,state';
    throw new EdgeloopError('ELOOP_CONFIG', `--columns: ${expected}, got "${columns.join(',')}".`);
  }
  if (label === undefined) return { columns };
  if (columns.length === 1 || !columns.includes(label)) {
    const expected = `expected one of several columns, ${columns.join(', ')}`;
    throw new EdgeloopError('ELOOP_CONFIG', `--label: ${expected}; got "${label}".`);
  }
  return { columns, label };
}
