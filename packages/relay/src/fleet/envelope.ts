import { concatBytes, isMangroveError } from '@mangrove/protocol';
import type { LoggedEntry } from './apply.js';
import type { Engine, LogEntry } from './engine.js';
import { bytesToEntry } from './entry.js';
import { EntryReader, EntryWriter } from './entry-bytes.js';

const WHOLE = 0;
const IN_PARTS = 1;

export const roomLog = (room: string): string => `room.${room}`;
/** What an entry of the room's log is too large for. */
export const partsLog = (room: string): string => `parts.${room}`;

/** Appends an entry of any size: the parts of a large one first, in a log of their own, then where they are. */
export async function appendEntry(
  engine: Engine,
  room: string,
  id: string,
  bytes: Uint8Array,
  signal?: AbortSignal,
): Promise<number> {
  const partBytes = engine.entryBytesMax - 1;
  if (bytes.length <= partBytes) {
    const whole = concatBytes(Uint8Array.of(WHOLE), bytes);
    return await engine.append(roomLog(room), id, whole, signal);
  }
  const positions = new EntryWriter().u8(IN_PARTS).number(Math.ceil(bytes.length / partBytes));
  for (let at = 0, i = 0; at < bytes.length; at += partBytes, i++)
    positions.number(await engine.append(partsLog(room), `${id}-${i}`, bytes.subarray(at, at + partBytes), signal));
  return await engine.append(roomLog(room), id, positions.bytes(), signal);
}

/** Reads an entry, and its parts. Rejects with `ENGINE_UNAVAILABLE`, and with `VERSION_UNSUPPORTED` for what a newer relay has written. */
export async function readEntry(engine: Engine, room: string, { position, bytes }: LogEntry): Promise<LoggedEntry> {
  let parts = { from: 0, to: 0 };
  let size = bytes.length;
  try {
    if (bytes[0] === WHOLE) return { position, size, parts, entry: bytesToEntry(bytes.subarray(1)), isTorn: false };
    const reader = new EntryReader(bytes.subarray(1));
    const positions = reader.list(() => reader.number());
    parts = { from: Math.min(...positions), to: Math.max(...positions) };
    const found: Uint8Array[] = [];
    for (const at of positions) {
      const [part] = await engine.read(partsLog(room), at - 1, 1);
      if (part?.position !== at) return { position, size, parts, entry: undefined, isTorn: true };
      found.push(part.bytes);
    }
    const whole = concatBytes(...found);
    size += whole.length;
    return { position, size, parts, entry: bytesToEntry(whole), isTorn: false };
  } catch (error) {
    if (isMangroveError(error) && error.code !== 'INTERNAL') throw error;
    return { position, size, parts, entry: undefined, isTorn: false };
  }
}
