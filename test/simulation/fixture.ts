import {
  bodyToBytes,
  bytesToDelta,
  type Context,
  type Delta,
  deriveKeyId,
  EMPTY_CONTEXT,
  type Hlc,
  hlcFromMs,
  type KeyName,
  makeUnsignedDelta,
  recordPayloadToBytes,
  signDelta,
  valueToBytes,
} from '@mangrove/protocol';
import {
  createWorld,
  type SimReplica,
  simulatedSign,
  type World,
  type WorldOptions,
} from '@mangrove/protocol/simulation';

export const record = (id: string): KeyName => ({ kind: 'record', collection: 'c', id });
export const document = (id: string): KeyName => ({ kind: 'document', collection: '', id });

/** A calm world where nobody writes but the test. */
export function calmWorld(options: Partial<WorldOptions> = {}): World {
  const world = createWorld({ seed: 1, editCount: 0, latencyMsMax: 10, ...options });
  world.runFor(1_000);
  return world;
}

/** A calm world in which somebody will misbehave: no oracle looks, the test says what must hold. */
export const roughWorld = (options: Partial<WorldOptions> = {}): World => calmWorld({ isWatched: false, ...options });

export interface ForgedDelta {
  readonly seq: number;
  readonly name: KeyName;
  readonly text?: string;
  readonly aheadMs?: number;
  readonly prev?: Hlc;
  readonly context?: Context;
  readonly body?: Uint8Array;
  readonly signature?: Uint8Array;
}

/** A delta made by hand: validly signed by the replica's key unless a signature is given. */
export function forge(world: World, author: Pick<SimReplica, 'id' | 'publicKey'>, forged: ForgedDelta): Delta {
  const { hash, roomId } = world.room;
  const { seq, name, text = 'forged', aheadMs = 0, prev = 0 as Hlc, context = EMPTY_CONTEXT } = forged;
  const hlc = hlcFromMs(world.wallMs + aheadMs);
  const header = { replica: author.id, seq, keyId: deriveKeyId(hash, roomId, name), hlc, writtenAt: hlc, prev };
  const payload = recordPayloadToBytes({ value: valueToBytes(text) });
  const body = forged.body ?? bodyToBytes({ name, payload });
  const unsigned = makeUnsignedDelta(hash, roomId, { ...header, context, flags: 0, nonces: [] }, body);
  return signDelta(unsigned, forged.signature ?? simulatedSign(author.publicKey, unsigned.message));
}

/** Everything a replica holds of the set. */
export function heldBy(world: World, { disk }: Pick<SimReplica, 'disk'>): readonly Delta[] {
  const { hash, roomId } = world.room;
  const rows = disk.tables.table('deltas').rows({ from: new Uint8Array() });
  return rows.map(([, bytes]) => bytesToDelta(hash, roomId, bytes));
}

export function rootsOf(world: World): number {
  return new Set(world.merkleRoots()).size;
}

export function countOf(world: World, what: string): number {
  return world.counts.get(what) ?? 0;
}
