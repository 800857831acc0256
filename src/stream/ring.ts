/**
 * The sample ring: one writer (the main thread, which moves bytes) and a few readers (a learner and a keeper, each on a
 * pool thread) share a fixed block of memory. A record is kind, 64-bit sequence number, 64-bit time, flags, a datum and
 * values:
 *
 *     control  Int32   | SIGNAL | STOP | WRITTEN | - | SNAPSHOT_ASKED | _DONE | CHECKPOINT_ASKED | _DONE | -  |
 *     readers  Int32   | READ | ATTACHED | LATE | - |   x readers, each in a line of the cache of its own
 *     heads    Int32   | kind | flags | sequence lo | hi | time lo | hi | datum | - |   x capacity
 *     values   Float32 | value 0 .. value C − 1 |                                       x capacity
 *
 * Invariants
 * - WRITTEN and READ are the low words of sequence numbers and wrap at 2^32; only their difference counts, and it
 *   is never above the capacity (a power of two). The slot of a record is its sequence number modulo the capacity.
 * - A slot is written before WRITTEN passes it and left alone until READ of every attached reader has passed it, so
 *   that no reader sees a record change. Space is bounded by the slowest of them; a reader that cannot keep up detaches,
 *   and when it can again attaches at the head.
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

/** Who reads; the number is the place among the readers. */
export const READER = { learner: 0, keeper: 1 } as const;

/** Names of the Int32 slots that all threads watch. */
export const CONTROL = {
  /** Counts everything a reader should look at; readers with nothing to do wait on it. */
  signal: 0,
  /** 1: the learner takes what has been published, then ends. */
  stop: 1,
  /** Low word of the sequence number that the next record will have. */
  written: 2,
  /** Number of the snapshot that the main thread last asked for, and of the one last made for it. */
  snapshotAsked: 4,
  snapshotDone: 5,
  /** The same for the keeper, whose snapshots go into a buffer of their own. */
  checkpointAsked: 6,
  checkpointDone: 7,
} as const;

/** The words of one reader. */
const SEAT = {
  /** Low word of the sequence number that it will take next. */
  read: 0,
  /** 1: its unread records may not be written over. */
  attached: 1,
  /** Rises when half the ring waits for it: one that lets records gather waits on this one. */
  late: 2,
} as const;

const READERS_MAX = 4;
/** One line of a processor's cache, so that what one thread writes is not fetched by the others for nothing. */
const LINE_WORDS = 16;
const HEADS_START = LINE_WORDS * (1 + READERS_MAX);
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

/** What a thread needs to lay their views over the same block. */
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
  return 4 * (HEADS_START + capacity * (HEAD_WORDS + columns));
}

/**
 * Takes the memory of a ring.
 * @param capacity records, a power of two
 * @param readers  who is attached from the start; others attach when they are there
 */
export function makeRing(
  columns: number,
  capacity: number,
  firstSequence = 0,
  readers: readonly number[] = [READER.learner],
): RingLayout {
  if (capacity < 2 || (capacity & (capacity - 1)) !== 0) {
    throw new RangeError(`ring capacity: expected a power of two of at least 2, got ${capacity}`);
  }
  const buffer = new SharedArrayBuffer(ringBytes(columns, capacity));
  const control = new Int32Array(buffer, 0, HEADS_START);
  control[CONTROL.written] = firstSequence | 0;
  for (const reader of readers) {
    control[seatOf(reader) + SEAT.read] = firstSequence | 0;
    control[seatOf(reader) + SEAT.attached] = 1;
  }
  return { buffer, columns, capacity, firstSequence };
}

function seatOf(reader: number): number {
  return LINE_WORDS * (1 + reader);
}

class RingViews {
  /** The control words, then those of the readers. */
  readonly control: Int32Array;
  readonly heads: Int32Array;
  /** Values of all slots; those of one slot start at `slot * columns`. */
  readonly values: Float32Array;
  readonly columns: number;
  protected readonly capacity: number;
  protected readonly mask: number;

  constructor({ buffer, columns, capacity }: RingLayout) {
    this.control = new Int32Array(buffer, 0, HEADS_START);
    this.heads = new Int32Array(buffer, 4 * HEADS_START, capacity * HEAD_WORDS);
    this.values = new Float32Array(buffer, 4 * (HEADS_START + capacity * HEAD_WORDS), capacity * columns);
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
  /** Records that there is room for without looking at the readers again. */
  #room = 0;
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
    if (!this.#makeRoom(timeUs)) {
      this.refused += 1;
      this.#refusedUnrecorded += 1;
      this.#gapUnrecorded = true;
      return false;
    }
    const slot = this.#writeHead(RECORD.row, datum, timeUs);
    this.values.set(row, slot * this.columns);
    return true;
  }

  /**
   * Puts a record without values among the rows: something that takes effect at this place. Visible after `publish`.
   * @returns its sequence number, or -1 if there was no room
   */
  pushDatum(kind: number, datum: number, timeUs: number): number {
    if (!this.#makeRoom(timeUs)) return -1;
    const sequence = this.nextSequence;
    this.#writeHead(kind, datum, timeUs);
    return sequence;
  }

  /** Records that would be accepted now: for a source that can wait. */
  get room(): number {
    return this.#lookForRoom() - (this.#gapUnrecorded ? 1 : 0);
  }

  /** Sequence number that the next record will have. */
  get nextSequence(): number {
    return this.#nextHigh * TWO_POW_32 + (this.#nextLow >>> 0);
  }

  /** The next row does not follow the one before: a gap record goes before it. @param lost rows known to be missing */
  markGap(lost = 0): void {
    this.#refusedUnrecorded += lost;
    this.#gapUnrecorded = true;
  }

  /** Shows the readers everything written so far and wakes them. Once per batch of bytes, not per row. */
  publish(): void {
    const { control } = this;
    if (Atomics.load(control, CONTROL.written) === this.#nextLow) return;
    Atomics.store(control, CONTROL.written, this.#nextLow);
    signalReader(control);
    for (let reader = 0; reader < READERS_MAX; reader++) {
      if (2 * this.#unread(reader) < this.capacity) continue;
      const late = seatOf(reader) + SEAT.late;
      Atomics.add(control, late, 1);
      Atomics.notify(control, late);
    }
  }

  /** Room for one record, and puts a gap that is due before it. @returns whether there is room */
  #makeRoom(timeUs: number): boolean {
    const needed = this.#gapUnrecorded ? 2 : 1;
    if (this.#room < needed) this.#room = this.#lookForRoom();
    if (this.#room < needed) return false;
    if (!this.#gapUnrecorded) return true;
    this.#writeHead(RECORD.gap, this.#refusedUnrecorded, timeUs);
    this.#refusedUnrecorded = 0;
    this.#gapUnrecorded = false;
    return true;
  }

  #lookForRoom(): number {
    let unread = 0;
    for (let reader = 0; reader < READERS_MAX; reader++) unread = Math.max(unread, this.#unread(reader));
    return this.capacity - unread;
  }

  /** Records that the reader has not released; none if it is not attached. */
  #unread(reader: number): number {
    const seat = seatOf(reader);
    if (Atomics.load(this.control, seat + SEAT.attached) === 0) return 0;
    return (this.#nextLow - Atomics.load(this.control, seat + SEAT.read)) | 0;
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
    this.#room -= 1;
    this.#nextLow = (this.#nextLow + 1) | 0;
    if (this.#nextLow === 0) this.#nextHigh += 1;
    return slot;
  }
}

export class RingReader extends RingViews {
  /** Where this reader's LATE lies among the control words. */
  readonly late: number;
  readonly #seat: number;
  #nextLow: number;

  /** @param reader one of READER; each has one reader at a time */
  constructor(layout: RingLayout, reader: number = READER.learner) {
    super(layout);
    this.#seat = seatOf(reader);
    this.late = this.#seat + SEAT.late;
    this.#nextLow = Atomics.load(this.control, this.#seat + SEAT.read);
  }

  /** From now on nothing is kept for this reader. */
  detach(): void {
    Atomics.store(this.control, this.#seat + SEAT.attached, 0);
  }

  /** Takes part again, from the record that is published next. @returns the low word of its sequence number */
  attach(): number {
    const { control } = this;
    const read = this.#seat + SEAT.read;
    Atomics.store(control, read, Atomics.load(control, CONTROL.written));
    Atomics.store(control, this.#seat + SEAT.attached, 1);
    // The writer may have gone on unseen between the two; since the second it heeds this reader, whatever it reads.
    this.#nextLow = Atomics.load(control, CONTROL.written);
    Atomics.store(control, read, this.#nextLow);
    return this.#nextLow;
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
    Atomics.store(this.control, this.#seat + SEAT.read, this.#nextLow);
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

/** Tells readers that there is something to look at: records, a stop, a snapshot asked for. */
export function signalReader(control: Int32Array): void {
  Atomics.add(control, CONTROL.signal, 1);
  Atomics.notify(control, CONTROL.signal);
}
