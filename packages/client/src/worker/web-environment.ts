import { sha256 } from '@noble/hashes/sha2.js';
import type { Environment } from '../environment.js';
import { deleteBucket, hasBuckets, isBucketThere, openBucket } from '../stores/buckets.js';
import { deleteDatabase, siteDatabases } from '../stores/idb-open.js';
import { openIdbDatabase } from '../stores/idb-store.js';
import { MemoryDatabase } from '../stores/memory-database.js';
import { leadByLock } from '../tabs/leadership.js';
import { openBroadcastChannel } from '../tabs/room-channel.js';
import { connectRelays } from '../transports/several-relays.js';
import { startWebShadow } from './guard/web-shadow.js';
import { openWebIdentity, webVerifier } from './web-crypto.js';

/** The browser: IndexedDB, Web Locks, BroadcastChannel, WebCrypto and WebSocket. */
export function webEnvironment(): Environment {
  // Until its page says so, nobody looks at it.
  let isVisible = false;
  for (const word of ['visible', 'hidden']) globalThis.addEventListener(word, () => (isVisible = word === 'visible'));
  return {
    hash: sha256,
    verifier: webVerifier,
    clock: { nowMs: () => Date.now() },
    random: { u32: () => crypto.getRandomValues(new Uint32Array(1))[0] as number },
    hasBuckets: hasBuckets(),
    openDatabase: async (name, place, onLost) => {
      if (place === 'memory') return new MemoryDatabase();
      const factory = place === 'main' ? siteDatabases() : await openBucket();
      return openIdbDatabase(name, { onClosed: onLost }, factory);
    },
    openRescued: async (name) => {
      if (!(await isBucketThere())) return undefined;
      return openIdbDatabase(name, { onClosed: () => {} }, await openBucket()).catch(() => undefined);
    },
    deleteElsewhere: async (name, place) => {
      if (place !== 'main') await deleteDatabase(name).catch(() => {});
      if (place !== 'bucket') await deleteBucket();
    },
    openIdentity: openWebIdentity,
    openChannel: openBroadcastChannel,
    startShadow: startWebShadow,
    isVisible: () => isVisible,
    lead: (name, options) => leadByLock(navigator.locks, name, options),
    connect: connectRelays,
  };
}
