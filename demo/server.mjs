// The built demo and a relay on one port: what `npm start` runs. Everything but the relay's own paths is a file of dist/.
import { createReadStream } from 'node:fs';
import { mkdir, realpath, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { contentSecurityPolicyHeader } from './src/csp.mjs';

const DIST = fileURLToPath(new URL('./dist', import.meta.url));
const RELAY_PATH = /^\/(?:parties\/|rooms\/|(?:healthz|readyz|metrics)$)/;
// Names that carry a hash of their content, as Vite gives them to everything under assets/.
const HASHED = /^\/assets\/[^/]+-[\w-]{8,}\.\w+$/;

const MIME_TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json; charset=utf-8',
  '.woff2': 'font/woff2',
};

const SECURITY_HEADERS = {
  'Content-Security-Policy': contentSecurityPolicyHeader,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
  // A room's name is in the address, and whoever knows it can come in.
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/**
 * Serves the demo, and with `relay` also a relay that keeps its data in `dataDir` (in memory without one). `dist` is where another
 * build of it is.
 *
 * Rejects when it was not built, with the code STORAGE_UNAVAILABLE when another process has the data folder, and with EADDRINUSE when the port
 * is taken.
 *
 * @param {{ port: number, host?: string, dataDir?: string, relay?: boolean, dist?: string }} options
 * @returns {Promise<{ url: string, close: () => Promise<void> }>}
 */
export async function serve({ port, host = '127.0.0.1', dataDir, relay: hasRelay = true, dist = DIST }) {
  const root = await findDist(dist);
  const relay = hasRelay ? await openRelay(dataDir) : undefined;
  const sockets = new Set();

  const server = createServer((request, response) => {
    const path = readPath(request);
    if (relay && path !== undefined && RELAY_PATH.test(path)) return relay.handle(request, response);
    sendFile(root, path, request, response).catch(() => {
      if (!response.headersSent) sendText(response, 500, 'The file could not be read.');
      else response.destroy();
    });
  });
  server.on('upgrade', (request, socket, head) => {
    // Without a listener a reset connection would end the process.
    socket.on('error', () => socket.destroy());
    if (!relay) return socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    relay.handleUpgrade(request, socket, head);
  });

  try {
    await listen(server, port, host);
  } catch (error) {
    await relay?.close();
    throw error;
  }

  const name = host.includes(':') ? `[${host}]` : host;
  let closing;
  return {
    url: `http://${name}:${server.address().port}`,
    close: () => (closing ??= close(server, relay, sockets)),
  };
}

async function findDist(dist) {
  const root = await realpath(dist).catch(() => undefined);
  if (root === undefined) throw new Error(`The demo is not built: ${dist} is missing. Run vite build in demo/.`);
  return root;
}

async function openRelay(dataDir) {
  const { createRelay } = await import('@mangrove/relay/node');
  if (dataDir !== undefined) await mkdir(dataDir, { recursive: true });
  const relay = createRelay({ storage: dataDir });
  // Before anything is served: a page without its relay would only ever be offline.
  await relay.ready();
  return relay;
}

function listen(server, port, host) {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      if (error.code === 'EADDRINUSE') {
        error.message = `Port ${port} of ${host} is in use. Stop what listens there, or choose another port.`;
      }
      reject(error);
    });
    server.listen(port, host, resolve);
  });
}

async function close(server, relay, sockets) {
  const isClosed = new Promise((resolve) => server.close(resolve));
  // The relay says goodbye to its clients and stores what it acknowledged; only then is anything cut off.
  await relay?.close();
  for (const socket of sockets) socket.destroy();
  server.closeAllConnections();
  await isClosed;
}

/** The decoded path, or undefined where there is none that could name a file. */
function readPath({ url = '' }) {
  try {
    const path = decodeURIComponent(url.split(/[?#]/, 1)[0]);
    return path.startsWith('/') && !/[\0\\]/.test(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

async function sendFile(root, path, request, response) {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return sendText(response, 405, 'Only GET and HEAD are served here.');
  }
  const file = path === undefined ? undefined : await findFile(root, path === '/' ? '/index.html' : path);
  if (file === undefined) return sendText(response, 404, 'There is nothing at this address.');

  response.writeHead(200, {
    ...SECURITY_HEADERS,
    'Content-Type': MIME_TYPES[extname(file.name).toLowerCase()] ?? 'application/octet-stream',
    'Content-Length': file.size,
    'Cache-Control': HASHED.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache',
  });
  if (request.method === 'HEAD') return response.end();
  const stream = createReadStream(file.name);
  stream.on('error', () => response.destroy());
  response.on('close', () => stream.destroy());
  stream.pipe(response);
}

/** The real path decides, so neither `..` nor a link leads out of dist/. */
async function findFile(root, path) {
  const name = await realpath(join(root, path)).catch(() => undefined);
  if (name === undefined || !name.startsWith(root + sep)) return undefined;
  const found = await stat(name).catch(() => undefined);
  return found?.isFile() ? { name, size: found.size } : undefined;
}

function sendText(response, status, text) {
  response.writeHead(status, {
    ...SECURITY_HEADERS,
    'Content-Type': 'text/plain; charset=utf-8',
    'Cache-Control': 'no-store',
  });
  response.end(`${text}\n`);
}
