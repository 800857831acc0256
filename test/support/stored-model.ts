/** A small real model behind the store's interface, and a fixed stream of records for it. */
import { mulberry32 } from '../../src/engine/random.ts';
import {
  type Model,
  type ModelConfig,
  openModel as openLearningModel,
  planModel,
  sequenceOffset,
  startModel,
  takeRecord,
} from '../../src/learn/model.ts';
import { RACES } from '../../src/learn/race.ts';
import type { StoredModel } from '../../src/store/model-store.ts';
import { NO_LABEL, RECORD, type RingReader, type RingWriter } from '../../src/stream/ring.ts';

export const COLUMNS = 6;

/** A race and rehearsal: generators, a buffer, scouts that move, scores. All of it must come back. */
export const CONFIG: ModelConfig = {
  kind: 'supervised',
  inputs: {
    columns: COLUMNS,
    windowRows: 1,
    hopRows: 1,
    features: Array.from({ length: COLUMNS }, (_, column) => ({ column, kind: 'newest' as const })),
    breakAtLabelChange: false,
    clip: 5,
  },
  supervised: {
    task: 'classify',
    outputs: 3,
    targets: [],
    delayRows: 0,
    delayUs: 0,
    waitingSamples: 0,
    candidates: { hidden: 16, activation: 'tanh', seed: 1, capped: true, list: RACES.full },
    rehearsalSamples: 32,
    respondToDrift: false,
  },
};

export interface TestModel extends StoredModel {
  readonly memory: WebAssembly.Memory;
  readonly model: Model;
}

/** A new model: every call gives the same bytes. */
export function newModel(config: ModelConfig = CONFIG): TestModel {
  const stored = openModel(undefined, config);
  startModel(stored.model);
  return stored;
}

/** @param shared the arena of a model that is there, left as it is; otherwise one of zeros */
export function openModel(shared?: WebAssembly.Memory, config: ModelConfig = CONFIG): TestModel {
  const plan = planModel(config);
  const memory = shared ?? plan.arena.allocate();
  const model = openLearningModel(plan, memory);
  return {
    identity: { arithmetic: '1', config },
    memory,
    model,
    arena: model.bytes,
    sequenceOffset: sequenceOffset(plan),
    // By the stream's own clock: what is sent again after a kill comes at another time, and is the same record.
    apply(kind, _flags, datum, sequence, _timeUs, values) {
      const timeUs = sequence * 1000;
      takeRecord(model, kind, datum, sequence | 0, Math.floor(sequence / 2 ** 32), timeUs, values, 0);
    },
  };
}

/** Has the model take the oldest record of the ring that it has not taken. */
export function takeFromRing(model: StoredModel, reader: RingReader, row: Float32Array): void {
  const slot = reader.slot();
  for (let column = 0; column < COLUMNS; column++) row[column] = reader.values[slot * COLUMNS + column];
  model.apply(reader.kind(slot), 0, reader.datum(slot), reader.sequence(slot), reader.timeUs(slot), row);
  reader.release();
}

/** Not among the kinds that the store knows. */
const OTHER_KIND = 77;

const BLOCK = 1 << 16;

/** Records of a sensor, numbered from 1; which they are depends on the number and the seed alone. */
export class Stream {
  readonly #values = new Float32Array(BLOCK * COLUMNS);
  readonly #row = new Float32Array(COLUMNS);

  constructor(seed: number) {
    const random = mulberry32(seed);
    for (let at = 0; at < this.#values.length; at++) this.#values[at] = random() < 0.01 ? NaN : random();
  }

  kind(sequence: number): number {
    return sequence % 97 === 0 ? OTHER_KIND : RECORD.row;
  }

  datum(sequence: number): number {
    if (sequence % 97 === 0) return sequence;
    return sequence % 5 === 0 ? NO_LABEL : Math.floor(sequence / 50) % 3;
  }

  /** Valid until the next call. */
  values(sequence: number): Float32Array {
    const first = (Math.imul(sequence, 40_503) & (BLOCK - 1)) * COLUMNS;
    for (let column = 0; column < COLUMNS; column++) this.#row[column] = this.#values[first + column];
    return this.#row;
  }

  /** Puts the record with the ring's next number into it. @returns whether there was room */
  push(ring: RingWriter, timeUs: number): boolean {
    const sequence = ring.nextSequence;
    if (this.kind(sequence) === RECORD.row)
      return ring.pushRow(this.values(sequence), this.datum(sequence), timeUs);
    return ring.pushDatum(this.kind(sequence), this.datum(sequence), timeUs) === sequence;
  }

  /** Has the model take the record without a ring. */
  apply(model: StoredModel, sequence: number, timeUs = 0): void {
    const kind = this.kind(sequence);
    model.apply(kind, 0, this.datum(sequence), sequence, timeUs, this.values(sequence));
  }
}
