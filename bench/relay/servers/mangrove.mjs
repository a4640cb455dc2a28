// The relay of this tree as it is shipped, its data in the folder given. Its rates are off: none of the others has any, and one client here is a crowd.
import { createRelay } from '../../../packages/relay/dist/runtimes/node.js';
import { listening } from '../../e2e/servers/listening.mjs';
import { NO_RATES } from '../no-rates.mjs';

const relay = createRelay({ storage: process.argv[2], rates: NO_RATES });
const { url } = await relay.listen({ port: 0, host: '127.0.0.1' });
listening(Number(new URL(url).port));
process.on('SIGTERM', async () => {
  await relay.close();
  process.exit(0);
});
