/** What a run looks like in words, and as a document. */
import type { Config } from '../config.ts';
import type { ModelConfig } from '../learn/model.ts';
import type { DriftReport, ModelReport, RaceReport } from '../learn/report.ts';
import type { Drops, LiveTrainer, Status, Summary } from '../service/trainer.ts';
import { inputCount } from '../stream/inputs.ts';
import { scoreWords } from './score-words.ts';

export const count = (value: number): string => value.toLocaleString('en-US');
export const percent = (share: number): string => (share === share ? `${(100 * share).toFixed(1)} %` : '-');
const kibibytes = (bytes: number): string => `${Math.ceil(bytes / 1024)} KiB`;

export function describeStart(config: Config, trainer: LiveTrainer, weights: string): string {
  const { arenaBytes, ringBytes } = trainer.memory;
  const before = trainer.learnedBefore;
  return (
    `${purpose(config)} from ${config.serial.port}: ${shape(trainer.model)} ` +
    `(model ${kibibytes(arenaBytes)}, ring ${kibibytes(ringBytes)}).\n` +
    (before > 0
      ? `Going on after ${count(before)} samples learned earlier (${weights}).\n`
      : `Starting with new weights (${weights}).\n`)
  );
}

function purpose({ input, task }: Pick<Config, 'input' | 'task'>): string {
  const targets = task.targets.map((name) => `"${name}"`).join(', ');
  switch (task.kind) {
    case 'classify':
      return `Learning "${input.label}"`;
    case 'regress':
      return `Learning ${targets}`;
    case 'forecast':
      return `Learning to foretell ${targets} ${count(task.horizonRows)} rows ahead`;
    case 'anomaly':
      return 'Learning what is usual';
  }
}

function shape(model: ModelConfig): string {
  if (model.kind === 'anomaly') {
    const { windowRows, columns, hidden } = model.anomaly;
    return `windows of ${windowRows} rows x ${columns} columns -> ${hidden} hidden -> the same`;
  }
  const { task, outputs, candidates } = model.supervised;
  const windows = model.inputs.windowRows > 1 ? `windows of ${model.inputs.windowRows} rows, ` : '';
  const what = task === 'classify' ? 'classes' : outputs === 1 ? 'number' : 'numbers';
  return `${windows}${inputCount(model.inputs)} inputs -> ${candidates.hidden} hidden -> ${outputs} ${what}`;
}

/** One line: rows per second, how good it is beside the baselines, drops. */
export function statusLine(status: Status, rowsPerSecond: number): string {
  return `${rateOf(status, rowsPerSecond).padStart(11)} | ${howGood(status, false)} | dropped ${total(status.dropped)}`;
}

/** The same for a terminal of 80 columns. */
export function shortStatusLine(status: Status, rowsPerSecond: number): string {
  return `${rateOf(status, rowsPerSecond)} ${howGood(status, true)} drop ${total(status.dropped)}`;
}

function howGood({ scores, anomaly }: Status, short: boolean): string {
  switch (scores.task) {
    case 'classify': {
      const { accuracy, beside, changes, accuracyAtChanges } = scores.all;
      const [majority, lastLabel] = [share(beside.majority.accuracy), share(beside.lastLabel.accuracy)];
      const atChanges = `${(changes * (accuracyAtChanges ?? 0)).toFixed()}/${changes.toFixed()}`;
      return short
        ? `right ${share(accuracy)} (frequent ${majority}, before ${lastLabel}) changes ${atChanges}`
        : `right ${share(accuracy)} (most frequent ${majority}, same as before ${lastLabel}) | at changes ${atChanges}`;
    }
    case 'regress':
      return scores.targets
        .map(
          ({ target, all }) =>
            `${target} off by ${measure(all.rmse)} (before ${measure(all.beside.persistence?.rmse)})`,
        )
        .join(', ');
    case 'anomaly': {
      if (anomaly === null || anomaly.phase === 'learn') {
        return `learning what is usual: ${count(anomaly?.learnedRows ?? 0)} of ${count(anomaly?.learnRows ?? 0)}`;
      }
      return `guarding | ${count(anomaly.alarms)} alarms, ${count(anomaly.stuck)} times stuck`;
    }
  }
}

function share(value: number | null): string {
  return percent(value ?? NaN);
}

function measure(value: number | null | undefined): string {
  return value === null || value === undefined ? '-' : String(Number(value.toPrecision(4)));
}

function rateOf({ link }: Status, rowsPerSecond: number): string {
  return link.path === null ? 'port away' : `${rowsPerSecond.toFixed(0)} rows/s`;
}

/** What a model has done, in a few lines. */
export function reportText({ learned, skipped, scores, race, drift, anomaly }: ModelReport): string {
  const lines = [
    `${count(learned)} learned${skipped > 0 ? `, ${count(skipped)} steps skipped` : ''}.`,
    ...scoreWords(scores).trimEnd().split('\n'),
    ...(race === null ? [] : [`  ${raceWords(race)}`]),
    ...(drift === null || drift.count === 0 ? [] : [`  ${driftWords(drift)}`]),
    ...(anomaly?.calibration ? [`  ${anomaly.calibration.words}`] : []),
  ];
  return `${lines.join('\n')}\n`;
}

function driftWords({ count: times, lossBefore, lossAfter }: DriftReport): string {
  const often = times === 1 ? 'once' : `${count(times)} times`;
  return `The stream has changed ${often}; the last time the loss went from ${measure(lossBefore)} to ${measure(lossAfter)}.`;
}

export function summaryText(summary: Summary, seconds: number): string {
  const { rows, dropped, run } = summary;
  const reasons = Object.entries(dropped)
    .filter(([, lines]) => lines > 0)
    .map(([reason, lines]) => `${reason} ${count(lines)}`);
  const lines = [
    `  dropped           ${total(dropped)}${reasons.length > 0 ? ` (${reasons.join(', ')})` : ''}`,
    `  cost              ${microseconds(run.stepNs)} per row, ${heapWords(summary)} bytes of heap, ${run.heap.gcEvents} collections`,
    `  weights           ${summary.weights}`,
  ];
  return `${count(rows)} rows, the last of them in a run of ${seconds.toFixed(1)} s; ${reportText(summary)}${lines.join('\n')}\n`;
}

function raceWords({ answering, candidates, changes, ended, replaced }: RaceReport): string {
  const why = ended ? 'the race has ended' : `the smallest loss of ${candidates.length} candidates of late`;
  const failed = replaced > 0 ? `, ${count(replaced)} diverged and were replaced` : '';
  return `The ${answering} answers: ${why} (it changed ${count(changes)} times${failed}).`;
}

/** The document of --json. Shares are 0..1, null where there is nothing to divide by. */
export function summaryDocument(summary: Summary, seconds: number): Record<string, unknown> {
  const { run, ...status } = summary;
  return {
    ...status,
    seconds,
    ...shortly(summary),
    stepNs: run.stepNs,
    heapBytesPerRow: heapBytesPerRow(summary),
    gcEvents: run.heap.gcEvents,
  };
}

/** The first figures people look for, beside `scores` which has all. */
function shortly({ scores }: Summary): Record<string, unknown> {
  if (scores.task !== 'classify') return {};
  const { accuracy, beside, changes, accuracyAtChanges } = scores.all;
  const baselines = { majority: beside.majority.accuracy, lastLabel: beside.lastLabel.accuracy };
  return { accuracy, baselines, changes: Math.floor(changes + 0.5), accuracyAtChange: accuracyAtChanges };
}

/** Of the learner's thread, after its warm-up. */
function heapBytesPerRow({ run }: Summary): number {
  return run.heap.allocatedBytes / run.heapRows;
}

function heapWords(summary: Summary): string {
  return summary.run.heapRows > 0 ? heapBytesPerRow(summary).toFixed(1) : '-';
}

function microseconds(ns: number): string {
  return ns === ns ? `${(ns / 1000).toFixed(1)} µs` : '-';
}

function total(dropped: Drops): number {
  return Object.values(dropped).reduce((sum, lines) => sum + lines, 0);
}
