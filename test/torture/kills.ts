/**
 * One model, one fixed stream, a real process that is killed at random moments. The source sends again from the last
 * record that was acknowledged; at the end the model is compared with one that was never interrupted.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mulberry32 } from '../../src/engine/random.ts';
import { MODEL_COUNT } from '../../src/learn/model.ts';
import { KEEPER_DEFAULTS } from '../../src/store/keeper.ts';
import { ModelStore } from '../../src/store/model-store.ts';
import { RECORD } from '../../src/stream/ring.ts';
import { Stream, newModel } from '../support/stored-model.ts';
import type { ChildOptions, ChildResult } from './child.ts';

const CHILD = join(import.meta.dirname, 'child.ts');

/** A start takes about so long, and a run is left alone for at most so long. */
const START_MS = 600;
const RUN_MS = 800;

export interface KillResult {
  readonly kills: number;
  readonly records: number;
  readonly identical: boolean;
  readonly lostAcknowledged: number;
  readonly learnedTwice: number;
  /** Kills before the child had resumed. */
  readonly duringStart: number;
  readonly problems: readonly string[];
}

export const KILL_SETTINGS = {
  ...KEEPER_DEFAULTS,
  commitMs: 100,
  checkpointMs: 150,
  checkpointsMax: 16,
  segmentBytesMax: 100_000,
  journalBytesMax: 500_000,
};

/** A moment to kill at, so long after the start of the process or after it has resumed. */
interface Kill {
  readonly after: 'start' | 'resume';
  readonly ms: number;
}

/** @param kill undefined: runs to its end */
export async function runChild(
  options: ChildOptions,
  kill?: Kill,
): Promise<{ resumed: number | undefined; safe: number; done: ChildResult | undefined }> {
  const child = spawn(process.execPath, [CHILD, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  let timer: NodeJS.Timeout | undefined;
  const killLater = (): void => void (timer ??= setTimeout(() => child.kill('SIGKILL'), kill!.ms));
  if (kill?.after === 'start') killLater();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (kill?.after === 'resume') killLater();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [status, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(timer);
  if (signal !== 'SIGKILL' && status !== 0) throw new Error(`the child ended with ${status}: ${stderr}`);
  const lines = stdout.split('\n').slice(0, -1);
  const numbers = (word: string): number[] =>
    lines.filter((line) => line.startsWith(word)).map((line) => Number(line.split(' ')[1]));
  const done = lines.find((line) => line.startsWith('done '));
  return {
    resumed: numbers('resumed')[0],
    safe: numbers('safe').at(-1) ?? 0,
    done: done === undefined ? undefined : (JSON.parse(done.slice(5)) as ChildResult),
  };
}

export async function runKills(
  kills: number,
  seed: number,
  onProgress: (kills: number) => void = () => {},
): Promise<KillResult> {
  const root = mkdtempSync(join(tmpdir(), 'edgeloop-kills-'));
  const random = mulberry32(seed);
  const directory = join(root, 'model');
  const options = {
    directory,
    seed,
    settings: KILL_SETTINGS,
    recordsPerSecond: 5000,
    ringRecords: 1024,
    syncDelayMs: 0,
  };
  const problems: string[] = [];
  let [safe, lostAcknowledged, duringStart] = [0, 0, 0];
  try {
    for (let kill = 0; kill < kills; kill++) {
      const at: Kill =
        random() < 0.2
          ? { after: 'start', ms: random() * START_MS }
          : { after: 'resume', ms: random() * RUN_MS };
      const life = await runChild({ ...options, from: safe + 1, until: Number.MAX_SAFE_INTEGER }, at);
      if (life.resumed === undefined) duringStart += 1;
      else if (life.resumed < safe) {
        lostAcknowledged += safe - life.resumed;
        problems.push(`record ${safe} was acknowledged, and after kill ${kill} ${life.resumed} is the last`);
      }
      safe = Math.max(safe, life.safe);
      onProgress(kill + 1);
    }
    const until = safe + 5000;
    const { done } = await runChild({ ...options, from: safe + 1, until });
    const end = await compare(directory, seed, until, done!);
    return {
      kills,
      records: until,
      lostAcknowledged,
      duringStart,
      ...end,
      problems: [...problems, ...done!.notices],
    };
  } finally {
    rmSync(root, { recursive: true });
  }
}

function digest(arena: Uint8Array): string {
  return createHash('sha256').update(arena.slice()).digest('hex');
}

async function compare(directory: string, seed: number, until: number, done: ChildResult) {
  const stream = new Stream(seed);
  const reference = newModel();
  let rows = 0;
  for (let sequence = 1; sequence <= until; sequence++) {
    stream.apply(reference, sequence);
    if (stream.kind(sequence) === RECORD.row) rows += 1;
  }
  const store = await ModelStore.open(directory);
  const stored = newModel();
  await store.resume(stored);
  store.close();
  const expected = digest(reference.arena);
  return {
    identical: done.sha256 === expected && digest(stored.arena) === expected,
    learnedTwice: Math.max(0, stored.model.counts[MODEL_COUNT.rows] - rows),
  };
}
