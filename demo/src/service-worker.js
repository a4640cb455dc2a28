// Keeps the page itself on the device, so that it opens with the network off. It holds no data: rooms live in the client's
// store. The build fills in the two names below.
const VERSION = '__VERSION__';
const FILES = ['__FILES__'];

const PREFIX = 'mangrove-';
const PAGE = '/index.html';
// A tab of the version before may still start its worker.
const VERSIONS_KEPT = 2;

self.addEventListener('install', (event) => {
  event.waitUntil(keepFiles());
});

self.addEventListener('activate', (event) => {
  event.waitUntil(dropOldVersions().then(() => self.clients.claim()));
});

// A new version waits until a page says that nothing would be lost.
self.addEventListener('message', (event) => {
  if (event.data === 'take over') event.waitUntil(self.skipWaiting());
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== self.location.origin) return;
  if (request.mode === 'navigate' && url.pathname === '/') event.respondWith(answerPage(request));
  else if (FILES.includes(url.pathname) || url.pathname.startsWith('/assets/')) event.respondWith(answerFile(request));
});

// The network is back, while the page may be in the background with its timers slowed down. Only a page has the room open,
// so without one there is nobody to sync: what waits is sent when the app is opened next, and saying otherwise would be a lie.
self.addEventListener('sync', (event) => {
  event.waitUntil(wakePages());
});

async function wakePages() {
  for (const page of await self.clients.matchAll({ type: 'window' })) page.postMessage('online');
}

async function keepFiles() {
  const cache = await caches.open(PREFIX + VERSION);
  await cache.addAll(FILES.map((path) => new Request(path, { cache: 'no-cache' })));
}

async function dropOldVersions() {
  const names = (await caches.keys()).filter((name) => name.startsWith(PREFIX));
  await Promise.all(names.slice(0, -VERSIONS_KEPT).map((name) => caches.delete(name)));
}

/** The kept page, with or without a network: it opens at once, and page and files are always of one version. */
async function answerPage(request) {
  const cache = await caches.open(PREFIX + VERSION);
  return (await cache.match(PAGE)) ?? fetch(request);
}

/** Names under assets/ carry a hash of their content, so a kept one is never out of date; the others are of this version. */
async function answerFile(request) {
  const cache = await caches.open(PREFIX + VERSION);
  const options = { ignoreVary: true };
  return (await cache.match(request, options)) ?? (await caches.match(request, options)) ?? fetch(request);
}
