/**
 * One block of shared memory per model holds all mutable state of learning: parameters, activations, deltas,
 * running statistics, scores, counters. It is planned, then taken once, and never grows; so the size can be
 * said before anything is allocated, a checkpoint is one copy, and a view never moves.
 *
 *     plan    | weights1 ......| bias1 ..| weights2 ....| ... | scores ..|
 *     offset  0                                                          plan.sizeBytes
 *
 * Every part starts at a multiple of 16 bytes, so that a 128-bit load of its first element is aligned.
 */

/** Alignment of every part in bytes: one 128-bit vector. */
const ALIGNMENT_BYTES = 16;

/** WebAssembly memory is taken in pages of this many bytes. */
const PAGE_BYTES = 65_536;

const ELEMENT_BYTES = { float32: 4, float64: 8, int32: 4 } as const;

type ElementType = keyof typeof ELEMENT_BYTES;

interface ViewOf {
  float32: Float32Array;
  float64: Float64Array;
  int32: Int32Array;
}

/** A planned part: what it is called, where it will lie and what it holds. */
export interface Part<T extends ElementType = ElementType> {
  readonly name: string;
  readonly type: T;
  /** Bytes from the start of the arena. */
  readonly offset: number;
  /** Elements, not bytes. */
  readonly length: number;
}

export class ArenaPlan {
  readonly parts: Part[] = [];
  /** Bytes that the arena will take, ends of parts rounded up to the alignment. */
  sizeBytes = 0;

  float32(name: string, length: number): Part<'float32'> {
    return this.#add(name, 'float32', length);
  }

  float64(name: string, length: number): Part<'float64'> {
    return this.#add(name, 'float64', length);
  }

  int32(name: string, length: number): Part<'int32'> {
    return this.#add(name, 'int32', length);
  }

  /** Takes the memory that was planned: shared, zeroed, of fixed size. */
  allocate(): WebAssembly.Memory {
    const pages = Math.max(1, Math.ceil(this.sizeBytes / PAGE_BYTES));
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  }

  #add<T extends ElementType>(name: string, type: T, length: number): Part<T> {
    const part: Part<T> = { name, type, offset: this.sizeBytes, length };
    this.parts.push(part);
    const endBytes = this.sizeBytes + length * ELEMENT_BYTES[type];
    this.sizeBytes = Math.ceil(endBytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    return part;
  }
}

/** Views of parts, under the same keys. Made once, when a model is made; never in a step. */
export type Views<P extends Record<string, Part>> = { readonly [K in keyof P]: ViewOf[P[K]['type']] };

/** Lays the views of `parts` over `buffer`. */
export function viewsOf<P extends Record<string, Part>>(buffer: ArrayBufferLike, parts: P): Views<P> {
  const views: Record<string, Float32Array | Float64Array | Int32Array> = {};
  for (const [key, { type, offset, length }] of Object.entries(parts)) {
    if (type === 'float32') views[key] = new Float32Array(buffer, offset, length);
    else if (type === 'float64') views[key] = new Float64Array(buffer, offset, length);
    else views[key] = new Int32Array(buffer, offset, length);
  }
  return views as Views<P>;
}
