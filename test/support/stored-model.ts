/** A small real model behind the store's interface, and a fixed stream of records for it. */
import { ArenaPlan } from '../../src/engine/arena.ts';
import { openKernels } from '../../src/engine/kernels.ts';
import { type NetworkConfig, initialParameters, writeParameters } from '../../src/engine/network.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import {
  type Learner,
  openLearner,
  planLearner,
  startScores,
  takeGap,
  takeRow,
} from '../../src/learn/learner.ts';
import type { StoredModel } from '../../src/store/model-store.ts';
import { NO_LABEL, RECORD, type RingReader, type RingWriter } from '../../src/stream/ring.ts';

export const COLUMNS = 6;

export const CONFIG: NetworkConfig = {
  inputs: COLUMNS,
  hidden: 16,
  outputs: 3,
  hiddenActivation: 'tanh',
  outputActivation: 'identity',
  loss: 'crossEntropy',
  learningRate: 0.05,
};

export interface TestModel extends StoredModel {
  readonly memory: WebAssembly.Memory;
  readonly learner: Learner;
}

/** A new model: every call gives the same bytes. */
export function newModel(config: NetworkConfig = CONFIG): TestModel {
  const model = openModel(undefined, config);
  writeParameters(model.learner.network, initialParameters(config, mulberry32(1)));
  startScores(model.learner);
  return model;
}

/** @param shared the arena of a model that is there, left as it is; otherwise one of zeros */
export function openModel(shared?: WebAssembly.Memory, config: NetworkConfig = CONFIG): TestModel {
  const plan = new ArenaPlan();
  const parts = planLearner(plan, config);
  const sequencePart = plan.int32('store.sequence', 2);
  const memory = shared ?? plan.allocate();
  const learner = openLearner(memory.buffer, config, parts);
  const engine = openKernels(memory, learner.network);
  const taken = new Int32Array(memory.buffer, sequencePart.offset, 2);
  return {
    identity: { arithmetic: '1', config },
    memory,
    learner,
    arena: new Uint8Array(memory.buffer, 0, plan.sizeBytes),
    sequenceOffset: sequencePart.offset,
    apply(kind, _flags, datum, sequence, _timeUs, values) {
      if (kind === RECORD.row) takeRow(learner, engine, values, 0, datum);
      else takeGap(learner, datum);
      taken[0] = sequence | 0;
      taken[1] = Math.floor(sequence / 2 ** 32);
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
