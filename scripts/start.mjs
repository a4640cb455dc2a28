// npm start: from a fresh clone to the demo in the browser. PORT chooses the port; data is kept in .mangrove/.
import { existsSync, mkdirSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { buildDemo, buildPackages } from './lib/build.mjs';
import { ensureInstall } from './lib/ensure-install.mjs';
import { fromRoot } from './lib/paths.mjs';
import { main } from './lib/run.mjs';

const PORT_DEFAULT = 5173;
const CLOSE_MS_MAX = 5_000;

await main(async () => {
  const port = readPort();
  await ensureInstall();
  await buildPackages();
  await buildDemo();

  const serverFile = fromRoot('demo/server.mjs');
  if (!existsSync(serverFile)) throw new Error('demo/server.mjs is missing.');
  const { serve } = await import(pathToFileURL(serverFile).href);
  const dataDir = fromRoot('.mangrove');
  mkdirSync(dataDir, { recursive: true });

  const server = await serve({ port, dataDir }).catch((error) => {
    if (error?.code === 'STORAGE_UNAVAILABLE')
      throw new Error(
        `${error.message} If the demo is running already, open that one; if not, try again in a few seconds.`,
      );
    if (error?.code !== 'EADDRINUSE') throw error;
    throw new Error(`Port ${port} is in use. Stop what listens there, or choose another: PORT=${port + 1} npm start`);
  });
  closeOnSignal(server);
  console.log(`Mangrove is ready at ${server.url}`);
});

function readPort() {
  const given = process.env.PORT;
  if (!given) return PORT_DEFAULT;
  const port = Number(given);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`PORT is not a port number: ${given}`);
  return port;
}

function closeOnSignal(server) {
  let isClosing = false;
  const close = async () => {
    if (isClosing) return;
    isClosing = true;
    // A client that does not let go of its connection must not hold the process.
    setTimeout(() => process.exit(1), CLOSE_MS_MAX).unref();
    await server.close();
    process.exit(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      close().catch((error) => {
        console.error(error);
        process.exit(1);
      });
    });
  }
}
