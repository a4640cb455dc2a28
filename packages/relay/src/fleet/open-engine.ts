import { MangroveError } from '@mangrove/protocol';
import type { Engine } from './engine.js';
import { persist } from './pause.js';

export interface EngineOptions {
  /** `nats://host:port`, several of a cluster joined by commas, or `postgres://user@host:port/database`. */
  readonly url: string;
  /** Of the fleet: fleets of different names share a server. Lowercase letters, digits and underscores. */
  readonly name?: string | undefined;
  /** NATS: how many servers of a cluster keep each entry; 1 without it, 3 where acknowledged writes are to survive a server's disk. */
  readonly replicas?: number | undefined;
  /** NATS: takes a cluster of servers before 2.11, which may not keep one order. */
  readonly acceptsOldServer?: boolean | undefined;
  /** How long a server that is not there yet is waited for. */
  readonly withinMs?: number | undefined;
}

const NAME = /^[a-z][a-z0-9_]{0,31}$/;
const REPLICAS_MAX = 5;
/** A cluster elects a leader first. */
const WITHIN_MS = 30_000;

/** Opens the engine that an address names. Rejects with `OPTION_INVALID`, `ENGINE_UNSUITABLE`, and `ENGINE_UNAVAILABLE` where nobody answers for long. */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { url, name: fleet = 'mangrove', replicas = 1, acceptsOldServer = false, withinMs = WITHIN_MS } = options;
  if (!NAME.test(fleet)) throw invalid('engine name', 'it is to be of lowercase letters, digits and underscores');
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > REPLICAS_MAX)
    throw invalid('engine replicas', `it is to be a number from 1 to ${REPLICAS_MAX}`);
  const open = await openerOf(url, { fleet, replicas, acceptsOldServer });
  return await persist(withinMs, open);
}

/** Nobody loads the library of an engine that is not used. */
async function openerOf(
  url: string,
  options: { readonly fleet: string; readonly replicas: number; readonly acceptsOldServer: boolean },
): Promise<() => Promise<Engine>> {
  const scheme = /^(\w+):\/\/./.exec(url)?.[1];
  switch (scheme) {
    case 'nats':
    case 'tls': {
      const { openNats } = await import('./nats/nats-engine.js');
      return () => openNats({ url, ...options });
    }
    case 'postgres':
    case 'postgresql': {
      const { openPostgres } = await import('./postgres/postgres-engine.js');
      return () => openPostgres({ url, ...options });
    }
    default:
      throw invalid('engine', 'it is to be an address that begins with nats:// or postgres://');
  }
}

function invalid(option: string, reason: string): MangroveError {
  return new MangroveError('OPTION_INVALID', { option, reason });
}
