import { createHash } from 'node:crypto';
import { utf8ToBytes } from '../../packages/protocol/src/bytes.js';
import { type Context, EMPTY_CONTEXT, makeContext } from '../../packages/protocol/src/context.js';
import { bodyToBytes } from '../../packages/protocol/src/body.js';
import { type Delta, type DeltaHeader, makeUnsignedDelta, signDelta } from '../../packages/protocol/src/delta.js';
import type { Hash } from '../../packages/protocol/src/hash.js';
import type { Hlc } from '../../packages/protocol/src/hlc.js';
import {
  deriveKeyId,
  deriveReplicaId,
  deriveRoomId,
  type KeyId,
  type KeyName,
  type ReplicaId,
} from '../../packages/protocol/src/ids.js';
import type { RoomRef } from '../../packages/protocol/src/room/accept.js';
import type { MemoryTables } from '../../packages/protocol/src/store/memory-store.js';
import type { Table } from '../../packages/protocol/src/store/table.js';

/** What tests of the protocol share: one room, a few replicas and keys, and deltas with a signature nobody checks. */

export const sha256: Hash = (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest());

export const room: RoomRef = {
  hash: sha256,
  roomId: deriveRoomId(sha256, 'team', { history: 'current', encrypted: false }),
  history: 'current',
};

/** The same room where everything is kept. */
export const fullRoom: RoomRef = { ...room, history: 'full' };

/** The public keys are filled with a number; ids come out in no order of it. */
export const publicKeyOf = (n: number): Uint8Array => new Uint8Array(32).fill(n + 1);
export const replicaOf = (n: number): ReplicaId => deriveReplicaId(sha256, room.roomId, publicKeyOf(n));

export const record = (id: string): KeyName => ({ kind: 'record', collection: 'todos', id });
export const document = (id: string): KeyName => ({ kind: 'document', collection: '', id });
export const keyIdOf = (name: KeyName): KeyId => deriveKeyId(sha256, room.roomId, name);

export const stamp = (value: number): Hlc => value as Hlc;

/** A context from plain pairs. */
export function contextOf(
  stamps: readonly (readonly [ReplicaId, number])[],
  dots: readonly (readonly [ReplicaId, number])[] = [],
): Context {
  return makeContext(
    new Map(stamps.map(([replica, hlc]) => [replica, stamp(hlc)])),
    dots.map(([replica, hlc]) => ({ replica, hlc: stamp(hlc) })),
  );
}

export interface DeltaSpec {
  readonly replica: ReplicaId;
  readonly seq: number;
  readonly hlc: number;
  readonly name?: KeyName;
  readonly prev?: number;
  readonly writtenAt?: number;
  readonly context?: Context;
  readonly flags?: number;
  readonly nonces?: readonly number[];
  readonly text?: string;
}

export function headerOf(spec: DeltaSpec): DeltaHeader {
  const { replica, seq, hlc, name = record('a'), prev = 0, writtenAt = hlc } = spec;
  const { context = EMPTY_CONTEXT, flags = 0, nonces = [] } = spec;
  return {
    replica,
    seq,
    keyId: keyIdOf(name),
    hlc: stamp(hlc),
    writtenAt: stamp(writtenAt),
    prev: stamp(prev),
    context,
    flags,
    nonces,
  };
}

export function makeDelta(spec: DeltaSpec): Delta {
  const { name = record('a'), text = '' } = spec;
  const body = bodyToBytes({ name, payload: utf8ToBytes(text) });
  return signStub(makeUnsignedDelta(sha256, room.roomId, headerOf(spec), body));
}

/** A signature that depends on what is signed, which is all that plans look at. */
export function signStub(unsigned: ReturnType<typeof makeUnsignedDelta>): Delta {
  const half = sha256(unsigned.message);
  const signature = new Uint8Array(64);
  signature.set(half);
  signature.set(sha256(half), 32);
  return signDelta(unsigned, signature);
}

/** The rows of some tables as text. */
export function dumpOf(tables: MemoryTables, names: readonly Table[]): readonly string[] {
  return tables.dump().filter((row) => names.includes(row.slice(0, row.indexOf(' ')) as Table));
}
