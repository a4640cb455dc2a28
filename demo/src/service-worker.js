// Keeps the page itself on the device, so that a reload with the network off opens the editor. It holds no data: rooms
// live in the client's store. The build fills in the two names below.
const VERSION = '__VERSION__';
const FILES = ['__FILES__'];

const PREFIX = 'mangrove-';
const PAGE = '/index.html';
const NETWORK_MS_MAX = 3_000;
// A tab of the version before may still start its worker.
const VERSIONS_KEPT = 2;

self.addEventListener('install', (event) => {
  event.waitUntil(keepFiles().then(() => self.skipWaiting()));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(dropOldVersions().then(() => self.clients.claim()));
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== self.location.origin) return;
  if (request.mode === 'navigate' && url.pathname === '/') event.respondWith(answerPage(request));
  else if (FILES.includes(url.pathname) || url.pathname.startsWith('/assets/')) event.respondWith(answerFile(request));
});

async function keepFiles() {
  const cache = await caches.open(PREFIX + VERSION);
  await cache.addAll(FILES.map((path) => new Request(path, { cache: 'no-cache' })));
}

async function dropOldVersions() {
  const names = (await caches.keys()).filter((name) => name.startsWith(PREFIX));
  await Promise.all(names.slice(0, -VERSIONS_KEPT).map((name) => caches.delete(name)));
}

/** The newest page where there is a network, and the kept one where there is none or one that does not answer. */
async function answerPage(request) {
  const cache = await caches.open(PREFIX + VERSION);
  try {
    const response = await fetch(request, { signal: AbortSignal.timeout(NETWORK_MS_MAX) });
    if (response.ok) return response;
  } catch {
    // Offline: the kept page.
  }
  return (await cache.match(PAGE)) ?? Response.error();
}

/** Names under assets/ carry a hash of their content, so a kept one is never out of date. */
async function answerFile(request) {
  return (await caches.match(request, { ignoreVary: true })) ?? fetch(request);
}
