/** The keeper's catalogue: whatever happens to it, the keeper goes on without. */
import { Catalogue } from './catalogue.ts';
import type { PlacedEvent } from './journal.ts';

export interface CataloguePaths {
  readonly catalogue: string;
  readonly journal: string;
  readonly checkpoints: string;
}

export class GuardedCatalogue {
  /** Whether it is being made anew from the journal, of which nothing may be removed meanwhile. */
  isRebuilding = false;
  #rebuilding: Promise<void> = Promise.resolve();
  #catalogue: Catalogue | undefined;
  #isClosing = false;
  readonly #waiting: ((catalogue: Catalogue) => void)[] = [];
  readonly #paths: CataloguePaths;
  readonly #onFailure: (sentence: string) => void;

  /** @param onFailure called once, if it fails */
  constructor(paths: CataloguePaths, onFailure: (sentence: string) => void) {
    this.#paths = paths;
    this.#onFailure = onFailure;
  }

  /** @param events that it may have missed */
  open(events: readonly PlacedEvent[]): void {
    const { catalogue: path, journal, checkpoints } = this.#paths;
    try {
      this.#catalogue = Catalogue.open(path);
    } catch (error) {
      this.#lose(error as Error);
    }
    this.do((catalogue) => {
      for (const event of events) catalogue.addEvent(event);
      if (!catalogue.isNew) {
        catalogue.indexCheckpoints(checkpoints);
        return;
      }
      this.isRebuilding = true;
      this.#rebuilding = catalogue
        .rebuild(journal, checkpoints, () => this.#catalogue !== undefined && !this.#isClosing)
        .catch((error: Error) => this.#lose(error))
        .finally(() => {
          this.isRebuilding = false;
          for (const waiting of this.#waiting.splice(0)) this.do(waiting);
        });
    });
  }

  /** While it is made anew what is new waits, so that it comes after what is old. */
  do(work: (catalogue: Catalogue) => void): void {
    if (this.isRebuilding) {
      this.#waiting.push(work);
      return;
    }
    try {
      if (this.#catalogue !== undefined) work(this.#catalogue);
    } catch (error) {
      this.#lose(error as Error);
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#rebuilding;
    this.#close();
  }

  #lose(error: Error): void {
    this.#close();
    this.#onFailure(
      `${this.#paths.catalogue}: ${error.message}. Events are only in the journal until the next start.`,
    );
  }

  #close(): void {
    try {
      this.#catalogue?.close();
    } catch {
      // nothing depends on it
    }
    this.#catalogue = undefined;
  }
}
