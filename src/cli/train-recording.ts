/** A recording as something to learn from. */
import { CLASSES_MAX } from '../files/csv.ts';
import { type DataSet, RowStore } from '../files/data-set.ts';
import { type Decoder, type InputFormat, openDecoder } from '../serial/decoder.ts';
import { Labels } from '../serial/labels.ts';
import { describeRecording, readRecording } from '../store/recording.ts';
import { formatOf } from './replay.ts';
import { type Asked, type Reading, type TrainingData, breathe, usage } from './train-data.ts';

/** Work between two looks at what else there is to do: some milliseconds. */
const READS_AT_ONCE = 500;

export async function loadRecording(path: string, asked: Asked, reading: Reading): Promise<TrainingData> {
  const columns = chooseRecorded(path, asked);
  const rows = new RecordedRows(path, columns);
  const progress = reading.newProgress({ what: 'reading', unit: 'bytes', total: undefined });
  const notes: string[] = [];
  let reads = 0;
  for (const item of readRecording(path)) {
    if (item.kind === 'bytes') rows.push(item.bytes, item.timeUs);
    else if (item.kind === 'gap') rows.restart();
    else if (item.kind === 'cut') {
      notes.push(`${item.cut.path} is damaged at byte ${item.cut.offset}: ${item.cut.reason}.`);
    }
    reads += 1;
    if (reads % READS_AT_ONCE === 0) await breathe(reading, progress, rows.bytes);
  }
  progress.end();
  return {
    task: columns.targets.length > 0 ? 'regress' : 'classify',
    data: rows.dataSet(),
    notes,
    dropped: rows.dropped(),
  };
}

interface RecordedColumns {
  readonly format: InputFormat;
  readonly inputs: readonly string[];
  /** Empty: the label is to be predicted. */
  readonly targets: readonly string[];
  /** Names of a row's values, in order. */
  readonly values: readonly string[];
}

function chooseRecorded(path: string, asked: Asked): RecordedColumns {
  const isQuantity = asked.task === 'regress' && asked.label !== undefined;
  const targets = asked.targets ?? (isQuantity ? [asked.label!] : []);
  const namesKept = describeRecording(path).columns !== undefined;
  const cells = namesKept ? undefined : asked.columns?.join(',');
  if (!namesKept && cells === undefined) {
    throw usage(`${path}: expected --columns, since none are kept with this recording`);
  }
  const format = formatOf(path, cells, isQuantity ? undefined : asked.label);
  if (targets.length === 0 && format.label === undefined) {
    const known = format.columns.join(', ');
    throw usage(`${path}: expected what is to be predicted, --label or --target, one of ${known}`);
  }
  const values = format.columns.filter((name) => name !== format.label);
  const others = values.filter((name) => !targets.includes(name));
  const inputs = (namesKept ? asked.columns : undefined) ?? others;
  const unknown = [...inputs, ...targets].find((name) => !values.includes(name));
  if (unknown !== undefined) throw usage(`${path}: expected one of ${values.join(', ')}; got "${unknown}"`);
  if (inputs.length === 0 || inputs.some((name) => targets.includes(name))) {
    throw usage(`${path}: expected inputs that are not to be predicted, got "${inputs.join(', ')}"`);
  }
  return { format, inputs, targets, values };
}

/** Bytes of a recording to rows in memory. */
class RecordedRows {
  bytes = 0;
  readonly #columns: RecordedColumns;
  readonly #labels = new Labels([], CLASSES_MAX);
  readonly #store: RowStore;
  readonly #dropped = new Map<string, number>();
  readonly #row: Float32Array;
  readonly #answers: Float32Array;
  /** Where a row's inputs and targets are among its values. */
  readonly #inputPlaces: Int32Array;
  readonly #targetPlaces: Int32Array;
  #decoder: Decoder;

  constructor(path: string, columns: RecordedColumns) {
    const { inputs, targets, values } = columns;
    this.#columns = columns;
    this.#store = new RowStore(path, inputs, targets);
    this.#row = new Float32Array(inputs.length);
    this.#answers = new Float32Array(targets.length);
    this.#inputPlaces = Int32Array.from(inputs, (name) => values.indexOf(name));
    this.#targetPlaces = Int32Array.from(targets, (name) => values.indexOf(name));
    this.#decoder = this.#newDecoder();
  }

  push(bytes: Uint8Array, timeUs: number): void {
    this.#decoder.push(bytes, bytes.length, timeUs);
    this.bytes += bytes.length;
  }

  /** What comes now may begin in mid-line. */
  restart(): void {
    this.#addDrops();
    this.#decoder = this.#newDecoder();
  }

  dataSet(): DataSet {
    return this.#store.dataSet(this.#labels.names);
  }

  /** Once, at the end. */
  dropped(): TrainingData['dropped'] {
    this.#addDrops();
    return Object.fromEntries([...this.#dropped].map(([reason, rows]) => [reason, { rows }]));
  }

  #newDecoder(): Decoder {
    return openDecoder(this.#columns.format, this.#labels, {
      onRow: (values, label) => this.#take(values, label),
      onGap: () => {}, // offline every row stands for itself
      onOtherStream: (error) => {
        throw error;
      },
    });
  }

  #take(values: Float32Array, label: number): void {
    for (let i = 0; i < this.#row.length; i++) this.#row[i] = values[this.#inputPlaces[i]];
    for (let k = 0; k < this.#answers.length; k++) this.#answers[k] = values[this.#targetPlaces[k]];
    this.#store.add(this.#row, label, this.#answers);
  }

  #addDrops(): void {
    for (const [reason, lines] of Object.entries(this.#decoder.dropped)) {
      if (lines > 0) this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + lines);
    }
  }
}
