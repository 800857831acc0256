import { expect, test } from 'vitest';
import { longRunHash } from './inputs.ts';

/** Of the inputs as they are defined; changes only with the arithmetic version. */
const LONG_RUN_HASH = '5677fd935adba21d055b76646fdedb5bdf53082023d92257520e995491691d95';

test(
  'windows, features and statistics are the same bytes as on every other machine',
  { timeout: 60_000 },
  () => {
    expect(longRunHash()).toBe(LONG_RUN_HASH);
  },
);
