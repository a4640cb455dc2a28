import type { Hash } from '@mangrove/protocol';
import { SILENT } from './log.js';
import { onceOnly } from './once-only.js';
import { portsOf } from './options.js';
import type { RelayPorts } from './ports.js';

import type { Environment } from './storage/environment.js';

/** What a runtime gives a room that says nothing else. */
export function portDefaults(
  environment: Environment,
  hash: Hash,
): Pick<RelayPorts, 'rates' | 'quota' | 'recheckMs' | 'once' | 'log'> {
  const { rates, quota, recheckMs } = portsOf({});
  return { rates, quota, recheckMs, once: onceOnly(environment, hash), log: SILENT };
}
