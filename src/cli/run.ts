/** `edgeloop run`: learns from a port and shows how it goes, until the time is up, a signal, or the port is gone. */
import { homedir } from 'node:os';
import { delimiter, resolve } from 'node:path';
import type { Config } from '../config.ts';
import { EXIT } from '../errors.ts';
import { LiveTrainer, type NamedAnswer } from '../service/trainer.ts';
import type { StreamOptions } from './command.ts';
import { Ending } from './ending.ts';
import { Screen } from './screen.ts';
import {
  count,
  describeStart,
  reportText,
  shortStatusLine,
  statusLine,
  summaryDocument,
  summaryText,
} from './words.ts';

const STATUS_EVERY_MS = 1000;

/** @returns the exit status */
export async function runStream(config: Config, options: StreamOptions): Promise<number> {
  const weights =
    options.weights === undefined
      ? resolve(stateDirectory(), config.store.weights)
      : resolve(options.weights);
  const ending = new Ending(options.forMs);
  // Whoever read our output has gone, as `head` does when it has enough: an orderly end, with everything saved.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => ending.end());
  // With --json or --output standard output holds the documents alone.
  const screen = new Screen(options.json || options.output ? process.stderr : process.stdout);
  try {
    const trainer = await LiveTrainer.start(
      config,
      { weights, fresh: options.fresh },
      {
        onEnd: (error) => ending.end(error),
        onNotice: (text) => screen.print(`${text}\n`),
        describe: (status) => `${count(status.rows)} rows, ${reportText(status)}`,
        ...(options.output
          ? { onAnswer: printAnswer, answersWanted: () => !process.stdout.writableNeedDrain }
          : {}),
      },
    );
    const startedMs = performance.now();
    screen.print(describeStart(config, trainer, weights));
    const error = await showUntil(ending, trainer, screen);
    const { saveError, ...summary } = await trainer.stop();
    const seconds = (performance.now() - startedMs) / 1000;
    screen.print(summaryText(summary, seconds));
    if (options.json) process.stdout.write(`${JSON.stringify(summaryDocument(summary, seconds))}\n`);
    // What ended the run comes first; that it could not be saved is said in any case.
    if (error !== undefined && saveError !== undefined) screen.print(`Not saved: ${saveError.message}\n`);
    const failure = error ?? saveError;
    if (failure !== undefined) throw failure;
    return EXIT.ok;
  } finally {
    ending.dispose();
  }
}

function printAnswer(answer: NamedAnswer): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

async function showUntil(ending: Ending, trainer: LiveTrainer, screen: Screen): Promise<Error | undefined> {
  let rowsBefore = 0;
  let beforeMs = performance.now();
  const show = async (): Promise<void> => {
    const status = await trainer.status();
    const nowMs = performance.now();
    const rowsPerSecond = ((status.rows - rowsBefore) * 1000) / (nowMs - beforeMs);
    rowsBefore = status.rows;
    beforeMs = nowMs;
    screen.live(statusLine(status, rowsPerSecond), shortStatusLine(status, rowsPerSecond));
  };
  const timer = setInterval(() => void show().catch((error: Error) => ending.end(error)), STATUS_EVERY_MS);
  try {
    return await ending.reason;
  } finally {
    clearInterval(timer);
  }
}

/** Where learned things live: systemd's state directory, or the user's. */
export function stateDirectory(): string {
  const { STATE_DIRECTORY, XDG_STATE_HOME } = process.env;
  if (STATE_DIRECTORY) return STATE_DIRECTORY.split(delimiter)[0];
  return resolve(XDG_STATE_HOME || resolve(homedir(), '.local/state'), 'edgeloop');
}
