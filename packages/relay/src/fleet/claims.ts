import {
  bytesToHex,
  concatBytes,
  equalBytes,
  type Hash,
  isMangroveError,
  MangroveError,
  utf8ToBytes,
} from '@mangrove/protocol';
import { ONCE_MS_MAX } from '../once-only.js';
import type { Random, RelayPorts } from '../ports.js';
import type { Engine } from './engine.js';
import { AWAY_MS } from './fleet-view.js';

const MINUTE_MS = 60_000;
const ID_BYTES = 16;
const CLAIM_BYTES = 8;
const PAGE_ENTRIES = 256;
/** So many minutes are looked through for what is over: as far ahead as an id may be, and a relay's clock off. */
const MINUTES_OVER = ONCE_MS_MAX / MINUTE_MS + 5;

/** What was read of the log of a minute. */
interface Minute {
  position: number;
  /** Who was first, by id. */
  readonly claims: Map<string, Uint8Array>;
}

/** What may be used once only, in the whole fleet [RF2]: a log for each minute in which ids end, in which the first who claims an id has it. Rejects as `onceOnly` does, and with `ENGINE_UNAVAILABLE`. */
export function onceInFleet(engine: Engine, hash: Hash, random: Random): RelayPorts['once'] {
  const minutes = new Map<number, Minute>();
  const logOf = (minute: number): string => `once.${minute}`;

  async function read(minute: number, to: number): Promise<Minute> {
    const known = minutes.get(minute) ?? { position: 0, claims: new Map() };
    minutes.set(minute, known);
    while (known.position < to) {
      const entries = await engine.read(logOf(minute), known.position, PAGE_ENTRIES);
      for (const { position, bytes } of entries) {
        known.position = Math.max(known.position, position);
        const id = bytesToHex(bytes.subarray(0, ID_BYTES));
        if (!known.claims.has(id)) known.claims.set(id, bytes.slice(ID_BYTES));
      }
      if (entries.length === 0)
        throw new MangroveError('ENGINE_UNAVAILABLE', { reason: 'it does not have what it took' });
    }
    return known;
  }

  /** When a minute is met first, those that are over go. */
  function forget(nowMs: number): void {
    const now = Math.floor(nowMs / MINUTE_MS);
    for (const minute of minutes.keys()) if (minute < now - 1) minutes.delete(minute);
    for (let minute = now - MINUTES_OVER; minute < now - 1; minute++)
      engine.cut(logOf(minute), Number.MAX_SAFE_INTEGER).catch(() => {});
  }

  return async (id, untilMs, nowMs) => {
    if (untilMs <= nowMs) return false;
    if (untilMs > nowMs + ONCE_MS_MAX) {
      const reason = `an id is remembered for ${ONCE_MS_MAX} ms at most`;
      throw new MangroveError('OPTION_INVALID', { option: 'once', reason });
    }
    const minute = Math.floor(untilMs / MINUTE_MS);
    if (!minutes.has(minute)) forget(nowMs);
    const hashed = hash(utf8ToBytes(`mangrove:once:1 ${id}`)).slice(0, ID_BYTES);
    const claim = random.bytes(CLAIM_BYTES);
    const within = AbortSignal.timeout(AWAY_MS);
    try {
      const position = await engine.append(logOf(minute), bytesToHex(claim), concatBytes(hashed, claim), within);
      const first = (await read(minute, position)).claims.get(bytesToHex(hashed));
      return first !== undefined && equalBytes(first, claim);
    } catch (error) {
      if (isMangroveError(error) && error.code === 'CLOSED')
        throw new MangroveError('ENGINE_UNAVAILABLE', { reason: 'it did not answer in time' });
      throw error;
    }
  };
}
