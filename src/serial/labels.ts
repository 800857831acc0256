/**
 * Class names as the board prints them, looked up by their bytes so that a row costs no string. A name that is
 * new takes the next free class, up to the fixed number of outputs. So does a damaged one ("unning"): where the names
 * are known beforehand the config pins them, and others are refused.
 */

/** Longer names are line noise, not names. */
export const LABEL_BYTES_MAX = 64;

/** Why a label was refused. */
export const LABEL_REFUSED = -2;

const decoder = new TextDecoder('utf-8', { fatal: true });
const encoder = new TextEncoder();

export class Labels {
  readonly names: string[] = [];
  readonly #bytes: Uint8Array[] = [];
  readonly #classesMax: number;

  /**
   * @param names      those already known, in order of class
   * @param classesMax as many names as there are: they are pinned
   */
  constructor(names: readonly string[], classesMax: number) {
    this.#classesMax = classesMax;
    for (const name of names) this.#add(name, encoder.encode(name));
  }

  /** @returns the class of the name in bytes[start..end), or LABEL_REFUSED */
  classOf(bytes: Uint8Array, start: number, end: number): number {
    for (let index = 0; index < this.#bytes.length; index++) {
      if (sameBytes(this.#bytes[index], bytes, start, end)) return index;
    }
    return this.#learn(bytes.slice(start, end));
  }

  #learn(bytes: Uint8Array): number {
    if (this.names.length >= this.#classesMax || !isName(bytes)) return LABEL_REFUSED;
    try {
      return this.#add(decoder.decode(bytes), bytes);
    } catch {
      return LABEL_REFUSED; // not UTF-8
    }
  }

  #add(name: string, bytes: Uint8Array): number {
    this.names.push(name);
    this.#bytes.push(bytes);
    return this.names.length - 1;
  }
}

/** @returns whether bytes[start..end) are the known ones */
export function sameBytes(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[start + i]) return false;
  return true;
}

/** @returns whether a board can print it as a class's name */
export function isLabel(name: string): boolean {
  return isName(encoder.encode(name)) && name.trim() === name;
}

function isName(bytes: Uint8Array): boolean {
  return (
    bytes.length > 0 &&
    bytes.length <= LABEL_BYTES_MAX &&
    bytes.every((byte) => byte >= 0x20 && byte !== 0x7f)
  );
}
