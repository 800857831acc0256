import { EdgeloopError } from '../errors.ts';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Node's timers hold 31 bits of milliseconds: 24.8 days. */
const DURATION_MS_MAX = 2 ** 31 - 1;

/** "500ms", "10s", "1.5m", "2h" in milliseconds. @throws EdgeloopError ELOOP_CONFIG */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const durationMs = match ? Number(match[1]) * UNIT_MS[match[2]] : NaN;
  if (!(durationMs > 0 && durationMs <= DURATION_MS_MAX)) {
    throw new EdgeloopError('ELOOP_CONFIG', `expected a time such as 500ms, 10s, 5m or 2h, got "${text}".`);
  }
  return durationMs;
}
