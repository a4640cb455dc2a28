/** What is only on this device: the browser is asked to keep it, and asks the person before it leaves what is not even there. */
import type { Client, RoomStatus } from '@mangrove/client';

/** Somebody is apart from the others for longer than a connection takes to come back. */
const WAITED_MS = 10_000;

/** Whether something is on this device alone, and has been for some time: when a question about storage makes sense to a person. */
export function isOnlyHere(status: RoomStatus, elapsedMs: number): boolean {
  const { oldestAgeMs } = status.pending;
  return status.connection !== 'connected' && oldestAgeMs !== null && oldestAgeMs + elapsedMs >= WAITED_MS;
}

/** Asks once, as Firefox puts the question to the person. */
export function mountKeep(client: Client): (status: RoomStatus, elapsedMs: number) => void {
  let hasAsked = false;
  return (status, elapsedMs) => {
    if (hasAsked || !isOnlyHere(status, elapsedMs)) return;
    hasAsked = true;
    void client.persist();
  };
}
