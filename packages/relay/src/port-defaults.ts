import { type Hash, NO_QUOTA } from '@mangrove/protocol';
import { SILENT } from './log.js';
import { onceOnly } from './once-only.js';
import type { RelayPorts } from './ports.js';
import { defaultRates } from './rates.js';
import type { Environment } from './storage/environment.js';

/** What a runtime gives a room that says nothing else. */
export function portDefaults(
  environment: Environment,
  hash: Hash,
): Pick<RelayPorts, 'rates' | 'quota' | 'recheckMs' | 'once' | 'log'> {
  const once = onceOnly(environment, hash);
  return { rates: defaultRates, quota: NO_QUOTA, recheckMs: undefined, once, log: SILENT };
}
