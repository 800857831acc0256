/**
 * The most that one core does in 128-bit vectors of WebAssembly: a module of independent chains of a multiplication
 * and an addition, put together byte by byte, since there is nothing in it but one loop.
 *
 *     (func (export "run") (param $rounds i32) (result f32)
 *       (local 12 chains, factor and summand: v128)
 *       loop: chain = chain * factor + summand, for each chain; --$rounds)
 */

/** Enough to hide the latency of both, few enough for 16 registers with the two factors. */
const CHAINS = 12;
const LANES = 4;

const I32 = 0x7f;
const F32 = 0x7d;
const V128 = 0x7b;
const ROUNDS = 0; // indices of locals: the parameter, the chains, factor and summand
const FACTOR = CHAINS + 1;
const SUMMAND = CHAINS + 2;

const get = (local: number): number[] => [0x20, local];
const set = (local: number): number[] => [0x21, local];
const f32Const = (value: number): number[] => [0x43, ...new Uint8Array(Float32Array.of(value).buffer)];
const SPLAT = [0xfd, 0x13];
const MULTIPLY = [0xfd, 0xe6, 0x01];
const ADD = [0xfd, 0xe4, 0x01];
const EXTRACT_FIRST = [0xfd, 0x1f, 0];

/** Unsigned LEB128. */
function encoded(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...encoded(value >>> 7)];
}

const sized = (bytes: readonly number[]): number[] => [...encoded(bytes.length), ...bytes];

const splat = (value: number, local: number): number[] => [...f32Const(value), ...SPLAT, ...set(local)];
const step = (chain: number): number[] =>
  [get(chain), get(FACTOR), MULTIPLY, get(SUMMAND), ADD, set(chain)].flat();

function body(): number[] {
  const chains = Array.from({ length: CHAINS }, (_, i) => i + 1);
  const countDown = [...get(ROUNDS), 0x41, 1, 0x6b, 0x22, ROUNDS, 0x0d, 0]; // i32.sub, local.tee, br_if 0
  return [
    [1, CHAINS + 2, V128], // locals
    ...chains.map((chain) => splat(chain, chain)),
    splat(0.999, FACTOR),
    splat(0.002, SUMMAND),
    [0x03, 0x40], // loop
    ...chains.map(step),
    countDown,
    [0x0b],
    get(1),
    ...chains.slice(1).map((chain) => [...get(chain), ...ADD]),
    EXTRACT_FIRST,
    [0x0b],
  ].flat();
}

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

function moduleBytes(): Uint8Array {
  const section = (id: number, content: readonly number[]): number[] => [id, ...sized(content)];
  const types = section(1, [1, 0x60, 1, I32, 1, F32]);
  const functions = section(3, [1, 0]);
  const exported = section(7, [1, ...sized([...Buffer.from('run')]), 0, 0]);
  const code = section(10, [1, ...sized(body())]);
  return Uint8Array.from([HEADER, types, functions, exported, code].flat());
}

export interface Peak {
  /** @returns floating-point operations of a run */
  run(rounds: number): number;
}

export function makePeak(): Peak {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes()), {});
  const loop = exports.run as (rounds: number) => number;
  return {
    run(rounds) {
      if (!(loop(rounds) > 0)) throw new Error('the chains did not run');
      return 2 * CHAINS * LANES * rounds;
    },
  };
}
