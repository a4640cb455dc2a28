import {
  greeting,
  type LinkConfig,
  LinkMemory,
  partsOfDelta,
  type RelayState,
  type ShownKeys,
  SLOTS,
} from '@mangrove/protocol';
import type { Access } from './admission.js';
import type { RelayPorts } from './ports.js';

/** What a direction of a connection was told, as far as what follows may be told by its difference from it [SY21]. */
export interface RememberedMemory {
  /** The one that was told last comes last. */
  readonly deltas: readonly Uint8Array[];
  readonly heads: readonly NonNullable<LinkMemory['lastHead']>[];
  readonly lastHead: LinkMemory['lastHead'];
  readonly lastSeq: number;
}

type Stored<State> = State extends unknown ? Omit<State, 'config' | 'relayKey' | 'storeId'> : never;

/**
 * A connection between two of its events, for a runtime that lets go of everything but the sockets: made of plain values that share no memory with
 * anything, so that they can be cloned. What the relay has told is not in it: whoever forgets that tells all whole.
 */
export interface RememberedLink {
  readonly number: number;
  readonly openedAtMs: number;
  readonly access: Access | undefined;
  readonly readTo: number;
  readonly state: Stored<RelayState>;
  readonly shown: readonly Uint8Array[];
  readonly heard: RememberedMemory;
}

export function rememberLink(
  {
    number,
    openedAtMs,
    access,
    shown,
  }: Pick<RememberedLink, 'number' | 'openedAtMs' | 'access'> & { shown: ShownKeys },
  { config: _, relayKey: __, storeId: ___, ...state }: RelayState,
  heard: LinkMemory,
  readTo: number,
): RememberedLink {
  return detach({ number, openedAtMs, access, readTo, state, shown: shown.all, heard: rememberMemory(heard) });
}

/** That of a new connection where nothing is remembered. */
export function recallState(
  state: RememberedLink['state'] | undefined,
  config: LinkConfig,
  { identity, random }: Pick<RelayPorts, 'identity' | 'random'>,
): RelayState {
  const { relayKey, storeId } = identity;
  if (state === undefined) return greeting(config, { relayKey, storeId, challenge: random.bytes(32) });
  return { ...state, config, relayKey, storeId } as RelayState;
}

function rememberMemory(memory: LinkMemory): RememberedMemory {
  const places = Array.from({ length: SLOTS }, (_, slot) => slot);
  // What is kept last is what was told last.
  const inOrder = [...places.filter((slot) => slot !== memory.lastSlot), memory.lastSlot];
  return {
    deltas: inOrder.flatMap((slot) => memory.delta(slot)?.bytes ?? []),
    heads: places.flatMap((slot) => memory.head(slot) ?? []),
    lastHead: memory.lastHead,
    lastSeq: memory.lastSeq,
  };
}

export function recallMemory(remembered: RememberedMemory | undefined): LinkMemory {
  const memory = new LinkMemory();
  if (remembered === undefined) return memory;
  const { deltas, heads, lastHead, lastSeq } = remembered;
  for (const bytes of deltas) {
    const parts = partsOfDelta(bytes);
    if (parts !== undefined) memory.keepDelta(parts);
  }
  for (const head of heads) memory.keepHead(head);
  if (lastHead !== undefined) memory.keepHead(lastHead);
  if (lastSeq > 0) memory.keepSeqs([lastSeq]);
  return memory;
}

/** A copy in which each array of bytes is all of its memory: cloning a view clones what it is a view of. */
function detach<Value>(value: Value): Value {
  return detached(value) as Value;
}

function detached(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.slice();
  if (Array.isArray(value)) return value.map(detached);
  if (value instanceof Map) return new Map([...value].map(([key, each]) => [key, detached(each)]));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, detached(each)]));
}
