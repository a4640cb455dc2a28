import type { Message, Presence, RelayEvent } from '@mangrove/protocol';

/** Deltas of commits that may wait here, in bytes: what is more is in the log, which is read when the peer has room again. */
const COMMITTED_BYTES_MAX = 4 * 1024 * 1024;
/** What an event weighs beside its bytes, so that empty ones cannot pile up either. */
export const EVENT_BYTES = 256;
/** A replica and its number, in a vector. */
const ENTRY_BYTES = 16;
const CERTIFICATE_BYTES = 160;
/** So many places of what was taken back are worth the work of closing them up. */
const GAPS_MAX = 1_024;

type Committed = RelayEvent & { kind: 'committed' };

interface Waiting {
  /** Undefined where something newer has taken its place. */
  event: RelayEvent | undefined;
  /** Of a message of the peer: what it counts for until it was answered. */
  readonly bytes: number;
  /** Of what the room tells: what it counts for while it waits. */
  weight: number;
}

/**
 * What waits on one link while it is busy, in order: what its peer has said, and what the room tells it. A peer may take as long as it likes to read
 * the answer to its last question, and the room goes on meanwhile. So of each presence the newest waits, and of commits a few: beyond those the log
 * is read from where they began [SY17]. All else is weighed, for whoever lets go of a link that has too much.
 */
export class LinkQueue {
  #waiting: Waiting[] = [];
  #gaps = 0;
  #toldBytes = 0;
  #committedBytes = 0;
  /** By replica, tab and key. */
  readonly #presences = new Map<string, Waiting>();
  /** Those that could be read from the log instead. */
  #commits: Waiting[] = [];
  #overtaken: Waiting | undefined;

  /** What the room tells and cannot tell otherwise, in bytes. */
  get toldBytes(): number {
    return this.#toldBytes;
  }

  /** Of the peer, which is asked to wait by other means; or of a link that is not busy. */
  add(event: RelayEvent, bytes: number): void {
    this.#waiting.push({ event, bytes, weight: 0 });
  }

  /** Of the room, for a link that is busy. */
  tell(event: RelayEvent): void {
    if (event.kind === 'committed' && event.deltas.length > 0) this.#tellCommitted(event);
    else if (event.kind === 'forward' && event.message.kind === 'presence') {
      const key = keyOf(event.message);
      this.#takeBack(this.#presences.get(key));
      this.#presences.set(key, this.#push(event));
    } else this.#push(event);
  }

  next(): { readonly event: RelayEvent; readonly bytes: number } | undefined {
    for (let waiting = this.#waiting.shift(); waiting !== undefined; waiting = this.#waiting.shift()) {
      const { event, bytes } = waiting;
      if (event === undefined) this.#gaps--;
      else {
        this.#forget(waiting, event);
        return { event, bytes };
      }
    }
    return undefined;
  }

  clear(): void {
    this.#waiting = [];
    this.#gaps = 0;
    this.#toldBytes = 0;
    this.#committedBytes = 0;
    this.#presences.clear();
    this.#commits = [];
    this.#overtaken = undefined;
  }

  #push(event: RelayEvent): Waiting {
    const waiting = { event, bytes: 0, weight: weightOf(event) };
    this.#toldBytes += waiting.weight;
    this.#waiting.push(waiting);
    return waiting;
  }

  #tellCommitted(event: Committed): void {
    // The log that is read then has this one too.
    if (this.#overtaken !== undefined) return;
    this.#commits.push(this.#push(event));
    this.#committedBytes += bytesOf(event);
    if (this.#committedBytes <= COMMITTED_BYTES_MAX) return;
    const [first, ...others] = this.#commits as [Waiting, ...Waiting[]];
    const { position, deltas } = first.event as Committed;
    for (const waiting of others) this.#takeBack(waiting);
    first.event = { kind: 'overtaken', after: position.offset - deltas.length };
    this.#commits = [];
    this.#committedBytes = 0;
    this.#overtaken = first;
  }

  #forget(waiting: Waiting, event: RelayEvent): void {
    this.#toldBytes -= waiting.weight;
    if (waiting === this.#overtaken) this.#overtaken = undefined;
    else if (waiting === this.#commits[0]) {
      this.#commits.shift();
      this.#committedBytes -= bytesOf(event as Committed);
    } else if (event.kind === 'forward' && event.message.kind === 'presence') {
      const key = keyOf(event.message);
      if (this.#presences.get(key) === waiting) this.#presences.delete(key);
    }
  }

  #takeBack(waiting: Waiting | undefined): void {
    if (waiting === undefined) return;
    this.#toldBytes -= waiting.weight;
    waiting.event = undefined;
    if (++this.#gaps <= GAPS_MAX || this.#gaps * 2 < this.#waiting.length) return;
    this.#waiting = this.#waiting.filter(({ event }) => event !== undefined);
    this.#gaps = 0;
  }
}

function keyOf({ replica, tab, keyId }: Presence): string {
  return `${replica}/${tab}/${keyId}`;
}

/** What a commit keeps in memory, whole: a large delta is told by its stub. */
function bytesOf({ deltas }: Committed): number {
  return deltas.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

function weightOf(event: RelayEvent): number {
  if (event.kind === 'forward') return EVENT_BYTES + weightOfMessage(event.message);
  return EVENT_BYTES;
}

function weightOfMessage(message: Message): number {
  switch (message.kind) {
    case 'presence':
      return message.state.length;
    case 'heads':
      return message.statements.reduce((sum, { vector }) => sum + EVENT_BYTES + ENTRY_BYTES * vector.size, 0);
    case 'certificates':
      return CERTIFICATE_BYTES * message.certificates.length;
    default:
      return 0;
  }
}
