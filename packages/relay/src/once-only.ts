import {
  bytesToHex,
  bytesToU64,
  concatBytes,
  type Hash,
  MangroveError,
  u64ToBytes,
  utf8ToBytes,
} from '@mangrove/protocol';
import type { RelayPorts } from './ports.js';
import type { Environment } from './storage/environment.js';

/** How far ahead an id may be remembered: what is used once lives for a minute or two. */
export const ONCE_MS_MAX = 15 * 60_000;
/** Ids that end in one minute are kept together, spread by their hash over so many rows that each stays small. */
const MINUTE_MS = 60_000;
const SHARDS = 64;
/** More than what may be ahead, so that a minute's rows are used again only when it is over. */
const MINUTES = ONCE_MS_MAX / MINUTE_MS + 2;
const ID_BYTES = 16;
const MINUTE_BYTES = 8;

/**
 * What may be used once only, on disk: a bounded number of rows, each with the minute that it is about and the hashes of what was used and ends
 * in it. It serves all rooms of a relay, and answers one question at a time for each row. Rejects with `OPTION_INVALID` where an id would have to
 * be remembered for longer than {@link ONCE_MS_MAX}.
 */
export function onceOnly(environment: Pick<Environment, 'getMeta' | 'putMeta'>, hash: Hash): RelayPorts['once'] {
  const turns = new Map<string, Promise<unknown>>();

  async function inTurn<Result>(name: string, task: () => Promise<Result>): Promise<Result> {
    const running = (turns.get(name) ?? Promise.resolve()).then(task);
    const settled = running.catch(() => {});
    turns.set(name, settled);
    try {
      return await running;
    } finally {
      if (turns.get(name) === settled) turns.delete(name);
    }
  }

  async function note(name: string, minute: number, hashed: Uint8Array): Promise<boolean> {
    const row = await environment.getMeta(name);
    const used = row !== undefined && bytesToU64(row) === minute ? row.subarray(MINUTE_BYTES) : new Uint8Array();
    const wanted = bytesToHex(hashed);
    for (let at = 0; at < used.length; at += ID_BYTES)
      if (bytesToHex(used.subarray(at, at + ID_BYTES)) === wanted) return false;
    await environment.putMeta(name, concatBytes(u64ToBytes(minute), used, hashed));
    return true;
  }

  return async (id, untilMs, nowMs) => {
    if (untilMs <= nowMs) return false;
    if (untilMs > nowMs + ONCE_MS_MAX) {
      const reason = `an id is remembered for ${ONCE_MS_MAX} ms at most`;
      throw new MangroveError('OPTION_INVALID', { option: 'once', reason });
    }
    const hashed = hash(utf8ToBytes(`mangrove:once:1 ${id}`)).slice(0, ID_BYTES);
    const minute = Math.floor(untilMs / MINUTE_MS);
    const name = `once:${minute % MINUTES}:${(hashed[0] as number) % SHARDS}`;
    return await inTurn(name, () => note(name, minute, hashed));
  };
}
