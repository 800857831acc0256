/**
 * The baud rate of a board that nobody knows: the usual rates, one after the other, for a moment each, until what comes
 * is text or frames. At a wrong rate a UART gives bytes that are neither, and drops those whose stop bit is missing; so
 * noise says that the rate is wrong, and silence says nothing.
 */
import type { Hearing } from './hearing.ts';
import { judgeBytes } from './recognise.ts';

/** The likeliest first: what sketches and modules use by default, then what fast boards do. */
export const USUAL_BAUD_RATES = [
  115_200, 9600, 57_600, 230_400, 460_800, 921_600, 38_400, 19_200, 1_000_000, 500_000, 250_000, 2_000_000,
  74_880, 4800,
] as const;

/** A board that prints a row a second says something in it. */
const TRIAL_MS = 1000;
/** Enough to judge by. */
const TRIAL_BYTES = 512;
/** Bytes that came at the old rate may still be on their way through the adapter, and the first one is cut. */
const SETTLE_MS = 40;

export interface BaudTrial {
  readonly baudRate: number;
  readonly sounds: 'right' | 'noise' | 'silence' | 'refused';
  /** In words. */
  readonly heard: string;
}

/** The open port. */
export interface Tunable {
  /** @throws if the hardware cannot do the rate */
  setBaudRate(baudRate: number): Promise<void>;
}

/**
 * Tries the usual rates but `heardNoiseAt`. The port is left at the rate that was found, else at the one before.
 * @param onTrial told of each rate that was tried
 * @returns undefined if none fits
 */
export async function searchBaudRate(
  port: Tunable,
  hearing: Hearing,
  heardNoiseAt: number,
  onTrial: (trial: BaudTrial) => void,
): Promise<number | undefined> {
  for (const baudRate of USUAL_BAUD_RATES) {
    if (baudRate === heardNoiseAt) continue;
    const trial = await tryRate(port, hearing, baudRate);
    onTrial(trial);
    if (trial.sounds === 'right') return baudRate;
  }
  await port.setBaudRate(heardNoiseAt);
  return undefined;
}

async function tryRate(port: Tunable, hearing: Hearing, baudRate: number): Promise<BaudTrial> {
  try {
    await port.setBaudRate(baudRate);
  } catch {
    return { baudRate, sounds: 'refused', heard: 'the port cannot do it' };
  }
  await hearing.listen({ forMs: SETTLE_MS });
  const { bytes } = await hearing.listen({ forMs: TRIAL_MS, bytesMax: TRIAL_BYTES });
  return { baudRate, ...judgeBytes(bytes) };
}

/** "57600: noise (31 % of the characters are no text)" */
export function trialText({ baudRate, sounds, heard }: BaudTrial): string {
  return `${baudRate}: ${sounds === 'right' ? '' : `${sounds}, `}${heard}`;
}
