/** The series of the anomaly bench, from the public sets in `$EDGELOOP_DATA` (default `../shared/data`). */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Series } from './anomaly-faults.ts';

export const DATA = process.env.EDGELOOP_DATA ?? '../shared/data';

/** Groups of channels that faults are put into. */
export const GROUPS: readonly { readonly name: string; readonly file: string; readonly columns: string[] }[] =
  [
    {
      name: 'etth1, 7 channels',
      file: 'etth1/ETTh1.csv',
      columns: ['HUFL', 'HULL', 'MUFL', 'MULL', 'LUFL', 'LULL', 'OT'],
    },
    { name: 'etth1, 3 loads', file: 'etth1/ETTh1.csv', columns: ['HUFL', 'MUFL', 'LUFL'] },
    {
      name: 'air quality, 5 gas sensors',
      file: 'airquality/airquality.csv',
      columns: ['PT08_S1_CO', 'PT08_S2_NMHC', 'PT08_S3_NOx', 'PT08_S4_NO2', 'PT08_S5_O3'],
    },
    { name: 'air quality, climate', file: 'airquality/airquality.csv', columns: ['T', 'RH', 'AH'] },
  ];

export const NAB = {
  machine: 'nab/machine_temperature.csv',
  ambient: 'nab/ambient_temperature.csv',
} as const;

/** @returns whether all files are there; says which one is not */
export function setsAreThere(files: readonly string[]): boolean {
  const missing = files.find((file) => !existsSync(join(DATA, file)));
  if (missing !== undefined) console.error(`SKIPPED: ${join(DATA, missing)} is missing. Set EDGELOOP_DATA.`);
  return missing === undefined;
}

/** The named columns of a CSV file without quotes; an empty cell is NaN. */
export function readSeries(file: string, columns: readonly string[], rowsMax = Infinity): Series {
  const lines = readFileSync(join(DATA, file), 'utf8').trimEnd().split(/\r?\n/);
  const header = lines[0].split(',');
  const places = columns.map((column) => header.indexOf(column));
  const rows = Math.min(lines.length - 1, rowsMax);
  const values = new Float32Array(rows * columns.length);
  for (let row = 0; row < rows; row++) {
    const cells = lines[row + 1].split(',');
    for (let c = 0; c < places.length; c++) {
      const cell = cells[places[c]];
      values[row * places.length + c] = cell === '' ? NaN : Number(cell);
    }
  }
  return { columns: columns.length, rows, values };
}
