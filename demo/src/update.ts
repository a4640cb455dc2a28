/**
 * The page on the device: kept by the service worker, renewed without taking anything from whoever is writing, and told when the
 * network is back.
 */
import type { Room } from '@mangrove/client';
import { decideTakeover } from './takeover.ts';

/** Browsers look for a new version when a page is opened, and a tab may stay open for weeks. */
const LOOK_EVERY_MS = 60 * 60_000;
/** The disk takes milliseconds. Where there is none, whoever wants the new version does not wait for it. */
const SAVED_WITHIN_MS = 2_000;
const SYNC_TAG = 'mangrove';

export interface UpdateElements {
  readonly notice: HTMLElement;
  readonly button: HTMLButtonElement;
}

export async function keepPage(elements: UpdateElements, room: Room, isBeingTyped: () => boolean): Promise<void> {
  const { serviceWorker } = navigator;
  if (serviceWorker === undefined) return;
  // The first worker of all takes over a page that is of its own version.
  let isFirst = serviceWorker.controller === null;
  const takeover = new PageTakeover(elements, room, isBeingTyped);
  serviceWorker.addEventListener('controllerchange', () => {
    // Who clears the data of the site takes the worker away: there is no other version.
    if (serviceWorker.controller === null) return;
    if (!isFirst) takeover.ready(undefined);
    isFirst = false;
  });
  serviceWorker.addEventListener('message', ({ data }) => {
    if (data === 'online') dispatchEvent(new Event('online'));
  });

  const registration = await serviceWorker.register('/service-worker.js', { updateViaCache: 'none' });
  const watch = (worker: ServiceWorker | null): void => {
    if (worker === null) return;
    const look = (): void => {
      if (worker.state === 'installed' && serviceWorker.controller !== null) takeover.ready(worker);
    };
    worker.addEventListener('statechange', look);
    look();
  };
  watch(registration.waiting);
  watch(registration.installing);
  registration.addEventListener('updatefound', () => watch(registration.installing));
  setInterval(() => void registration.update().catch(() => {}), LOOK_EVERY_MS);
  askForSync(registration, room);
}

class PageTakeover {
  readonly #elements: UpdateElements;
  readonly #room: Room;
  readonly #isBeingTyped: () => boolean;
  #isReady = false;
  #isWanted = false;
  #isReloading = false;
  #waiting: ServiceWorker | undefined;

  constructor(elements: UpdateElements, room: Room, isBeingTyped: () => boolean) {
    this.#elements = elements;
    this.#room = room;
    this.#isBeingTyped = isBeingTyped;
    elements.button.addEventListener('click', () => {
      this.#isWanted = true;
      void this.#step();
    });
    document.addEventListener('visibilitychange', () => void this.#step());
    room.on('status', () => void this.#step());
  }

  /** Undefined where it has taken over already, which another tab may have told it. */
  ready(waiting: ServiceWorker | undefined): void {
    this.#isReady = true;
    this.#waiting = waiting;
    void this.#step();
  }

  async #step(): Promise<void> {
    if (!this.#isReady || this.#isReloading) return;
    const isSaved = await isOnDisk(this.#room);
    if (this.#isReloading) return;
    const decision = decideTakeover({
      isReady: this.#isReady,
      isWanted: this.#isWanted,
      isUnsaved: !isSaved || this.#isBeingTyped(),
      isVisible: document.visibilityState === 'visible',
    });
    this.#elements.notice.hidden = decision !== 'ask';
    if (decision !== 'reload') return;
    this.#isReloading = true;
    if (this.#waiting?.state !== 'installed') return location.reload();
    navigator.serviceWorker.addEventListener('controllerchange', () => location.reload());
    this.#waiting.postMessage('take over');
  }
}

/** Whether all that was written here can be read after a reload. */
async function isOnDisk(room: Room): Promise<boolean> {
  const { storage, pending } = room.status;
  if (storage !== 'indexeddb') return pending.writes === 0;
  try {
    await room.reached('disk', { signal: AbortSignal.timeout(SAVED_WITHIN_MS) });
    return true;
  } catch {
    return false;
  }
}

/** Where there is Background Sync, the browser says when the network is back, also to a tab whose timers it has slowed down. */
function askForSync(registration: ServiceWorkerRegistration, room: Room): void {
  const { sync } = registration as { sync?: { register(tag: string): Promise<void> } };
  if (sync === undefined) return;
  let isAsked = false;
  room.on('status', ({ connection, pending }) => {
    const isWaiting = connection === 'offline' && pending.writes > 0;
    // It may be denied, as in a private window; the client itself tries again and again all the same.
    if (isWaiting && !isAsked) sync.register(SYNC_TAG).catch(() => {});
    isAsked = isWaiting;
  });
}
