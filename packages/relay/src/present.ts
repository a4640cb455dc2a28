import { headMessages, type HeadStatement, type RelayEvent, type ReplicaId } from '@mangrove/protocol';
import type { Peers } from './fleet/peers.js';
import type { Link } from './link.js';

type Forwarded = Extract<RelayEvent, { kind: 'forward' }>['message'];
type Presence = Extract<Forwarded, { kind: 'presence' }>;

/** Who was admitted to a room and is here, and over which connections; with who is there over the other relays of a fleet [SY12]. */
export class Present {
  readonly #replicas = new Map<Link, ReplicaId>();
  /** Who is there over other relays; nobody without a fleet. */
  readonly peers: Peers | undefined;

  constructor(makePeers: ((present: Present) => Peers) | undefined) {
    this.peers = makePeers?.(this);
  }

  get size(): number {
    return this.#replicas.size;
  }

  get links(): Iterable<Link> {
    return this.#replicas.keys();
  }

  [Symbol.iterator](): Iterator<readonly [Link, ReplicaId]> {
    return this.#replicas.entries();
  }

  has(replica: ReplicaId): boolean {
    for (const other of this.#replicas.values()) if (other === replica) return true;
    return false;
  }

  /** Who is there already. In one turn with being there itself, so that of two who come at once the later one hears of the other. */
  enter(link: Link, replica: ReplicaId, toldMax: number): readonly ReplicaId[] {
    const others = new Set([...this.#replicas.values(), ...(this.peers?.replicas() ?? [])]);
    others.delete(replica);
    if (link.isOpen) this.#replicas.set(link, replica);
    return [...others].slice(0, toldMax);
  }

  joined(link: Link, replica: ReplicaId): void {
    if (!link.isOpen) return;
    this.forward({ kind: 'peer', replica, present: true }, link);
    this.peers?.joined(replica);
  }

  left(link: Link): void {
    const replica = this.#replicas.get(link);
    if (replica === undefined) return;
    this.#replicas.delete(link);
    // Another connection of the same replica may have taken over already.
    if (this.has(replica)) return;
    this.peers?.left(replica);
    if (this.peers?.has(replica) !== true) this.forward({ kind: 'peer', replica, present: false }, link);
  }

  presence(message: Presence, from: Link): void {
    this.forward(message, from);
    this.peers?.presence(message);
  }

  /** [SY23] */
  tellHeads(of: (replica: ReplicaId) => readonly HeadStatement[]): void {
    for (const [link, replica] of this.#replicas)
      for (const message of headMessages(of(replica))) link.deliver({ kind: 'forward', message });
  }

  forward(message: Forwarded, except: Link | undefined): void {
    const event: RelayEvent = { kind: 'forward', message };
    for (const link of this.#replicas.keys()) if (link !== except) link.deliver(event);
  }
}
