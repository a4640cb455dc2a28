import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, removeAwarenessStates } from 'y-protocols/awareness';
import type { Doc } from 'yjs';

/** Cursor moves come with every keystroke; the others need not see each one. */
const SEND_EVERY_MS = 40;

export interface PresenceHost {
  send(state: Uint8Array): void;
}

/**
 * The awareness of one document: what this tab shows of itself, and who else is there. Sent on change and to newcomers; the
 * library's own renewal every 15 s is stopped, as the relay tells who has gone.
 */
export class Presence {
  readonly awareness: Awareness;
  readonly #host: PresenceHost;
  readonly #clientIdsByPeer = new Map<string, Set<number>>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStarted = false;

  constructor(ydoc: Doc, host: PresenceHost) {
    this.#host = host;
    this.awareness = new Awareness(ydoc);
    clearInterval(this.awareness._checkInterval as unknown as ReturnType<typeof setInterval>);
    this.awareness.on('update', this.#onUpdate);
  }

  /** The document's clientID was granted: what was shown under the first one moves over. */
  start(clientId: number): void {
    const state = this.awareness.getLocalState();
    if (this.awareness.clientID !== clientId) {
      removeAwarenessStates(this.awareness, [this.awareness.clientID], 'local');
      this.awareness.clientID = clientId;
      this.awareness.setLocalState(state);
    }
    this.#isStarted = true;
    this.announce();
  }

  /**
   * Somebody came, or we came back: tell who we are. Set anew, which moves its clock on: who has forgotten us remembers the clock
   * and takes nothing that is not above it.
   */
  announce(): void {
    const state = this.awareness.getLocalState();
    if (this.#isStarted && state !== null) this.awareness.setLocalState(state);
  }

  receive(peer: string, state: Uint8Array | undefined): void {
    if (state === undefined) {
      this.#forget(peer);
      return;
    }
    const before = new Set(this.awareness.getStates().keys());
    try {
      applyAwarenessUpdate(this.awareness, state, this);
    } catch {
      // Presence is only shown: a peer that sends nonsense is not shown.
      return;
    }
    const clientIds = this.#clientIdsByPeer.get(peer) ?? new Set();
    for (const clientId of this.awareness.getStates().keys()) if (!before.has(clientId)) clientIds.add(clientId);
    this.#clientIdsByPeer.set(peer, clientIds);
  }

  /** A replica, one of its tabs, or everybody beyond this profile (`all`). */
  gone(peer: string): void {
    for (const known of [...this.#clientIdsByPeer.keys()]) {
      const isOfProfile = known.startsWith('tab-');
      if (peer === 'all' ? !isOfProfile : known === peer || known.startsWith(`${peer}-`)) this.#forget(known);
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
    if (this.#isStarted) this.#host.send(new Uint8Array());
    this.#isStarted = false;
    this.awareness.off('update', this.#onUpdate);
    this.awareness.destroy();
  }

  #forget(peer: string): void {
    const clientIds = this.#clientIdsByPeer.get(peer);
    this.#clientIdsByPeer.delete(peer);
    if (clientIds !== undefined) removeAwarenessStates(this.awareness, [...clientIds], this);
  }

  readonly #onUpdate = (changes: { added: number[]; updated: number[]; removed: number[] }, origin: unknown): void => {
    if (origin === this || !this.#isStarted) return;
    const changed = [...changes.added, ...changes.updated, ...changes.removed];
    if (changed.includes(this.awareness.clientID)) this.#sendSoon();
  };

  #sendSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const { awareness } = this;
      const isShown = awareness.getLocalState() !== null;
      if (this.#isStarted)
        this.#host.send(isShown ? encodeAwarenessUpdate(awareness, [awareness.clientID]) : new Uint8Array());
    }, SEND_EVERY_MS);
  }
}
