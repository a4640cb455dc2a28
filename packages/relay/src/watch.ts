import type { RelayEvent, ReplicaId } from '@mangrove/protocol';
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

/** When the first of them is to be let go or looked at again; `Infinity` where that is never. */
export function dueMs(links: Iterable<Link>, { recheckMs = Number.POSITIVE_INFINITY }: RelayPorts): number {
  const dues = [...links].map(({ access }) =>
    access === undefined ? Number.POSITIVE_INFINITY : Math.min(access.expiresAtMs, access.checkedAtMs + recheckMs),
  );
  return Math.min(...dues);
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

/** To everybody who takes commits; who is still catching up reads them from the log. */
export function tellAll(links: Iterable<Link>, event: RelayEvent, counters: RelayPorts['counters']): void {
  const beganMs = performance.now();
  let told = 0;
  for (const link of links) {
    if (!link.takesCommits) continue;
    link.deliver(event);
    told++;
  }
  if (event.kind !== 'committed') return;
  counters.observe('fanout_connections', told);
  counters.observe('fanout_seconds', (performance.now() - beganMs) / 1_000);
}

/** How a room stands, for who watches the relay. */
export interface RoomFigures {
  readonly pushesWaiting: number;
  readonly queuedBytes: number;
  /** Admitted connections that are still told what was there before, and how long the longest of them has been. */
  readonly catchingUp: number;
  readonly lagMs: number;
}

export function figuresOf(links: Iterable<Link>, pushesWaiting: number, nowMs: number): RoomFigures {
  let [queuedBytes, catchingUp, lagMs] = [0, 0, 0];
  for (const link of links) {
    queuedBytes += link.queuedBytes;
    if (link.behindSinceMs === undefined) continue;
    catchingUp++;
    lagMs = Math.max(lagMs, nowMs - link.behindSinceMs);
  }
  return { pushesWaiting, queuedBytes, catchingUp, lagMs };
}
