/** What an anomaly detector is made of, and the settings that need no choosing (DESIGN.md, "Anomalies"). */
import type { NetworkConfig } from '../../engine/network.ts';

/** What the network does once it guards: small steps where the error is usual, none, or the steps of learning. */
export type GuardedNetwork = 'gated' | 'frozen' | 'learning';
/** What the scaler does then: it fades slowly, stands still, or stays the mean of everything. */
export type GuardedScaler = 'fading' | 'frozen' | 'running';

export interface AnomalyConfig {
  /** C, channels of a row. */
  readonly columns: number;
  /** W, rows the network sees at once. */
  readonly windowRows: number;
  /** H, hidden units. */
  readonly hidden: number;
  /** Windows seen before it guards; at least 400, better 2,000. */
  readonly learnRows: number;
  /** B: about one alarm in so many rows. */
  readonly budgetRows: number;
  /** η while it learns; a tenth of it while it guards. */
  readonly rate: number;
  /** Of the initial weights and of the draws from the reservoir. */
  readonly seed: number;
  readonly guardedNetwork: GuardedNetwork;
  readonly guardedScaler: GuardedScaler;
}

/** A window has about so many values, whatever the number of channels. */
const WINDOW_VALUES = 64;
const LEARN_ROWS = 2000;
const LEARN_RATE = 0.003;
const SECONDS_PER_DAY = 86_400;

/**
 * The detector for a stream of which nothing is known but its shape.
 * @param alarmsPerDay how many alarms the user will put up with
 */
export function defaultAnomaly(columns: number, alarmsPerDay: number, rowsPerSecond: number): AnomalyConfig {
  const windowRows = Math.min(Math.max(Math.floor(WINDOW_VALUES / columns), 1), WINDOW_VALUES);
  return {
    columns,
    windowRows,
    hidden: Math.max(2, Math.floor((windowRows * columns) / 4)),
    learnRows: LEARN_ROWS,
    budgetRows: budgetRows(alarmsPerDay, rowsPerSecond),
    rate: LEARN_RATE,
    seed: 1,
    guardedNetwork: 'gated',
    guardedScaler: 'fading',
  };
}

/** B, from what a user can say. */
export function budgetRows(alarmsPerDay: number, rowsPerSecond: number): number {
  return Math.max(1, Math.floor((SECONDS_PER_DAY * rowsPerSecond) / alarmsPerDay));
}

/** The autoencoder: D = W·C inputs, the same as outputs. */
export function autoencoderConfig({ columns, windowRows, hidden, rate }: AnomalyConfig): NetworkConfig {
  const inputs = windowRows * columns;
  return {
    inputs,
    hidden,
    outputs: inputs,
    hiddenActivation: 'tanh',
    outputActivation: 'identity',
    loss: 'halfSquared',
    learningRate: rate,
  };
}
