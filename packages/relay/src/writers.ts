import type { ReplicaId } from '@mangrove/protocol';

interface Numbered {
  /** In the order in which the connections of a room were opened. */
  readonly number: number;
  readonly isOpen: boolean;
}

interface Writer<Link> {
  readonly number: number;
  /** While it is open. */
  readonly link: Link | undefined;
}

const NOBODY = { number: 0, link: undefined } as const;

/** The connection of each replica that was opened last, also where it has ended: only what came over this one is taken [SY24]. */
export class Writers<Link extends Numbered> {
  readonly #byReplica = new Map<ReplicaId, Writer<Link>>();

  /** Undefined where a later one was opened. `before`: the one that loses its place. */
  enter(replica: ReplicaId, link: Link): { readonly before: Link | undefined } | undefined {
    const writer = this.#byReplica.get(replica);
    if (writer !== undefined && writer.number > link.number) return undefined;
    this.#byReplica.set(replica, { number: link.number, link: link.isOpen ? link : undefined });
    return { before: writer?.link };
  }

  /** A connection elsewhere was opened later: the one that loses its place. The next one here may have it again. */
  displace(replica: ReplicaId): Link | undefined {
    const writer = this.#byReplica.get(replica);
    if (writer !== undefined) this.#byReplica.set(replica, NOBODY);
    return writer?.link;
  }

  left(replica: ReplicaId, link: Link): void {
    if (this.#byReplica.get(replica)?.link === link)
      this.#byReplica.set(replica, { number: link.number, link: undefined });
  }

  takes(replica: ReplicaId, link: Link): boolean {
    return this.#byReplica.get(replica)?.number === link.number;
  }
}
