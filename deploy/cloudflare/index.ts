import { createRelayObject } from '@mangrove/relay/durable-object';

interface Env {
  /** Comma-separated; without it pages of all origins may connect. */
  readonly ALLOWED_ORIGINS?: string;
}

const relay = createRelayObject<Env>(({ ALLOWED_ORIGINS }) => ({
  allowedOrigins: ALLOWED_ORIGINS?.split(','),
  // Without `authenticate` everybody may read and write every room.
}));

/** A room. wrangler.jsonc names this class. */
export class MangroveRoom extends relay.MangroveRoom {}

export default { fetch: relay.fetch };
