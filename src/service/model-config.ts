/** From what the user says to what learns: the config's keys, with what suits the task where they say nothing. */
import type { Config } from '../config.ts';
import { EdgeloopError } from '../errors.ts';
import { defaultAnomaly } from '../learn/anomaly.ts';
import type { ModelConfig } from '../learn/model.ts';
import { RACES, withoutRace } from '../learn/race.ts';
import { valueColumns } from '../serial/dialects.ts';
import { CLIP } from '../stream/scaler.ts';
import type { FeatureKind, FeatureSpec, InputsConfig } from '../stream/inputs.ts';

/** A day of hourly values, an hour of minutes: what a forecast looks back on by itself. */
const FORECAST_WINDOW_ROWS = 24;

/** Of a window with nothing said about it: level, spread, range and direction. */
const WINDOW_FEATURES: readonly FeatureKind[] = ['mean', 'deviation', 'min', 'max', 'slope'];

/** Samples that may wait for labels that are late by time, where the rate is not known. */
const WAITING_SAMPLES = 4096;

const US_PER_SECOND = 1_000_000;

export type TaskConfig = Pick<Config, 'input' | 'task' | 'network' | 'learning'>;

/** @throws EdgeloopError ELOOP_CONFIG where a time is given and no rate */
export function modelConfigOf(config: TaskConfig): ModelConfig {
  const names = valueColumns(config.input);
  return config.task.kind === 'anomaly' ? anomalyConfig(config, names) : supervisedConfig(config, names);
}

function anomalyConfig({ input, task, network }: TaskConfig, names: readonly string[]): ModelConfig {
  // Without a rate a row a second is assumed, and said: alarms per day are then alarms per 86,400 rows.
  const byDefault = defaultAnomaly(names.length, task.alarmsPerDay, input.rowsPerSecond || 1);
  const windowRows = rowsOfWindow(input) || byDefault.windowRows;
  const hidden = Math.max(2, Math.floor((windowRows * names.length) / 4));
  return {
    kind: 'anomaly',
    anomaly: { ...byDefault, windowRows, hidden, learnRows: task.learnRows, seed: network.seed },
  };
}

function supervisedConfig(config: TaskConfig, names: readonly string[]): ModelConfig {
  const { task, network, learning } = config;
  if (task.kind === 'anomaly') throw new RangeError('an anomaly detector is no supervised learner');
  const targets = task.targets.map((name) => names.indexOf(name));
  const classify = task.kind === 'classify';
  const list = learning.race === 'off' ? withoutRace(network.learningRate) : RACES[learning.race];
  const delayUs = Math.floor(task.labelDelaySeconds * US_PER_SECOND);
  return {
    kind: 'supervised',
    inputs: inputsConfig(config, names, targets),
    supervised: {
      task: task.kind,
      outputs: classify ? network.classes : targets.length,
      targets,
      delayRows: task.kind === 'forecast' ? task.horizonRows : task.labelDelayRows,
      delayUs: task.kind === 'forecast' ? 0 : delayUs,
      waitingSamples: waitingSamples(config),
      candidates: {
        hidden: network.hidden,
        activation: network.activation,
        seed: network.seed,
        capped: learning.race !== 'off',
        list,
      },
      rehearsalSamples: classify ? learning.rehearsalSamples : 0,
      respondToDrift: learning.respondToDrift,
    },
  };
}

function waitingSamples({ input, task }: TaskConfig): number {
  if (input.rowsPerSecond === 0) return WAITING_SAMPLES;
  return Math.ceil(1.1 * input.rowsPerSecond * task.labelDelaySeconds) + 16;
}

function inputsConfig(
  { input, task }: TaskConfig,
  names: readonly string[],
  targets: readonly number[],
): InputsConfig {
  const forecast = task.kind === 'forecast';
  const windowRows = rowsOfWindow(input) || (forecast ? FORECAST_WINDOW_ROWS : 1);
  const all = names.map((_, column) => column);
  const columns = forecast ? all : all.filter((column) => !targets.includes(column));
  return {
    columns: names.length,
    windowRows,
    hopRows: input.hopRows || 1,
    features: forecast && input.features.length === 0 ? forecastFeatures(columns, targets) : features(),
    breakAtLabelChange: task.kind === 'classify' && input.breakAtLabelChange,
    clip: CLIP,
  };

  function features(): FeatureSpec[] {
    const byDefault: readonly FeatureKind[] = windowRows === 1 ? ['newest'] : WINDOW_FEATURES;
    const kinds = input.features.length > 0 ? input.features : byDefault;
    return columns.flatMap((column) => kinds.map((kind) => featureOf(column, kind, input.bands)));
  }
}

function featureOf(column: number, kind: FeatureKind, bands: number): FeatureSpec {
  return kind === 'bands' ? { column, kind, bands } : { column, kind };
}

/** The past of what is to be foretold, and how the rest stands now. */
function forecastFeatures(columns: readonly number[], targets: readonly number[]): FeatureSpec[] {
  const others = columns.filter((column) => !targets.includes(column));
  return [
    ...targets.map((column) => ({ column, kind: 'raw' as const })),
    ...others.map((column) => ({ column, kind: 'newest' as const })),
  ];
}

/** @returns 0 if the config leaves it open */
function rowsOfWindow({ windowRows, windowSeconds, rowsPerSecond }: Config['input']): number {
  if (windowSeconds === 0) return windowRows;
  if (rowsPerSecond === 0) {
    throw new EdgeloopError(
      'ELOOP_CONFIG',
      `input.windowSeconds: expected input.rowsPerSecond beside it, got none. Set it (\`edgeloop sniff\` measures it), ` +
        'or give input.windowRows instead.',
    );
  }
  return Math.max(1, Math.floor(windowSeconds * rowsPerSecond + 0.5));
}
