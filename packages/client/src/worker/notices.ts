import { errorToFacts, type ReplicaId } from '@mangrove/protocol';
import type { ReceivedKey, TabNotice } from '../tabs/room-channel.js';
import type { ChangeOrigin } from '../types.js';
import type { Ownership } from './ownership.js';
import type { Presences } from './presences.js';
import type { RoomParts } from './room-parts.js';
import { toNotice, toReceivedKey } from './row-notices.js';
import type { Writes } from './writes.js';

export interface NoticesHost {
  deliver(keys: readonly ReceivedKey[], origin: ChangeOrigin): void;
  readSoon(): void;
  reopen(spent: ReplicaId): void;
}

/** What this tab does about what another one says; the owner tells itself in the same words. */
export class Notices {
  readonly #parts: Omit<RoomParts, 'collections'>;
  readonly #ownership: Ownership;
  readonly #presences: Presences;
  readonly #writes: Writes;
  readonly #host: NoticesHost;

  constructor(
    parts: Omit<RoomParts, 'collections'>,
    ownership: Ownership,
    presences: Presences,
    writes: Writes,
    host: NoticesHost,
  ) {
    this.#parts = parts;
    this.#ownership = ownership;
    this.#presences = presences;
    this.#writes = writes;
    this.#host = host;
  }

  heard(notice: TabNotice): void {
    const { channel, documents, listener, pending, rungs, status, unkept, unsent } = this.#parts;
    const { owner } = this.#ownership;
    switch (notice.kind) {
      case 'arrived':
        listener.presenceWanted();
        this.#writes.tellUnkept();
        if (owner !== undefined) channel.post({ kind: 'status', status: status.link });
        return;
      case 'asked':
        if (owner !== undefined) channel.post({ kind: 'owning' });
        return;
      case 'left':
        this.#presences.left(notice.tab);
        if (owner !== undefined) this.#writes.adopt();
        return;
      case 'journaled':
        unkept.kept(notice.rows.flatMap(({ was }) => was ?? []));
        pending.journaled(notice.rows);
        this.#host.deliver(notice.rows.filter(({ was }) => was === undefined).map(toReceivedKey), 'tab');
        owner?.poke(notice.rows.length);
        break;
      case 'unkept': {
        this.#presences.met(notice.tab);
        const rows = notice.rows.map(toNotice).filter(({ number }) => !pending.isKnown(number));
        unkept.add(notice.tab, notice.rows);
        pending.journaled(rows);
        this.#host.deliver(rows.map(toReceivedKey), 'tab');
        break;
      }
      case 'sealed':
        pending.sealed(notice.deltas);
        unsent.sealed(notice.deltas);
        break;
      case 'acknowledged':
        pending.acknowledged(notice.seqs);
        unsent.acknowledged(notice.seqs);
        break;
      case 'withdrawn':
        pending.withdrawn(notice.seqs, notice.error, notice.rows);
        unsent.withdrawn(notice.seqs, notice.rows[0]?.number);
        break;
      case 'heads':
        pending.heads(notice.heads);
        return;
      case 'received':
        this.#host.deliver(notice.keys, 'remote');
        return;
      case 'stored':
        this.#host.deliver(notice.keys, 'remote');
        owner?.stored(notice.keys, notice.fromSeq).catch((error: unknown) => status.fault(errorToFacts(error)));
        return;
      case 'status':
        if (owner !== undefined) return;
        this.#ownership.heardOwner();
        this.#ownership.learnPaused(notice.status.connection === 'paused');
        status.set(notice.status);
        return;
      case 'owning':
        this.#ownership.heardOwner();
        return;
      case 'took-over':
        this.#ownership.heardOwner();
        this.#host.readSoon();
        return;
      case 'presence':
        this.#presences.show(notice.tab, notice.keyId, notice.state);
        return;
      case 'peer-presence':
        documents.showPeer(notice.peer, notice.keyId, notice.state);
        return;
      case 'peers':
        this.#presences.peers(notice.replica, notice.present);
        return;
      case 'identity-spent':
        this.#host.reopen(notice.replica);
        return;
      case 'lost':
        pending.lost(notice.seqs, notice.error);
        unsent.acknowledged(notice.seqs);
        status.lost(notice.error, Number(notice.error.facts.writes ?? 0));
        // What the page shows of its documents is more than what is stored now.
        if (notice.seqs.length > 0) listener.reopened(true);
        break;
      case 'network':
        this.#ownership.setPaused(notice.paused);
        return;
    }
    rungs.lookAgain();
    status.touch();
  }
}
