import { bytesToHex, errorToFacts } from '@mangrove/protocol';
import type { ReceivedKey } from '../tabs/room-channel.js';
import type { ChangeOrigin } from '../types.js';
import { updatesToOpen } from '../documents/merge.js';
import { readDocumentUpdates } from './documents.js';
import { toReceivedKey } from './row-notices.js';
import { readRoom } from './load.js';
import type { RoomParts } from './room-parts.js';
import type { RuntimeOptions } from './runtime-options.js';

export interface RereadingHost {
  isClosed(): boolean;
  deliver(keys: readonly ReceivedKey[], origin: ChangeOrigin): void;
  /** So many rows of the journal are there. */
  poke(rows: number): void;
}

/** A tab may have ended without telling what it did last: the store knows. */
export class Rereading {
  readonly #options: RuntimeOptions;
  readonly #parts: Pick<RoomParts, 'documents' | 'pending' | 'rungs' | 'shown' | 'status'>;
  readonly #host: RereadingHost;

  constructor(
    options: RuntimeOptions,
    parts: Pick<RoomParts, 'documents' | 'pending' | 'rungs' | 'shown' | 'status'>,
    host: RereadingHost,
  ) {
    this.#options = options;
    this.#parts = parts;
    this.#host = host;
  }

  /** Counts and shows what this tab has not heard of. */
  async read(): Promise<void> {
    const { store, identity, config } = this.#options;
    const { documents, pending, rungs, shown, status } = this.#parts;
    const loaded = await store.transact((tx) => readRoom(tx, identity.replica), { mode: 'read' });
    if (this.#host.isClosed()) return;
    const unheard = loaded.rows.filter((row) => !pending.isKnown(row.number));
    pending.load(loaded);
    this.#host.deliver(unheard.map(toReceivedKey), 'tab');
    const root = bytesToHex(loaded.root);
    if (root !== status.link.root) {
      status.set({ root, ...loaded.marks });
      for (const id of documents.names()) {
        const updates = await readDocumentUpdates(shown, config.room, id);
        documents.deliver([{ document: id, updates: updatesToOpen(updates) }]);
      }
    }
    rungs.lookAgain();
    status.touch();
    this.#host.poke(loaded.rows.length);
  }

  readSoon(): void {
    void this.read().catch((error: unknown) => this.#parts.status.fault(errorToFacts(error)));
  }
}
