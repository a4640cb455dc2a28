// The relay of this tree as it runs on Cloudflare.
import { createRelayObject } from '../../../packages/relay/dist/runtimes/durable-object.js';

const relay = createRelayObject(({ RATES }) => ({ rates: RATES }));

export const Room = relay.MangroveRoom;

export default { fetch: relay.fetch };
