/**
 * The safetensors container: named tensors in one file, which PyTorch and NumPy read and write too.
 *
 *   0             8                        8 + N                          end
 *   ├─────────────┼────────────────────────┼──────────────────────────────┤
 *   │ N, u64      │ header: JSON, N bytes  │ data: the tensors, row-major │   all little-endian
 *   └─────────────┴────────────────────────┴──────────────────────────────┘
 *
 * A file that we write is sealed: the first metadata entry is a SHA-256 of the whole file, so that every changed
 * byte is found. A file from elsewhere has no seal and is taken as it is. The bytes that are read are not
 * trusted: every number is checked before it is used. Layout, seal and limits: FORMAT.md, "Weight file".
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { EdgeloopError } from '../errors.ts';

export type TensorData = Float32Array | Float64Array | Int32Array;

/** One tensor: `data` holds the product of `shape` elements, row-major; its class gives the dtype. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: TensorData;
}

export interface TensorFile {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Ours take a few KiB. The limit bounds what a hostile file can make the JSON parser do. */
const HEADER_BYTES_MAX = 1024 * 1024;
const LENGTH_BYTES = 8;
const ALIGNMENT_BYTES = 8;

const METADATA_KEY = '__metadata__';
const SEAL_KEY = 'edgeloop.sha256';
/** What a sealed header begins with: the digest is found, and blanked, without reading any JSON. */
const SEAL_PREFIX = `{"${METADATA_KEY}":{"${SEAL_KEY}":"`;
const SEAL_OFFSET = LENGTH_BYTES + SEAL_PREFIX.length;
const SEAL_BLANK = '0'.repeat(64);

const RESTORE = 'Restore a copy of the file, or move it away to start anew.';
const SAVE_AGAIN = 'Save it again as a safetensors file, or name another file.';

// --- Element types ---------------------------------------------------------------------------------------------

/** How one dtype lies in the data section. `offset` counts bytes; the byte order is always little-endian. */
interface ElementType {
  readonly dtype: string;
  readonly sizeBytes: number;
  create(length: number): TensorData;
  read(view: DataView, offset: number): number;
  write(view: DataView, offset: number, value: number): void;
}

// A NaN has many bit patterns, and which one an operation leaves differs between machines: we write one.
const F32: ElementType = {
  dtype: 'F32',
  sizeBytes: 4,
  create: (length) => new Float32Array(length),
  read: (view, offset) => view.getFloat32(offset, true),
  write(view, offset, value) {
    if (Number.isNaN(value)) view.setUint32(offset, 0x7fc00000, true);
    else view.setFloat32(offset, value, true);
  },
};

const F64: ElementType = {
  dtype: 'F64',
  sizeBytes: 8,
  create: (length) => new Float64Array(length),
  read: (view, offset) => view.getFloat64(offset, true),
  write(view, offset, value) {
    if (Number.isNaN(value)) view.setBigUint64(offset, 0x7ff8000000000000n, true);
    else view.setFloat64(offset, value, true);
  },
};

const I32: ElementType = {
  dtype: 'I32',
  sizeBytes: 4,
  create: (length) => new Int32Array(length),
  read: (view, offset) => view.getInt32(offset, true),
  write: (view, offset, value) => view.setInt32(offset, value, true),
};

const ELEMENT_TYPES: readonly ElementType[] = [F64, F32, I32];

function elementTypeOf(data: TensorData): ElementType {
  if (data instanceof Float64Array) return F64;
  return data instanceof Float32Array ? F32 : I32;
}

// --- Writing ---------------------------------------------------------------------------------------------------

/**
 * The bytes of a sealed safetensors file. The same content gives the same bytes: the header lists the tensors in
 * map order and the metadata by key; a NaN is written as one bit pattern. The input is only read.
 * Asserts that shapes fit their data and that no name is one of the container's own.
 */
export function encodeSafetensors(file: TensorFile): Uint8Array {
  assertWritable(file);
  const { begins, sizeBytes } = layOut(file.tensors);
  const header = new TextEncoder().encode(headerText(file, begins));
  assert(header.length <= HEADER_BYTES_MAX, `header of ${header.length} bytes, limit ${HEADER_BYTES_MAX}`);

  const dataOffset = LENGTH_BYTES + header.length;
  const bytes = new Uint8Array(dataOffset + sizeBytes);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(header.length), true);
  bytes.set(header, LENGTH_BYTES);
  for (const [name, tensor] of file.tensors) writeElements(view, dataOffset + begins.get(name)!, tensor.data);
  bytes.set(new TextEncoder().encode(digestOf(bytes)), SEAL_OFFSET);
  return bytes;
}

function assertWritable(file: TensorFile): void {
  for (const [name, { shape, data }] of file.tensors) {
    assert(name !== METADATA_KEY && name !== '__proto__', `tensor name ${name} is reserved`);
    assert(shape.every(isCount), `tensor ${name}: bad shape [${shape}]`);
    assert.equal(
      elementCount(shape),
      data.length,
      `tensor ${name}: shape [${shape}] for ${data.length} elements`,
    );
  }
  for (const key of Object.keys(file.metadata)) {
    assert(!resemblesSealKey(key) && key !== '__proto__', `metadata key ${key} is reserved`);
  }
}

/**
 * Where each tensor begins in the data section. The section has no holes, so tensors of 8-byte elements come
 * first: then every tensor is aligned to its elements. Within one size they lie in map order.
 */
function layOut(tensors: ReadonlyMap<string, Tensor>): { begins: Map<string, number>; sizeBytes: number } {
  const begins = new Map<string, number>();
  let end = 0;
  for (const elementBytes of [8, 4]) {
    for (const [name, { data }] of tensors) {
      if (data.BYTES_PER_ELEMENT !== elementBytes) continue;
      begins.set(name, end);
      end += data.byteLength;
    }
  }
  return { begins, sizeBytes: end };
}

/** Composed by hand: JSON.stringify of an object would move names that look like integers to the front. */
function headerText(file: TensorFile, begins: ReadonlyMap<string, number>): string {
  const keys = Object.keys(file.metadata).toSorted();
  const entries = keys.map((key) => `,${JSON.stringify(key)}:${JSON.stringify(file.metadata[key])}`);
  let text = `${SEAL_PREFIX}${SEAL_BLANK}"${entries.join('')}}`;
  for (const [name, { shape, data }] of file.tensors) {
    const begin = begins.get(name)!;
    const dtype = elementTypeOf(data).dtype;
    const place = { dtype, shape, data_offsets: [begin, begin + data.byteLength] };
    text += `,${JSON.stringify(name)}:${JSON.stringify(place)}`;
  }
  text += '}';
  const sizeBytes = LENGTH_BYTES + Buffer.byteLength(text);
  return text + ' '.repeat(-sizeBytes & (ALIGNMENT_BYTES - 1));
}

function writeElements(view: DataView, offset: number, data: TensorData): void {
  const { sizeBytes, write } = elementTypeOf(data);
  for (let index = 0; index < data.length; index++) write(view, offset + index * sizeBytes, data[index]!);
}

// --- The seal --------------------------------------------------------------------------------------------------

/**
 * SHA-256, in hex, of the file with its 64 digits of seal taken as zeros: it covers every byte. A seal at any other
 * place than SEAL_OFFSET is hashed like the rest and so never matches.
 */
function digestOf(bytes: Uint8Array): string {
  const hash = createHash('sha256');
  hash.update(bytes.subarray(0, SEAL_OFFSET));
  hash.update(SEAL_BLANK);
  hash.update(bytes.subarray(SEAL_OFFSET + SEAL_BLANK.length));
  return hash.digest('hex');
}

/**
 * Is this the seal's key, or the seal's key with one byte damaged? The digest cannot vouch for the key that names
 * it: without this a file whose key is damaged would pass as a foreign file that never had a seal.
 */
function resemblesSealKey(key: string): boolean {
  if (key.length !== SEAL_KEY.length) return false;
  let differing = 0;
  for (let index = 0; index < key.length; index++) if (key[index] !== SEAL_KEY[index]) differing++;
  return differing <= 1;
}

function checkSeal(bytes: Uint8Array, metadata: Header['metadata'], file: string): void {
  const sealKey = Object.keys(metadata).find(resemblesSealKey);
  if (sealKey === undefined) return;
  if (sealKey !== SEAL_KEY) refuse(file, `the metadata key ${SEAL_KEY}`, quote(sealKey), RESTORE);
  const digest = digestOf(bytes);
  const sealed = metadata[SEAL_KEY]!;
  if (sealed === digest) return;
  refuse(
    file,
    `content that matches its checksum ${quote(sealed)}`,
    `${digest}: the file is damaged, or was changed by another program`,
    `${RESTORE} If the change was meant, save it without the metadata key ${SEAL_KEY}.`,
  );
}

// --- Reading ---------------------------------------------------------------------------------------------------

interface Header {
  readonly metadata: Readonly<Record<string, string>>;
  readonly places: readonly Place[]; // in the order of the header
  readonly dataOffset: number; //       bytes from the start of the file
}

/** One tensor's entry in the header; `begin` and `end` are bytes from the start of the data section. */
interface Place {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/**
 * The tensors, copied and in the order of the header, and the metadata without the seal.
 * @param bytes the whole file; at any alignment, never changed
 * @param name  the file's name, for messages
 * @throws EdgeloopError ELOOP_FORMAT when the bytes are not exactly one safetensors file of F32, F64 and I32
 *   tensors without holes, or when the file has a seal that does not match.
 */
export function decodeSafetensors(bytes: Uint8Array, name: string): TensorFile {
  const header = readHeader(bytes, name);
  checkLayout(header.places, bytes.length - header.dataOffset, name);
  checkSeal(bytes, header.metadata, name);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tensors = new Map<string, Tensor>();
  for (const { name: tensorName, type, shape, begin } of header.places) {
    const data = type.create(elementCount(shape));
    readElements(view, header.dataOffset + begin, type, data);
    tensors.set(tensorName, { shape, data });
  }
  const { [SEAL_KEY]: _seal, ...metadata } = header.metadata;
  return { tensors, metadata };
}

function readElements(view: DataView, offset: number, type: ElementType, data: TensorData): void {
  const { sizeBytes, read } = type;
  for (let index = 0; index < data.length; index++) data[index] = read(view, offset + index * sizeBytes);
}

function readHeader(bytes: Uint8Array, file: string): Header {
  const dataOffset = LENGTH_BYTES + readHeaderLength(bytes, file);
  const text = readHeaderText(bytes.subarray(LENGTH_BYTES, dataOffset), file);
  const json = parseObject(text, file);
  const names = namesInOrder(text, file).filter((name) => name !== METADATA_KEY);
  const metadata = readMetadata(json[METADATA_KEY], file);
  return { metadata, places: names.map((name) => readPlace(name, json[name], file)), dataOffset };
}

function readHeaderLength(bytes: Uint8Array, file: string): number {
  if (bytes.length < LENGTH_BYTES) refuse(file, 'a safetensors file', `${bytes.length} bytes`, RESTORE);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > BigInt(HEADER_BYTES_MAX)) {
    refuse(file, `a safetensors header of at most ${HEADER_BYTES_MAX} bytes`, `${length}`, SAVE_AGAIN);
  }
  const end = LENGTH_BYTES + Number(length);
  if (end > bytes.length) refuse(file, `a header up to byte ${end}`, `${bytes.length} bytes in all`, RESTORE);
  return Number(length);
}

function readHeaderText(bytes: Uint8Array, file: string): string {
  try {
    // With ignoreBOM a byte order mark stays in the text, which then does not begin with a brace.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse(file, 'a header in UTF-8', 'other bytes', RESTORE);
  }
}

function parseObject(text: string, file: string): Record<string, unknown> {
  if (!text.startsWith('{')) refuse(file, 'a header that begins with {', quote(text), SAVE_AGAIN);
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    return refuse(file, 'a header of JSON', quote((error as Error).message), RESTORE);
  }
}

/** Strings with the colon that makes them keys, and brackets: all that finding the keys of valid JSON takes. */
const JSON_TOKEN = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g;
/** header { tensor { shape [ */
const JSON_DEPTH_MAX = 3;

/**
 * The header's names in the order of the text, which must be valid JSON. JSON.parse alone would keep the last of
 * two equal names, so that two readers could see two different files, and would reorder names like "0".
 */
function namesInOrder(text: string, file: string): string[] {
  const open: Set<string>[] = []; // the keys seen so far in each bracket that is open
  for (const [token, colon] of text.matchAll(JSON_TOKEN)) {
    if (token === '{' || token === '[') open.push(new Set());
    else if (token === '}' || token === ']') {
      if (open.length === 1) return [...open[0]!];
      open.pop();
    } else if (colon !== undefined) addKey(open.at(-1)!, JSON.parse(token.slice(0, -colon.length)), file);
    if (open.length > JSON_DEPTH_MAX) {
      refuse(file, `a header nested at most ${JSON_DEPTH_MAX} deep`, 'more', SAVE_AGAIN);
    }
  }
  return assert.fail('valid JSON closes its brackets');
}

function addKey(keys: Set<string>, key: string, file: string): void {
  if (keys.has(key)) refuse(file, 'every name in the header once', `${quote(key)} twice`, SAVE_AGAIN);
  if (key === '__proto__') refuse(file, 'names of tensors and metadata', quote(key), SAVE_AGAIN);
  keys.add(key);
}

function readMetadata(json: unknown, file: string): Record<string, string> {
  if (json === undefined) return {};
  if (!isRecord(json))
    refuse(file, `${METADATA_KEY} to be an object`, quote(JSON.stringify(json)), SAVE_AGAIN);
  for (const [key, value] of Object.entries(json)) {
    if (typeof value === 'string') continue;
    refuse(file, `metadata ${quote(key)} to be a string`, quote(JSON.stringify(value)), SAVE_AGAIN);
  }
  return json as Record<string, string>;
}

function readPlace(name: string, json: unknown, file: string): Place {
  const where = `${file}, tensor ${quote(name)}`;
  if (!isRecord(json) || Object.keys(json).toSorted().join() !== 'data_offsets,dtype,shape') {
    refuse(where, 'an object of dtype, shape and data_offsets', quote(JSON.stringify(json)), SAVE_AGAIN);
  }
  const { dtype, shape, data_offsets: offsets } = json;
  const type = ELEMENT_TYPES.find((candidate) => candidate.dtype === dtype);
  if (type === undefined) {
    const got = quote(typeof dtype === 'string' ? dtype : JSON.stringify(dtype));
    refuse(where, 'dtype F32, F64 or I32', got, 'Convert the tensor to float32 and save it again.');
  }
  if (!isCounts(shape)) refuse(where, 'a shape of whole numbers', quote(JSON.stringify(shape)), SAVE_AGAIN);
  if (!isCounts(offsets) || offsets.length !== 2) {
    refuse(where, 'data_offsets of two whole numbers', quote(JSON.stringify(offsets)), SAVE_AGAIN);
  }
  const [begin, end] = offsets as [number, number];
  if (end - begin !== elementCount(shape) * type.sizeBytes) {
    const expected = `${type.sizeBytes} bytes for each element of shape ${quote(JSON.stringify(shape))}`;
    refuse(where, expected, `data_offsets ${begin} to ${end}`, SAVE_AGAIN);
  }
  return { name, type, shape, begin, end };
}

/** The tensors must tile the data section: one after the other, from its first byte to the file's last. */
function checkLayout(places: readonly Place[], dataBytes: number, file: string): void {
  let end = 0;
  for (const place of places.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (place.begin !== end) {
      const fault = place.begin < end ? 'an overlap' : 'a hole';
      const where = `${file}, tensor ${quote(place.name)}`;
      refuse(where, `data at byte ${end}`, `${fault}: it begins at ${place.begin}`, SAVE_AGAIN);
    }
    end = place.end;
  }
  if (end === dataBytes) return;
  const fault = dataBytes < end ? 'the file was cut short' : 'something follows the tensors';
  refuse(file, `${end} bytes of tensor data`, `${dataBytes}: ${fault}`, RESTORE);
}

// --- Checks ----------------------------------------------------------------------------------------------------

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A whole number that a double holds exactly. JSON can also write -0, which no shape is. */
function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isCount);
}

/** The product of the shape, or NaN when a double does not hold it exactly. */
function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) {
    count *= size;
    if (!Number.isSafeInteger(count)) return NaN;
  }
  return count;
}

/** Text of a foreign file as it may stand in a message: short, and without control characters. */
export function printable(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return short.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '�');
}

function quote(text: string): string {
  return `"${printable(text)}"`;
}

function refuse(where: string, expected: string, got: string, remedy: string): never {
  throw new EdgeloopError('ELOOP_FORMAT', `${where}: expected ${expected}, got ${got}. ${remedy}`);
}
