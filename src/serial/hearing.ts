/** Listening for a while: what a port gives is collected into samples, one after the other. */
import { Sample } from './recognise.ts';

export interface ListenFor {
  /** From now, or from the first byte on. */
  readonly forMs: number;
  readonly fromFirstByte?: boolean;
  /** With `fromFirstByte`: give up on silence after so long; undefined: wait for ever. */
  readonly silentMsMax?: number | undefined;
  /** Enough. */
  readonly bytesMax?: number;
}

interface Listening {
  readonly sample: Sample;
  readonly bytesMax: number;
  /** From the first byte on; undefined: the end is settled already. */
  readonly forMs: number | undefined;
  readonly done: PromiseWithResolvers<Sample>;
  timer: NodeJS.Timeout | undefined;
}

export class Hearing {
  #listening: Listening | undefined;

  /** To be called with what the port gives; outside of `listen` it is passed over. */
  take(bytes: Uint8Array, count: number): void {
    const listening = this.#listening;
    if (listening === undefined) return;
    const { sample, bytesMax, forMs } = listening;
    if (sample.bytes.length === 0 && forMs !== undefined) this.#endAfter(listening, forMs);
    sample.add(bytes, count, monotonicUs());
    if (sample.isFull || sample.bytes.length >= bytesMax) this.#end(listening);
  }

  /** To be called when the port is gone for good. */
  fail(error: Error): void {
    clearTimeout(this.#listening?.timer);
    this.#listening?.done.reject(error);
    this.#listening = undefined;
  }

  /** @returns what was heard; one call at a time */
  listen({ forMs, fromFirstByte = false, silentMsMax, bytesMax = Infinity }: ListenFor): Promise<Sample> {
    const listening: Listening = {
      sample: new Sample(monotonicUs()),
      bytesMax,
      forMs: fromFirstByte ? forMs : undefined,
      done: Promise.withResolvers(),
      timer: undefined,
    };
    this.#listening = listening;
    const endMs = fromFirstByte ? silentMsMax : forMs;
    if (endMs !== undefined) this.#endAfter(listening, endMs);
    return listening.done.promise;
  }

  #endAfter(listening: Listening, ms: number): void {
    clearTimeout(listening.timer);
    listening.timer = setTimeout(() => this.#end(listening), ms);
  }

  #end(listening: Listening): void {
    clearTimeout(listening.timer);
    this.#listening = undefined;
    listening.done.resolve(listening.sample);
  }
}

/** In whole microseconds. */
export function monotonicUs(): number {
  return Math.floor(performance.now() * 1000);
}
