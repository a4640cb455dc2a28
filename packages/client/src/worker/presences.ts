import type { KeyId } from '@mangrove/protocol';
import type { Environment } from '../environment.js';
import { TabLives } from '../tabs/tab-lives.js';
import { peerOfTab } from './open-documents.js';
import type { Owner } from './owner.js';
import type { RoomParts } from './room-parts.js';

/** Who else is there: the other tabs of this profile, and other replicas through the connection of the owner. */
export class Presences {
  readonly #env: Environment;
  readonly #parts: Pick<RoomParts, 'channel' | 'documents' | 'listener' | 'unkept'>;
  readonly #owner: () => Owner | undefined;
  readonly #tab: number;
  #tabs: TabLives | undefined;

  constructor(
    env: Environment,
    parts: Pick<RoomParts, 'channel' | 'documents' | 'listener' | 'unkept'>,
    owner: () => Owner | undefined,
  ) {
    this.#env = env;
    this.#parts = parts;
    this.#owner = owner;
    this.#tab = parts.unkept.tab;
  }

  /** `ended`: called when a tab has ended without saying so. */
  begin(name: string, ended: () => void): void {
    this.#tabs = new TabLives(
      (lock) => this.#env.lead(lock),
      name,
      this.#tab,
      (tab) => {
        this.#ended(tab);
        ended();
      },
    );
    this.#parts.channel.post({ kind: 'arrived' });
  }

  /** The presence of this tab's own page, to everybody. */
  tell(keyId: KeyId, state: Uint8Array): void {
    this.#parts.channel.post({ kind: 'presence', tab: this.#tab, keyId, state });
    this.#owner()?.sendPresence(this.#tab, keyId, state);
  }

  /** Another tab tells its presence: the owner passes it on. */
  show(tab: number, keyId: KeyId, state: Uint8Array): void {
    this.#tabs?.met(tab);
    this.#parts.documents.showPeer(peerOfTab(tab), keyId, state);
    this.#owner()?.sendPresence(tab, keyId, state);
  }

  /** Another tab has something that would be lost with it. */
  met(tab: number): void {
    this.#tabs?.met(tab);
  }

  /** Another tab has said that it ends. */
  left(tab: number): void {
    this.#tabs?.left(tab);
    this.#ended(tab);
  }

  /** Another replica, or `all` of them, has come or is gone. */
  peers(replica: string, present: boolean): void {
    if (present) this.#parts.listener.presenceWanted();
    else this.#parts.listener.peersGone(replica);
  }

  /** Tells the other tabs that this one ends. */
  leave(): void {
    this.#parts.channel.post({ kind: 'left', tab: this.#tab });
  }

  close(): void {
    this.#tabs?.close();
  }

  #ended(tab: number): void {
    this.#parts.unkept.tabEnded(tab);
    this.#parts.listener.peersGone(peerOfTab(tab));
    for (const keyId of this.#parts.documents.keyIds()) this.#owner()?.sendPresence(tab, keyId, new Uint8Array());
  }
}
