import { type Folding, type FoldOptions, foldJournal, type JournalRow, type Store } from '@mangrove/protocol';
import { mergeUpdates } from '../documents/merge.js';

/** So many new rows make a look at the journal worthwhile. */
const ROWS_BETWEEN = 1_024;
const FOLDED_ROWS_MIN = 256;

export interface FolderHost {
  /** False while the journal is sealed anyway. */
  canFold(): boolean;
  epoch(): number;
  /** These rows were joined with others: whoever has not heard of them hears it now. */
  folded(replaced: readonly JournalRow[]): void;
  failed(error: unknown): void;
}

/** Keeps the journal short while there is nobody to send to [JS6], one bounded transaction after another. */
export class Folder {
  readonly #store: Store;
  readonly #host: FolderHost;
  #rows = 0;
  #running: Promise<void> | undefined;
  #isStopped = false;

  constructor(store: Store, host: FolderHost) {
    this.#store = store;
    this.#host = host;
  }

  /** So many rows were added to the journal. */
  added(rows: number): void {
    this.#rows += rows;
    if (this.#rows < ROWS_BETWEEN || this.#running !== undefined || !this.#mayRun()) return;
    this.#rows = 0;
    this.#running = this.#run()
      .catch((error: unknown) => this.#host.failed(error))
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Resolves when what is under way is written and told. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  #mayRun(): boolean {
    return !this.#isStopped && this.#host.canFold();
  }

  async #run(): Promise<void> {
    let from: Uint8Array | undefined = new Uint8Array();
    while (from !== undefined && this.#mayRun()) {
      const options: FoldOptions = { epoch: this.#host.epoch(), mergeUpdates, rowsMin: FOLDED_ROWS_MIN, from };
      // Strict: the rows that it takes the place of were.
      const folding: Folding | undefined = await this.#store.transact((tx) => foldJournal(tx, options), {
        mode: 'write',
        durability: 'strict',
      });
      if (folding === undefined) return;
      if (folding.replaced.length > 0) this.#host.folded(folding.replaced);
      from = folding.next;
    }
  }
}
