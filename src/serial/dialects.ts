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

export { SEPARATORS, type Separator } from './dialects/numbers.ts';
export { patternFault } from './dialects/text.ts';

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

/** All that must be known to decode a stream of text; the [input] section of a config is one. */
export interface TextFormat {
  readonly format: Dialect;
  /** Names in order, the label's among them. */
  readonly columns: readonly string[];
  /** Which of the columns holds the class; undefined: none. */
  readonly label: string | undefined;
  /** Of numbers, csv and plotter. */
  readonly separator: Separator;
  /** Of text; empty: all numbers in order. */
  readonly pattern: string;
}

/**
 * @param onGap told of blank lines and new headers of csv
 * @throws EdgeloopError ELOOP_CONFIG if the pattern does not fit the columns
 */
export function makeDecoder(format: TextFormat, labels: Labels, sink: RowSink, onGap?: GapSink): LineStream {
  return new LineStream(makeParser(format, labels, sink, onGap));
}

function makeParser(
  format: TextFormat,
  labels: Labels,
  sink: RowSink,
  onGap: GapSink | undefined,
): LineParser {
  const { columns, label, separator, pattern } = format;
  switch (format.format) {
    case 'numbers': {
      const labelColumn = label === undefined ? -1 : columns.indexOf(label);
      return new NumbersParser({ columns: columns.length, labelColumn, separator }, labels, sink);
    }
    case 'plotter':
      return new PlotterParser(format, separator, labels, sink);
    case 'teleplot':
      return new TeleplotParser(format, labels, sink);
    case 'json':
      return new JsonParser(format, labels, sink);
    case 'csv':
      return new CsvParser(format, separator, labels, sink, onGap);
    case 'text':
      return new TextParser(format, pattern, labels, sink);
  }
}
