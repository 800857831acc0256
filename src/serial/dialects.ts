/** The dialects of text that boards speak, each with its parser; which one is a matter of the config. */
import { CsvParser } from './dialects/csv.ts';
import { JsonParser } from './dialects/json.ts';
import { NumbersParser, type Separator } from './dialects/numbers.ts';
import { PlotterParser } from './dialects/plotter.ts';
import { TeleplotParser } from './dialects/teleplot.ts';
import { TextParser } from './dialects/text.ts';
import type { Labels } from './labels.ts';
import { LineStream } from './lines.ts';
import type { GapSink, LineParser, RowSink } from './outcome.ts';
import { PrintedClock, type TimeUnit } from './printed-clock.ts';
import type { RowTarget } from './dialects/row.ts';

export { SEPARATORS, type Separator } from './dialects/numbers.ts';
export { patternFault } from './dialects/text.ts';
export { valueColumns } from './dialects/row.ts';
export { TIME_UNITS, type TimeUnit } from './printed-clock.ts';

/**
 * numbers   0.031,0.044,off             bare, in the order of the columns
 * plotter   x:0.031,y:0.044,state:off   Arduino Serial Plotter
 * teleplot  >x:0.031                    one value a line
 * json      {"x":0.031,"state":"off"}   a flat object a line
 * csv       like numbers, with a header row, and blank lines as gaps
 * text      acc [ 0.031, 0.044 ]        numbers inside text
 */
export const DIALECTS = ['numbers', 'plotter', 'teleplot', 'json', 'csv', 'text'] as const;
export type Dialect = (typeof DIALECTS)[number];

/** The board's clock in Teleplot, which is in no column: >name:1234:0.5 */
export const TELEPLOT_STAMP = 'stamp';

/** All that must be known to decode a stream of text; the [input] section of a config is one. */
export interface TextFormat {
  readonly format: Dialect;
  /** Names in order, those of the label and of the board's clock among them. */
  readonly columns: readonly string[];
  /** Which of the columns holds the class; undefined: none. */
  readonly label: string | undefined;
  /** Which of the columns holds the board's clock, or TELEPLOT_STAMP; undefined or empty: none. */
  readonly time?: string | undefined;
  /** Of that clock; ms if left out. */
  readonly timeUnit?: TimeUnit | undefined;
  /** Of numbers, csv and plotter. */
  readonly separator: Separator;
  /** Of text; empty: all numbers in order. */
  readonly pattern: string;
}

/**
 * @param onGap told of blank lines and new headers of csv, and of a board's clock that began anew
 * @throws EdgeloopError ELOOP_CONFIG if the pattern does not fit the columns
 */
export function makeDecoder(format: TextFormat, labels: Labels, sink: RowSink, onGap?: GapSink): LineStream {
  const clock = format.time ? new PrintedClock(format.timeUnit ?? 'ms') : undefined;
  return new LineStream(makeParser(format, { labels, onRow: sink, onGap, clock }));
}

function makeParser(format: TextFormat, target: RowTarget): LineParser {
  const { separator, pattern } = format;
  switch (format.format) {
    case 'numbers':
      return new NumbersParser(format, separator, target);
    case 'plotter':
      return new PlotterParser(format, separator, target);
    case 'teleplot':
      return new TeleplotParser(format, target);
    case 'json':
      return new JsonParser(format, target);
    case 'csv':
      return new CsvParser(format, separator, target);
    case 'text':
      return new TextParser(format, pattern, target);
  }
}
