import {
  headMessages,
  type HeadStatement,
  type PeerWord,
  presenceToPeerWord,
  type RelayEvent,
  type ReplicaId,
} from '@mangrove/protocol';
import type { Peers } from './fleet/peers.js';
import type { Link } from './link.js';

type Forwarded = Extract<RelayEvent, { kind: 'forward' }>['message'];
type Presence = Extract<Forwarded, { kind: 'presence' }>;

/** More than that nobody says of a room. */
const ELSEWHERE_MAX = 16_384;

/** Whether it is a link of another relay [FD5]. */
export const isPeer = (link: Link): boolean => link.access?.peerKey !== undefined;

/**
 * Who was admitted to a room and is here, and over which connections; with who is there over the other relays of a fleet [SY12], and at relays that are
 * peers of this one. [FD7] What is said of presence comes to the peers of the relay at which somebody is, and no further: so nothing goes round in a ring.
 */
export class Present {
  readonly #replicas = new Map<Link, ReplicaId>();
  /** Who is at a peer, by the link of that peer. */
  readonly #elsewhere = new Map<Link, Set<ReplicaId>>();
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

  /** Those of other relays. */
  get peerLinks(): readonly Link[] {
    return [...this.#replicas.keys()].filter(isPeer);
  }

  get peerKeys(): readonly Uint8Array[] {
    return this.peerLinks.flatMap(({ access }) => access?.peerKey ?? []);
  }

  /** Whether anybody is here who is no relay. */
  get hasClients(): boolean {
    for (const link of this.#replicas.keys()) if (!isPeer(link)) return true;
    return false;
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
    const here = [...this.#replicas].flatMap(([other, its]) => (isPeer(other) ? [] : [its]));
    const elsewhere = isPeer(link) ? [] : [...this.#elsewhere.values()].flatMap((set) => [...set]);
    const others = new Set([...here, ...elsewhere, ...(this.peers?.replicas() ?? [])]);
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
    if (isPeer(link)) {
      const gone = this.#elsewhere.get(link) ?? [];
      this.#elsewhere.delete(link);
      for (const its of gone) this.#goneElsewhere(its);
      return;
    }
    // Another connection of the same replica may have taken over already.
    if (this.has(replica)) return;
    this.peers?.left(replica);
    const isThere = this.peers?.has(replica) === true || this.#isElsewhere(replica);
    // A peer hears of those who are here, wherever else they are.
    this.#deliver({ kind: 'peer', replica, present: false }, (to) => isPeer(to) || !isThere);
  }

  presence(message: Presence, from: Link): void {
    this.#deliver(message, (to) => to !== from && !(isPeer(from) && isPeer(to)));
    this.peers?.presence(message);
  }

  /** What came as a presence over the link of a peer; how that relay stands, where it says so. Throws `FRAME_MALFORMED`. */
  hear(message: Presence, from: Link): (PeerWord & { kind: 'stands' }) | undefined {
    const word = presenceToPeerWord(message);
    if (word === undefined) this.presence(message, from);
    else if (word.kind === 'stands') return word;
    else if (word.kind === 'came') this.#cameElsewhere(word.replica, from);
    else if (this.#elsewhere.get(from)?.delete(word.replica)) this.#goneElsewhere(word.replica);
    return undefined;
  }

  /** [SY23] */
  tellHeads(of: (replica: ReplicaId) => readonly HeadStatement[]): void {
    for (const [link, replica] of this.#replicas) if (!isPeer(link)) tellHeads(link, of(replica));
  }

  tellPeers(statements: readonly HeadStatement[]): void {
    for (const link of this.peerLinks) tellHeads(link, statements);
  }

  forward(message: Forwarded, except: Link | undefined): void {
    this.#deliver(message, (to) => to !== except);
  }

  #cameElsewhere(replica: ReplicaId, from: Link): void {
    const set = this.#elsewhere.get(from) ?? new Set();
    this.#elsewhere.set(from, set);
    if (set.size >= ELSEWHERE_MAX) return;
    set.add(replica);
    // Also where it is known: it may have come anew, and is to be told who is here.
    this.#deliver({ kind: 'peer', replica, present: true }, (to) => !isPeer(to));
  }

  #goneElsewhere(replica: ReplicaId): void {
    if (this.has(replica) || this.#isElsewhere(replica)) return;
    this.#deliver({ kind: 'peer', replica, present: false }, (to) => !isPeer(to));
  }

  #isElsewhere(replica: ReplicaId): boolean {
    for (const set of this.#elsewhere.values()) if (set.has(replica)) return true;
    return false;
  }

  #deliver(message: Forwarded, isFor: (link: Link) => boolean): void {
    const event: RelayEvent = { kind: 'forward', message };
    for (const link of this.#replicas.keys()) if (isFor(link)) link.deliver(event);
  }
}

function tellHeads(link: Link, statements: readonly HeadStatement[]): void {
  for (const message of headMessages(statements)) link.deliver({ kind: 'forward', message });
}
