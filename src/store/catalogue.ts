/**
 * The catalogue: what happened to a model, for people and plots. Events (scores among them) and an index of the
 * checkpoints, in SQLite. Layout: FORMAT.md, "Catalogue".
 *
 * Nothing is learned from it and nothing depends on it: it is never synced, and one that is missing, damaged or of
 * another version is made anew from the journal and the checkpoints.
 */
import { readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { type Checkpoint, checkpointName, checkpointNumbers, readCheckpoint } from './checkpoints.ts';
import { type PlacedEvent, readEvents } from './journal.ts';

const CATALOGUE_VERSION = 1;

const SCHEMA = `
  CREATE TABLE events (
    id INTEGER PRIMARY KEY, session TEXT NOT NULL, n INTEGER NOT NULL, kind TEXT NOT NULL,
    sequence INTEGER NOT NULL, at TEXT NOT NULL, detail TEXT NOT NULL, UNIQUE (session, n)
  );
  CREATE INDEX events_by_kind ON events (kind, sequence);
  CREATE TABLE checkpoints (
    number INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, epoch INTEGER NOT NULL, run_seconds REAL NOT NULL,
    taken_at TEXT NOT NULL, bytes INTEGER NOT NULL
  );`;

/** How long making it anew may keep the thread from everything else. */
const SLICE_MS = 5;

export type CheckpointEntry = {
  readonly number: number;
  readonly sequence: number;
  readonly epoch: number;
  readonly runSeconds: number;
  readonly takenAt: string;
  readonly bytes: number;
};

export class Catalogue {
  /** Whether it was just made, and what the journal has is to be put in. */
  readonly isNew: boolean;
  readonly #database: DatabaseSync;
  readonly #insertEvent: StatementSync;

  private constructor(database: DatabaseSync, isNew: boolean) {
    this.#database = database;
    this.isNew = isNew;
    this.#insertEvent = database.prepare(
      'INSERT OR IGNORE INTO events (session, n, kind, sequence, at, detail) VALUES (?, ?, ?, ?, ?, ?)',
    );
  }

  /**
   * Opens it, or sets a damaged one aside as `<path>.damaged` and makes a new one.
   * @throws what SQLite or the system says
   */
  static open(path: string): Catalogue {
    try {
      if (statSync(path, { throwIfNoEntry: false })) return new Catalogue(openSound(path), false);
    } catch {
      renameSync(path, `${path}.damaged`);
    }
    // Without their database these would be taken for a part of the new one.
    for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
    const database = openDatabase(path);
    database.exec(`BEGIN; ${SCHEMA} COMMIT`);
    return new Catalogue(database, true);
  }

  addEvent({ session, index, kind, sequence, at, detail }: PlacedEvent): void {
    this.#insertEvent.run(session, index, kind, sequence, at, JSON.stringify(detail));
  }

  /** Makes the index of checkpoints what the directory holds. Only files that are not in it are read. */
  indexCheckpoints(directory: string): void {
    const there = new Set(checkpointNumbers(readdirSync(directory)));
    for (const { number } of this.checkpoints()) {
      if (!there.delete(number)) this.removeCheckpoint(number);
    }
    for (const number of there) {
      const read = readCheckpoint(directory, number);
      if (!('reason' in read))
        this.addCheckpoint(read, statSync(join(directory, checkpointName(number))).size);
    }
  }

  addCheckpoint(
    { number, sequence, description }: Pick<Checkpoint, 'number' | 'sequence' | 'description'>,
    bytes: number,
  ): void {
    const { epoch, runSeconds, takenAt } = description;
    const insert = this.#database.prepare('INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)');
    insert.run(number, sequence, epoch, runSeconds, takenAt, bytes);
  }

  removeCheckpoint(number: number): void {
    this.#database.prepare('DELETE FROM checkpoints WHERE number = ?').run(number);
  }

  /** Ascending. */
  checkpoints(): CheckpointEntry[] {
    const columns = 'number, sequence, epoch, run_seconds AS runSeconds, taken_at AS takenAt, bytes';
    const rows = this.#database.prepare(`SELECT ${columns} FROM checkpoints ORDER BY number`).all();
    return rows as unknown as CheckpointEntry[];
  }

  /** @param kinds all unless given. @param countMax the newest of them; in order */
  events(countMax: number, kinds?: readonly string[]): PlacedEvent[] {
    const where = kinds ? `WHERE kind IN (${kinds.map(() => '?').join(', ')})` : '';
    const query = `SELECT session, n AS "index", kind, sequence, at, detail FROM events ${where}
      ORDER BY id DESC LIMIT ?`;
    const rows = this.#database.prepare(query).all(...(kinds ?? []), countMax) as Record<string, unknown>[];
    return rows.toReversed().map((row) => ({ ...row, detail: parseDetail(row.detail) }) as PlacedEvent);
  }

  /**
   * Puts in what the journal has, giving way to other work of the thread in between. Only then it is one that `open`
   * takes for whole.
   */
  async rebuild(journal: string, checkpoints: string, isWanted: () => boolean = () => true): Promise<void> {
    const events = readEvents(journal);
    for (let done = false; !done;) {
      if (!isWanted()) return;
      this.#database.exec('BEGIN');
      for (const endMs = performance.now() + SLICE_MS; performance.now() < endMs && !done;) {
        const { value } = events.next();
        if (value === undefined) done = true;
        else this.addEvent(value);
      }
      this.#database.exec('COMMIT');
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.indexCheckpoints(checkpoints);
    this.#database.exec(`PRAGMA user_version = ${CATALOGUE_VERSION}`);
  }

  close(): void {
    this.#database.close();
  }
}

/** @throws if it is damaged or of another version */
function openSound(path: string): DatabaseSync {
  const database = openDatabase(path);
  try {
    const [check] = database.prepare('PRAGMA quick_check(1)').all() as { quick_check: string }[];
    const [{ user_version: version }] = database.prepare('PRAGMA user_version').all() as {
      user_version: number;
    }[];
    if (check.quick_check !== 'ok' || version !== CATALOGUE_VERSION) throw new Error('not our catalogue');
    database.exec(`PRAGMA user_version = ${CATALOGUE_VERSION}`); // whether it can be written
    database.prepare('SELECT session, n, kind, sequence, at, detail FROM events LIMIT 1').all();
    database
      .prepare('SELECT number, sequence, epoch, run_seconds, taken_at, bytes FROM checkpoints LIMIT 1')
      .all();
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 1000 });
  try {
    // Readers of other processes do not stop us in this mode. Never synced: a sync would stop the journal, too.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function parseDetail(text: unknown): PlacedEvent['detail'] {
  try {
    return JSON.parse(String(text)) as PlacedEvent['detail'];
  } catch {
    return {};
  }
}
