/**
 * The sample ring: one writer (the main thread, which moves bytes) and one reader (a learner on a pool thread)
 * share a fixed block of memory. A record is kind, 64-bit sequence number, 64-bit time, flags, a datum and values:
 *
 *     control  Int32   | SIGNAL | STOP | WRITTEN | READ | SNAPSHOT_ASKED | SNAPSHOT_DONE | - | - |
 *     heads    Int32   | kind | flags | sequence lo | hi | time lo | hi | datum | - |   x capacity
 *     values   Float32 | value 0 .. value C − 1 |                                       x capacity
 *
 * Invariants
 * - WRITTEN and READ are the low words of sequence numbers and wrap at 2^32; only their difference counts, and it
 *   is never above the capacity (a power of two). The slot of a record is its sequence number modulo the capacity.
 * - A slot is written before WRITTEN passes it and left alone until READ has passed it, so that the reader never
 *   sees a record change.
 * - A full ring refuses the *new* row. Refused rows, and an interruption of the stream, become one gap record, put in
 *   before the next accepted row.
 */

export const RECORD = {
  /** Values of one line; the datum is the class index, or NO_LABEL. */
  row: 1,
  /** The stream was interrupted here; the datum is the number of rows refused or lost, as far as known. */
  gap: 2,
  /** From here on rows that bring no label of their own have this one; the datum is the class index, or NO_LABEL. */
  label: 3,
  /** The span labelled last was labelled wrongly; the datum is its right class, or NO_LABEL. */
  undo: 4,
  /** From here on this is frozen and nothing else; the datum is a sum of FREEZE. */
  freeze: 5,
  /** An anomaly detector learns anew from here. */
  relearn: 6,
} as const;

/** What a record of kind `freeze` may hold still. */
export const FREEZE = {
  /** Weights. */
  network: 1,
  /** Running statistics of the inputs. */
  scaler: 2,
  /** Which candidate answers. */
  winner: 4,
} as const;

/** The datum of a row without a label. */
export const NO_LABEL = -1;

/** Names of the Int32 slots that both threads watch. */
export const CONTROL = {
  /** Counts everything the reader should look at; the reader waits on it. */
  signal: 0,
  /** 1: take what has been published, then end. */
  stop: 1,
  /** Low word of the sequence number that the next record will have. */
  written: 2,
  /** Low word of the sequence number that the reader will take next. */
  read: 3,
  /** Number of the snapshot that was last asked for, and of the one last made. */
  snapshotAsked: 4,
  snapshotDone: 5,
} as const;

const CONTROL_WORDS = 8;
export const HEAD_WORDS = 8;
/** The words of a record's head. */
export const HEAD = {
  kind: 0,
  flags: 1,
  sequenceLow: 2,
  sequenceHigh: 3,
  timeLow: 4,
  timeHigh: 5,
  datum: 6,
} as const;
const TWO_POW_32 = 4_294_967_296;

/** What both threads need to lay their views over the same block. */
export interface RingLayout {
  readonly buffer: SharedArrayBuffer;
  /** Values per row. */
  readonly columns: number;
  /** Records, a power of two. */
  readonly capacity: number;
  /** Sequence number of the first record. */
  readonly firstSequence: number;
}

/** Bytes of a ring with `capacity` records of `columns` values. */
export function ringBytes(columns: number, capacity: number): number {
  return 4 * (CONTROL_WORDS + capacity * (HEAD_WORDS + columns));
}

/** Takes the memory of a ring. @param capacity records, a power of two */
export function makeRing(columns: number, capacity: number, firstSequence = 0): RingLayout {
  if (capacity < 2 || (capacity & (capacity - 1)) !== 0) {
    throw new RangeError(`ring capacity: expected a power of two of at least 2, got ${capacity}`);
  }
  const buffer = new SharedArrayBuffer(ringBytes(columns, capacity));
  const control = new Int32Array(buffer, 0, CONTROL_WORDS);
  control[CONTROL.written] = firstSequence | 0;
  control[CONTROL.read] = firstSequence | 0;
  return { buffer, columns, capacity, firstSequence };
}

class RingViews {
  readonly control: Int32Array;
  readonly heads: Int32Array;
  /** Values of all slots; those of one slot start at `slot * columns`. */
  readonly values: Float32Array;
  readonly columns: number;
  protected readonly capacity: number;
  protected readonly mask: number;

  constructor({ buffer, columns, capacity }: RingLayout) {
    this.control = new Int32Array(buffer, 0, CONTROL_WORDS);
    this.heads = new Int32Array(buffer, 4 * CONTROL_WORDS, capacity * HEAD_WORDS);
    this.values = new Float32Array(buffer, 4 * (CONTROL_WORDS + capacity * HEAD_WORDS), capacity * columns);
    this.columns = columns;
    this.capacity = capacity;
    this.mask = capacity - 1;
  }
}

export class RingWriter extends RingViews {
  /** Rows refused since the writer was made; each is also counted in a gap record once there is room. */
  refused = 0;
  #refusedUnrecorded = 0;
  #gapUnrecorded = false;
  #nextLow: number;
  #nextHigh: number;

  constructor(layout: RingLayout) {
    super(layout);
    this.#nextLow = layout.firstSequence | 0;
    this.#nextHigh = Math.floor(layout.firstSequence / TWO_POW_32);
  }

  /**
   * Copies a row into the ring; the reader sees it after `publish`.
   * @param row    [columns]
   * @param datum  class index or NO_LABEL
   * @param timeUs monotonic time in microseconds
   * @returns whether there was room
   */
  pushRow(row: Float32Array, datum: number, timeUs: number): boolean {
    const needed = this.#gapUnrecorded ? 2 : 1;
    const taken = (this.#nextLow - Atomics.load(this.control, CONTROL.read)) | 0;
    if (this.capacity - taken < needed) {
      this.refused += 1;
      this.#refusedUnrecorded += 1;
      this.#gapUnrecorded = true;
      return false;
    }
    if (this.#gapUnrecorded) {
      this.#writeHead(RECORD.gap, this.#refusedUnrecorded, timeUs);
      this.#refusedUnrecorded = 0;
      this.#gapUnrecorded = false;
    }
    const slot = this.#writeHead(RECORD.row, datum, timeUs);
    this.values.set(row, slot * this.columns);
    return true;
  }

  /**
   * Puts a record without values among the rows: label, undo, freeze or relearn.
   * @returns its sequence number, or −1 while there is no room
   */
  pushControl(kind: number, datum: number, timeUs: number): number {
    const taken = (this.#nextLow - Atomics.load(this.control, CONTROL.read)) | 0;
    if (taken >= this.capacity) return -1;
    const sequence = this.#nextHigh * TWO_POW_32 + (this.#nextLow >>> 0);
    this.#writeHead(kind, datum, timeUs);
    return sequence;
  }

  /** The next row does not follow the one before: a gap record goes before it. @param lost rows known to be missing */
  markGap(lost = 0): void {
    this.#refusedUnrecorded += lost;
    this.#gapUnrecorded = true;
  }

  /** Shows the reader everything written so far and wakes it. Once per batch of bytes, not per row. */
  publish(): void {
    if (Atomics.load(this.control, CONTROL.written) === this.#nextLow) return;
    Atomics.store(this.control, CONTROL.written, this.#nextLow);
    signalReader(this.control);
  }

  #writeHead(kind: number, datum: number, timeUs: number): number {
    const slot = this.#nextLow & this.mask;
    const base = slot * HEAD_WORDS;
    this.heads[base + HEAD.kind] = kind;
    this.heads[base + HEAD.flags] = 0;
    this.heads[base + HEAD.sequenceLow] = this.#nextLow;
    this.heads[base + HEAD.sequenceHigh] = this.#nextHigh;
    this.heads[base + HEAD.timeLow] = (timeUs % TWO_POW_32) | 0;
    this.heads[base + HEAD.timeHigh] = Math.floor(timeUs / TWO_POW_32);
    this.heads[base + HEAD.datum] = datum;
    this.#nextLow = (this.#nextLow + 1) | 0;
    if (this.#nextLow === 0) this.#nextHigh += 1;
    return slot;
  }
}

export class RingReader extends RingViews {
  #nextLow: number;

  constructor(layout: RingLayout) {
    super(layout);
    this.#nextLow = Atomics.load(this.control, CONTROL.read);
  }

  /** Records published and not yet released. */
  available(): number {
    return (Atomics.load(this.control, CONTROL.written) - this.#nextLow) | 0;
  }

  /** Slot of the oldest record not yet released. */
  slot(): number {
    return this.#nextLow & this.mask;
  }

  /** Gives the oldest record's slot back to the writer. */
  release(): void {
    this.#nextLow = (this.#nextLow + 1) | 0;
    Atomics.store(this.control, CONTROL.read, this.#nextLow);
  }

  kind(slot: number): number {
    return this.heads[slot * HEAD_WORDS + HEAD.kind];
  }

  datum(slot: number): number {
    return this.heads[slot * HEAD_WORDS + HEAD.datum];
  }

  sequenceLow(slot: number): number {
    return this.heads[slot * HEAD_WORDS + HEAD.sequenceLow];
  }

  sequenceHigh(slot: number): number {
    return this.heads[slot * HEAD_WORDS + HEAD.sequenceHigh];
  }

  /** Exact up to 2^53. */
  sequence(slot: number): number {
    return this.sequenceHigh(slot) * TWO_POW_32 + (this.sequenceLow(slot) >>> 0);
  }

  /** Monotonic time in microseconds, exact up to 2^53. */
  timeUs(slot: number): number {
    const base = slot * HEAD_WORDS;
    return this.heads[base + HEAD.timeHigh] * TWO_POW_32 + (this.heads[base + HEAD.timeLow] >>> 0);
  }
}

/** Tells the reader that there is something to look at: records, a stop, a snapshot asked for. */
export function signalReader(control: Int32Array): void {
  Atomics.add(control, CONTROL.signal, 1);
  Atomics.notify(control, CONTROL.signal);
}
