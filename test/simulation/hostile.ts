import {
  bodyToBytes,
  bytesToReplicaId,
  type Context,
  type Delta,
  deriveFloorKeyId,
  deriveKeyId,
  EMPTY_CONTEXT,
  FLAG,
  type Floor,
  floorToBytes,
  type Hlc,
  hlcFromMs,
  isUnderFloor,
  type KeyId,
  makeUnsignedDelta,
  recordPayloadToBytes,
  signDelta,
  toEntry,
  valueToBytes,
} from '@mangrove/protocol';
import { Random, type SimReplica, simulatedSign, type World } from '@mangrove/protocol/simulation';
import { heldBy } from './fixture.js';

/** Its deltas beyond what a relay with a right clock would take do nothing: each stays within that. */
const AHEAD_MS_MAX = 200_000;
const STUB_BODY_BYTES = 70_000;

/**
 * A member of a world, admitted like any, that signs with its own key whatever does most harm: floors over nobody and over everybody, puts that
 * claim gaps and name replicas that do not exist, and bodies of which no part ever comes. What covers others' writes unseen it leaves out.
 */
export class HostileMember {
  readonly floors: { readonly floor: Floor; readonly id: string }[] = [];
  readonly #world: World;
  readonly #member: SimReplica;
  readonly #random: Random;
  readonly #seqs = new Map<string, number>();
  #last = 0;

  constructor(world: World, member: SimReplica) {
    this.#world = world;
    this.#member = member;
    this.#random = new Random(world.options.seed * 3 + 7);
  }

  strike(): void {
    const act = this.#random.pick(['junk floors', 'floor', 'gaps', 'names', 'stubs'] as const);
    const { counts } = this.#world;
    counts.set(`hostile ${act}`, (counts.get(`hostile ${act}`) ?? 0) + 1);
    if (act === 'junk floors') this.#push(Array.from({ length: this.#random.between(1, 20) }, () => this.#junkFloor()));
    if (act === 'floor') this.#push([this.#floorOverEverybody()]);
    if (act === 'gaps') this.#push(Array.from({ length: this.#random.between(1, 60) }, () => this.#put(true)));
    if (act === 'names') this.#push([this.#put(false, this.#namesOfNobody())]);
    if (act === 'stubs') this.#push(Array.from({ length: this.#random.between(1, 30) }, () => this.#stub()));
  }

  /** Whether the member has signed a floor that it lies under. */
  hasSwept(delta: Delta): boolean {
    return this.floors.some(({ floor }) => isUnderFloor(floor, delta));
  }

  #push(deltas: readonly Uint8Array[]): void {
    if (this.#member.isUp) this.#member.push(deltas as never);
  }

  #nobody = () => bytesToReplicaId(this.#random.bytes(8));

  #junkFloor(): Uint8Array {
    const reach = new Map([[this.#nobody(), { seq: 1, hlc: 1 as Hlc }]]);
    return this.#floor({ reach, standing: this.#random.bytes(8), witnesses: [] });
  }

  /** It reaches as far as it may, and lets some of it stand. */
  #floorOverEverybody(): Uint8Array {
    const held = heldBy(this.#world, this.#member);
    const hlc = this.#stamp();
    const reach = new Map(
      [...new Set(held.map(({ replica }) => replica))].map((who) => [who, { seq: 1, hlc: (hlc - 1) as Hlc }]),
    );
    const ids = held.filter(() => this.#random.chance(0.7)).map(({ id }) => id.slice(0, 16));
    const standing = Uint8Array.from(Buffer.from([...new Set(ids)].sort().join(''), 'hex'));
    return this.#floor({ reach, standing, witnesses: [] }, hlc);
  }

  #floor(floor: Floor, hlc = this.#stamp()): Uint8Array {
    const { hash, roomId } = this.#world.room;
    const delta = this.#sign(deriveFloorKeyId(hash, roomId), floorToBytes(floor), FLAG.floor, hlc);
    this.floors.push({ floor, id: delta.id });
    return delta.bytes;
  }

  #put(isAboveGap: boolean, context = EMPTY_CONTEXT): Uint8Array {
    const { hash, roomId } = this.#world.room;
    const name = this.#random.pick(this.#world.keys.filter(({ kind }) => kind === 'record'));
    const body = bodyToBytes({ name, payload: recordPayloadToBytes({ value: valueToBytes({ write: 0 }) }) });
    const hlc = this.#stamp();
    return this.#sign(deriveKeyId(hash, roomId, name), body, 0, hlc, context, isAboveGap ? hlc - 1 : 0).bytes;
  }

  #namesOfNobody(): Context {
    const names = Array.from({ length: this.#random.between(1, 200) }, () => [this.#nobody(), 1 as Hlc] as const);
    return { stamps: new Map(names), dots: [] };
  }

  #stub(): Uint8Array {
    const { hash, roomId } = this.#world.room;
    const name = { kind: 'document', collection: '', id: `never ${this.#random.u32()}` } as const;
    const body = bodyToBytes({ name, payload: new Uint8Array(STUB_BODY_BYTES) });
    return toEntry(hash, roomId, this.#sign(deriveKeyId(hash, roomId, name), body, 0, this.#stamp()).bytes);
  }

  #stamp(): Hlc {
    const aheadMs = this.#random.chance(0.3) ? this.#random.between(0, AHEAD_MS_MAX) : 0;
    this.#last = Math.max(this.#last + 2, hlcFromMs(this.#world.wallMs + aheadMs));
    return this.#last as Hlc;
  }

  #sign(keyId: KeyId, body: Uint8Array, flags: number, hlc: Hlc, context = EMPTY_CONTEXT, prev = 0): Delta {
    const { hash, roomId } = this.#world.room;
    const { id, publicKey } = this.#member;
    // Now and then a number is left out, so that nothing above it is ever contiguous.
    const seq = (this.#seqs.get(id) ?? 0) + this.#random.between(1, 2);
    this.#seqs.set(id, seq);
    const header = { replica: id, seq, keyId, hlc, writtenAt: hlc, prev: prev as Hlc, context, flags, nonces: [] };
    const unsigned = makeUnsignedDelta(hash, roomId, header, body);
    return signDelta(unsigned, simulatedSign(publicKey, unsigned.message));
  }
}

/** Whether a replica has a delta in its trash. */
export function isInTrash(replica: SimReplica, { id }: Delta): boolean {
  return replica.disk.tables
    .table('trash')
    .rows({ from: Uint8Array.of(1) })
    .some(([key]) => Buffer.from(key).toString('hex').endsWith(id));
}
