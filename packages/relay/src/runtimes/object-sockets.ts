import type { Link } from '../link.js';
import type { Connection } from '../ports.js';
import type { RememberedLink } from '../remembered.js';
import { isOpen, type ObjectSocket } from './workers-platform.js';

/** What is kept with a socket. Without a link it cannot be gone on with, and the client comes again. */
interface Attachment {
  readonly origin: string | undefined;
  readonly link: RememberedLink | undefined;
}

interface Open {
  readonly link: Link;
  readonly origin: string | undefined;
  /** What the link had gone through when it was last kept. */
  kept: number;
}

/** The sockets of one object and their links, of which each socket keeps what another instance of the object needs to know. */
export class ObjectSockets {
  readonly #open = new Map<ObjectSocket, Open>();

  linkOf(socket: ObjectSocket): Link | undefined {
    return this.#open.get(socket)?.link;
  }

  add(socket: ObjectSocket, origin: string | undefined, link: Link): void {
    this.#open.set(socket, { link, origin, kept: -1 });
  }

  remove(socket: ObjectSocket): void {
    this.#open.delete(socket);
  }

  /** Resolves when nothing is under way, and all is kept: what one link has done may be news to all others. */
  async settle(): Promise<void> {
    for (;;) {
      const changed = [...this.#open].filter(([, { link, kept }]) => link.changes !== kept);
      if (changed.length === 0) return;
      for (const [socket, open] of changed) {
        await open.link.settled();
        this.#keep(socket, open);
      }
    }
  }

  #keep(socket: ObjectSocket, open: Open): void {
    const { link, origin } = open;
    open.kept = link.changes;
    if (!link.isOpen) this.#open.delete(socket);
    attach(socket, { origin, link: link.isOpen ? link.remember() : undefined });
  }
}

function attach(socket: ObjectSocket, attachment: Attachment): void {
  try {
    socket.serializeAttachment(attachment);
  } catch {
    // It is larger than an attachment may be, and is not gone on with.
    socket.serializeAttachment({ origin: attachment.origin, link: undefined } satisfies Attachment);
  }
}

export function attachmentOf(socket: ObjectSocket): Attachment {
  return (socket.deserializeAttachment() as Attachment | null) ?? { origin: undefined, link: undefined };
}

/** A socket of the runtime as a room sees it. How much of what it was given is on its way is not told: credit bounds it [SY17]. */
export function connectionOf(socket: ObjectSocket, origin: string | undefined): Connection {
  return {
    origin,
    send(frame) {
      if (isOpen(socket)) socket.send(frame);
    },
    close(code, reason) {
      if (isOpen(socket)) socket.close(code, reason);
    },
    bufferedBytes: () => 0,
    drained: () => Promise.resolve(),
  };
}
