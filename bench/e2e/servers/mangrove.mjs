// The relay of this tree, its data in the folder given: it acknowledges and forwards only what is on disk.
import { createRelay } from '../../../packages/relay/dist/runtimes/node.js';
import { listening } from './listening.mjs';

const relay = createRelay({ storage: process.argv[2] });
const { url } = await relay.listen({ port: 0, host: '127.0.0.1' });
listening(Number(new URL(url).port));
process.on('SIGTERM', async () => {
  await relay.close();
  process.exit(0);
});
