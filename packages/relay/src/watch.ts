import type { ReplicaId } from '@mangrove/protocol';
import { recheck } from './admission.js';
import { type Link, RETRY } from './link.js';
import type { RelayPorts } from './ports.js';

const HELLO_WITHIN_MS = 30_000;

/** Whose connections are meant: those for which all that is given holds. */
export interface Revocation {
  readonly room?: string;
  readonly replica?: ReplicaId | string;
  /** As `authenticate` gave it. */
  readonly subject?: string;
}

/** Now and then: lets go of those who never say hello, of those whose token has expired, and looks again who may still be here. */
export function sweepLinks(links: Iterable<Link>, ports: RelayPorts): void {
  const nowMs = ports.clock.nowMs();
  for (const link of links) {
    const { access } = link;
    if (access === undefined) {
      if (nowMs - link.openedAtMs > HELLO_WITHIN_MS) link.shut(RETRY.policy, 'no hello came');
    } else if (access.expiresAtMs <= nowMs) link.shut(RETRY.policy, 'the token has expired');
    else if (ports.recheckMs !== undefined && nowMs - access.checkedAtMs >= ports.recheckMs) {
      // Not twice at a time, and again as late where nobody could tell.
      link.access = { ...access, checkedAtMs: nowMs };
      recheck(ports, access).then(
        (now) => {
          if (now === 'nothing') link.revoke();
          else if (now === 'less') link.shut(RETRY.policy, 'the rights have changed');
          else link.access = now;
        },
        (error: unknown) => ports.report(error),
      );
    }
  }
}

/** How many were let go. */
export function revokeLinks(links: Iterable<Link>, { replica, subject }: Revocation): number {
  const meant = [...links].filter(
    (link) =>
      link.access !== undefined &&
      (replica === undefined || link.replica === replica) &&
      (subject === undefined || link.access.subject === subject),
  );
  for (const link of meant) link.revoke();
  return meant.length;
}
