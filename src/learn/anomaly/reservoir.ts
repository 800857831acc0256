/**
 * Windows kept from all those offered, each with the same chance (Vitter's algorithm R), as they came: what is drawn
 * is standardised as of now.
 */
import { type ArenaPlan, type Part, type Views, viewsOf } from '../../engine/arena.ts';
import { drawIndex } from '../../engine/random.ts';
import { PLACE, type RowWindow } from './window.ts';

const RESERVOIR_WINDOWS = 64;

type ReservoirParts = {
  readonly windows: Part<'float32'>;
  readonly offered: Part<'int32'>;
  readonly random: Part<'int32'>;
};

export interface Reservoir extends Views<ReservoirParts> {}

/** @param values D, of a window */
export function planReservoir(plan: ArenaPlan, values: number): ReservoirParts {
  return {
    windows: plan.float32('anomaly.reservoir.windows', RESERVOIR_WINDOWS * values), // [64][W][C]
    offered: plan.int32('anomaly.reservoir.offered', 1),
    random: plan.int32('anomaly.reservoir.random', 1), // state of the generator
  };
}

export function openReservoir(buffer: ArrayBufferLike, parts: ReservoirParts): Reservoir {
  return viewsOf(buffer, parts);
}

export function resetReservoir({ offered, random }: Reservoir, seed: number): void {
  offered[0] = 0;
  random[0] = seed;
}

/** Offers the window, which is full; it is kept, oldest row first, or not. */
export function offerWindow(reservoir: Reservoir, { rows, newest, place }: RowWindow): void {
  const { windows, offered, random } = reservoir;
  const count = offered[0];
  offered[0] = count + 1;
  const slot = count < RESERVOIR_WINDOWS ? count : drawIndex(random, count + 1);
  if (slot >= RESERVOIR_WINDOWS) return;
  const values = rows.length;
  const oldest = place[PLACE.oldest] * newest.length;
  const to = slot * values;
  for (let i = 0; i < values; i++) windows[to + i] = rows[(oldest + i) % values];
}

/** @returns the index in `windows` of the first value of one drawn; of a reservoir that is not empty */
export function drawWindow({ windows, offered, random }: Reservoir): number {
  const kept = Math.min(offered[0], RESERVOIR_WINDOWS);
  return drawIndex(random, kept) * ((windows.length / RESERVOIR_WINDOWS) | 0);
}
