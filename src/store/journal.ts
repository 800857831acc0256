/**
 * The journal as a whole: which records of which segments count, and in what order.
 *
 * Each start of the keeper is a session, and says with which sequence number it begins. **From there on nothing counts
 * that stands in sessions before**: a damaged tail that was once cut stays cut, and a rewound model does not meet its
 * old future again.
 *
 *     session 1   |1 ........ 4711 ~~~damaged~~~|
 *     session 2                  |4712 ...... 9000|
 *     session 3            |3000 ..... 3500|              rewound to 2999: of session 1 counts 1 to 2999, of 2 nothing
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { EdgeloopError } from '../errors.ts';
import { HEAD } from '../stream/ring.ts';
import type { ModelIdentity } from './checkpoints.ts';
import { readRecords } from './records.ts';
import {
  type Cut,
  DESCRIPTION_BYTES_MAX,
  FRAME,
  STREAM,
  SegmentReader,
  segmentName,
  segmentNumbers,
} from './segments.ts';

const TWO_POW_32 = 4_294_967_296;

/** The description frame of a journal: FORMAT.md, "Segments". */
export interface JournalDescription extends ModelIdentity {
  readonly configSha256: string;
  readonly classes: readonly string[];
  readonly epoch: number;
  /** Of the first record of the session. */
  readonly firstSequence: number;
  /** SHA-256 of the arena before that record, in hex; empty if it is not known. */
  readonly startSha256: string;
  /** How long the model had been learning when the session began, and the monotonic time then. */
  readonly runSeconds: number;
  readonly startedTimeUs: number;
  /** Wall time, ISO 8601, for people. */
  readonly startedAt: string;
}

/** Something that happened, as the journal and the catalogue keep it. */
export interface StoreEvent {
  /** started, stopped, portLost, drift, score, ... */
  readonly kind: string;
  /** Of the last record before it. */
  readonly sequence: number;
  /** Wall time, ISO 8601, for people. */
  readonly at: string;
  readonly detail: Readonly<Record<string, unknown>>;
  /** 1, 2, ... within the session: with it an event is known again. */
  readonly index: number;
}

export interface PlacedEvent extends StoreEvent {
  readonly session: string;
}

export interface SegmentInfo {
  readonly number: number;
  readonly bytes: number;
  /** Undefined if nothing of the segment can be read. */
  readonly session: string | undefined;
  readonly description: JournalDescription | undefined;
  /** Its first record. */
  readonly first: { readonly sequence: number; readonly timeUs: number } | undefined;
}

/**
 * Looks at the beginning of every segment.
 * @throws EdgeloopError ELOOP_FORMAT for a version that is not known, or another kind of stream
 */
export function scanJournal(directory: string): SegmentInfo[] {
  return segmentNumbers(readdirSync(directory)).map((number) => scanSegment(directory, number));
}

function scanSegment(directory: string, number: number): SegmentInfo {
  const { size: bytes } = statSync(join(directory, segmentName(number)));
  let session: string | undefined;
  let description: JournalDescription | undefined;
  for (const item of new SegmentReader(directory, STREAM.journal, [number]).read()) {
    if (item.kind === 'cut') break;
    if (item.kind === 'segment') session = item.header.session;
    else if (item.type === FRAME.description) description ??= parseDescription(item.payload);
    else if (item.type === FRAME.records && item.payload.length >= 16) {
      return { number, bytes, session, description, first: firstOf(item.payload) };
    }
  }
  return { number, bytes, session, description, first: undefined };
}

function firstOf(payload: Uint8Array): SegmentInfo['first'] {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  return {
    sequence: view.getUint32(4, true) * TWO_POW_32 + view.getUint32(0, true),
    timeUs: view.getUint32(12, true) * TWO_POW_32 + view.getUint32(8, true),
  };
}

/**
 * @param segment  after which, and
 * @param session  other than which, sessions are looked at
 * @returns the first sequence number that such a later session has made void; Infinity if none has
 */
export function voidFrom(segments: readonly SegmentInfo[], segment: number, session: string): number {
  let from = Infinity;
  for (const later of segments) {
    if (later.number <= segment || later.session === session || !later.description) continue;
    from = Math.min(from, later.description.firstSequence);
  }
  return from;
}

/**
 * Takes a record.
 * @param values [C], or [0] if the record has none; valid during the call
 */
export type Apply = (
  kind: number,
  flags: number,
  datum: number,
  sequence: number,
  timeUs: number,
  values: Float32Array,
) => void;

export interface Replayed {
  /** Sequence number of the last record that was taken, and how many were. */
  readonly sequence: number;
  readonly records: number;
  /** Damage met on the way, and a hole if there is one: what comes after it does not count. */
  readonly cuts: readonly Cut[];
  /** The newest description met. */
  readonly description: JournalDescription | undefined;
  readonly events: readonly PlacedEvent[];
  /** From the first record of the last session to its last, in seconds; what was not synced may be missing. */
  readonly sessionSeconds: number;
}

/**
 * Applies the records after `after` in order, as far as they follow each other.
 * @param segments those to read, ascending
 * @param identity of the arena that they are applied to
 * @throws EdgeloopError ELOOP_STORE if a record was learned by another config or arithmetic
 */
export function replayJournal(
  directory: string,
  segments: readonly SegmentInfo[],
  after: number,
  identity: Identity,
  apply: Apply,
): Replayed {
  const reader = new JournalReader(directory, after, identity, apply);
  if (segments.length > 0) reader.read(segments);
  return reader;
}

class JournalReader implements Replayed {
  sequence: number;
  records = 0;
  readonly cuts: Cut[] = [];
  description: JournalDescription | undefined;
  readonly events: PlacedEvent[] = [];
  sessionSeconds = 0;

  readonly #directory: string;
  readonly #identity: Identity;
  readonly #apply: Apply;
  #path = '';
  #session = '';
  #described: JournalDescription | undefined;
  /** In what the session differs from the arena. */
  #differs: string | undefined;
  #void = Infinity;
  #hole = false;
  /** The values of a batch come in one array: the same bits as numbers. */
  #bits: Uint32Array = new Uint32Array(0);
  #values: Float32Array = new Float32Array(0);

  constructor(directory: string, after: number, identity: Identity, apply: Apply) {
    this.#directory = directory;
    this.sequence = after;
    this.#identity = identity;
    this.#apply = apply;
  }

  read(segments: readonly SegmentInfo[]): void {
    const numbers = segments.map(({ number }) => number);
    for (const item of new SegmentReader(this.#directory, STREAM.journal, numbers).read()) {
      if (item.kind === 'cut') this.cuts.push(item.cut);
      else if (item.kind === 'segment') this.#begin(item.header.number, item.header.session, segments);
      else if (item.type === FRAME.description) this.#describe(item.payload);
      else if (item.type === FRAME.records) this.#takeBatch(item.payload);
      else if (item.type === FRAME.event) this.#takeEvent(item.payload);
    }
  }

  #begin(number: number, session: string, segments: readonly SegmentInfo[]): void {
    this.#path = join(this.#directory, segmentName(number));
    this.#void = voidFrom(segments, number, session);
    if (session === this.#session) return;
    this.#session = session;
    this.#described = undefined;
    this.sessionSeconds = 0;
  }

  #describe(payload: Uint8Array): void {
    const found = parseDescription(payload);
    if (found === undefined) this.#cut('its description breaks the rules of FORMAT.md');
    else {
      this.#described = this.description = found;
      this.#differs = differenceOf(found, this.#identity);
    }
  }

  #takeBatch(payload: Uint8Array): void {
    try {
      readRecords(this.#directory, payload, (head, values) => this.#takeRecord(head, values));
    } catch (error) {
      const { code } = error as EdgeloopError;
      if (code !== 'ELOOP_FORMAT') throw error;
      this.#cut('a batch of records breaks the rules of FORMAT.md');
    }
  }

  #takeRecord(head: Int32Array, values: Uint32Array): void {
    const sequence = head[HEAD.sequenceHigh] * TWO_POW_32 + (head[HEAD.sequenceLow] >>> 0);
    const timeUs = head[HEAD.timeHigh] * TWO_POW_32 + (head[HEAD.timeLow] >>> 0);
    if (this.#described) this.sessionSeconds = (timeUs - this.#described.startedTimeUs) / 1e6;
    if (sequence <= this.sequence || sequence >= this.#void || this.#hole) return;
    if (sequence !== this.sequence + 1) {
      this.#hole = true;
      this.#cut(`the records from ${this.sequence + 1} to ${sequence - 1} are missing`);
      return;
    }
    if (this.#differs !== undefined) throw this.#otherModel(this.#differs);
    if (values.buffer !== this.#bits.buffer) {
      this.#bits = values;
      this.#values = new Float32Array(values.buffer, values.byteOffset, values.length);
    }
    this.#apply(head[HEAD.kind], head[HEAD.flags], head[HEAD.datum], sequence, timeUs, this.#values);
    this.sequence = sequence;
    this.records += 1;
  }

  #otherModel(differs: string): EdgeloopError {
    return new EdgeloopError(
      'ELOOP_STORE',
      `${this.#path}: expected records learned with the ${differs} of the checkpoint before them, got another. ` +
        'The checkpoint between the two is missing or damaged: restore a backup, or start anew with --fresh.',
    );
  }

  #takeEvent(payload: Uint8Array): void {
    const event = parseEvent(payload);
    if (event) this.events.push({ ...event, session: this.#session });
  }

  #cut(reason: string): void {
    this.cuts.push({ path: this.#path, offset: 0, bytes: 0, reason });
  }
}

type Identity = Pick<JournalDescription, 'arithmetic' | 'configSha256'>;

function differenceOf(found: Identity, expected: Identity): string | undefined {
  if (found.arithmetic !== expected.arithmetic) return 'version of the arithmetic';
  return found.configSha256 === expected.configSha256 ? undefined : 'config';
}

/** All events that the journal still has, for the catalogue; in constant memory. */
export function* readEvents(directory: string): Generator<PlacedEvent, void, void> {
  const numbers = segmentNumbers(readdirSync(directory));
  if (numbers.length === 0) return;
  let session = '';
  for (const item of new SegmentReader(directory, STREAM.journal, numbers).read()) {
    if (item.kind === 'segment') ({ session } = item.header);
    if (item.kind !== 'frame' || item.type !== FRAME.event) continue;
    const event = parseEvent(item.payload);
    if (event) yield { ...event, session };
  }
}

function parseDescription(payload: Uint8Array): JournalDescription | undefined {
  if (payload.length > DESCRIPTION_BYTES_MAX) return undefined;
  const found = parseObject(payload) as JournalDescription | undefined;
  const sound =
    found !== undefined &&
    typeof found.arithmetic === 'string' &&
    typeof found.configSha256 === 'string' &&
    typeof found.startSha256 === 'string' &&
    Array.isArray(found.classes) &&
    found.classes.every((name) => typeof name === 'string') &&
    [found.epoch, found.firstSequence, found.runSeconds, found.startedTimeUs].every(Number.isFinite);
  return sound ? found : undefined;
}

function parseEvent(payload: Uint8Array): StoreEvent | undefined {
  const found = parseObject(payload);
  const { kind, sequence, at, detail, index } = (found ?? {}) as unknown as StoreEvent;
  const sound =
    typeof kind === 'string' &&
    Number.isSafeInteger(sequence) &&
    typeof at === 'string' &&
    typeof detail === 'object' &&
    detail !== null &&
    Number.isSafeInteger(index);
  return sound ? { kind, sequence, at, detail, index } : undefined;
}

function parseObject(payload: Uint8Array): object | undefined {
  try {
    const found: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
    return typeof found === 'object' && found !== null ? found : undefined;
  } catch {
    return undefined;
  }
}
