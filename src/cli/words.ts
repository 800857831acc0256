/** What a run looks like in words, and as a document. */
import type { Config } from '../config.ts';
import type { Drops, LiveTrainer, Status, Summary } from '../service/trainer.ts';

export const count = (value: number): string => value.toLocaleString('en-US');
export const percent = (share: number): string => (share === share ? `${(100 * share).toFixed(1)} %` : '-');
const kibibytes = (bytes: number): string => `${Math.ceil(bytes / 1024)} KiB`;

export function describeStart(config: Config, trainer: LiveTrainer, weights: string): string {
  const { inputs, hidden, outputs } = trainer.network;
  const { arenaBytes, ringBytes } = trainer.memory;
  const before = trainer.learnedBefore;
  return (
    `Learning "${config.input.label}" from ${config.serial.port}: ` +
    `${inputs} inputs -> ${hidden} hidden -> ${outputs} classes ` +
    `(engine ${kibibytes(arenaBytes)}, ring ${kibibytes(ringBytes)}).\n` +
    (before > 0
      ? `Going on after ${count(before)} samples learned earlier (${weights}).\n`
      : `Starting with new weights (${weights}).\n`)
  );
}

/** One line: rows per second, loss, accuracy beside the baselines, changes, drops. */
export function statusLine(status: Status, rowsPerSecond: number): string {
  const { accuracy, baselines, changes, changesCorrect, loss, dropped } = status;
  return (
    `${rateOf(status, rowsPerSecond).padStart(11)} | loss ${loss === loss ? loss.toFixed(3) : '-'}` +
    ` | right ${percent(accuracy)}` +
    ` (most frequent ${percent(baselines.majority)}, same as before ${percent(baselines.lastLabel)})` +
    ` | at changes ${changesCorrect}/${changes} | dropped ${total(dropped)}`
  );
}

/** The same for a terminal of 80 columns. */
export function shortStatusLine(status: Status, rowsPerSecond: number): string {
  const { accuracy, baselines, changes, changesCorrect, loss, dropped } = status;
  return (
    `${rateOf(status, rowsPerSecond)} loss ${loss === loss ? loss.toFixed(3) : '-'} right ${percent(accuracy)}` +
    ` (frequent ${percent(baselines.majority)}, before ${percent(baselines.lastLabel)})` +
    ` changes ${changesCorrect}/${changes} drop ${total(dropped)}`
  );
}

function rateOf({ link }: Status, rowsPerSecond: number): string {
  return link.path === null ? 'port away' : `${rowsPerSecond.toFixed(0)} rows/s`;
}

export function summaryText(summary: Summary, seconds: number): string {
  const { rows, learned, skipped, accuracy, baselines, changes, changesCorrect, dropped, task } = summary;
  const reasons = Object.entries(dropped)
    .filter(([, lines]) => lines > 0)
    .map(([reason, lines]) => `${reason} ${count(lines)}`);
  const lines = [
    `${count(rows)} rows in ${seconds.toFixed(1)} s, ${count(learned)} learned${skipped > 0 ? `, ${count(skipped)} steps skipped` : ''}.`,
    `  right             ${percent(accuracy)}`,
    `    beside          ${percent(baselines.majority)} by always saying the most frequent class`,
    `                    ${percent(baselines.lastLabel)} by saying the label before, which is always wrong at a change`,
    `  right at changes  ${changesCorrect} of ${changes}`,
    `  dropped           ${total(dropped)}${reasons.length > 0 ? ` (${reasons.join(', ')})` : ''}`,
    `  cost              ${microseconds(task.stepNs)} per row, ${heapWords(summary)} bytes of heap, ${task.heap.gcEvents} collections`,
    `  weights           ${summary.weights}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** The document of --json. Shares are 0..1, null where there is nothing to divide by. */
export function summaryDocument(summary: Summary, seconds: number): Record<string, unknown> {
  const { task, changes, changesCorrect, ...status } = summary;
  return {
    ...status,
    seconds,
    changes,
    accuracyAtChange: changesCorrect / changes,
    stepNs: task.stepNs,
    heapBytesPerRow: heapBytesPerRow(summary),
    gcEvents: task.heap.gcEvents,
  };
}

/** Of the learner's thread, after its warm-up. */
function heapBytesPerRow({ task }: Summary): number {
  return task.heap.allocatedBytes / task.heapRows;
}

function heapWords(summary: Summary): string {
  return summary.task.heapRows > 0 ? heapBytesPerRow(summary).toFixed(1) : '-';
}

function microseconds(ns: number): string {
  return ns === ns ? `${(ns / 1000).toFixed(1)} µs` : '-';
}

function total(dropped: Drops): number {
  return Object.values(dropped).reduce((sum, lines) => sum + lines, 0);
}
