import { covers } from '../context.js';
import { type Delta, FLAG, hasContext, hasFlag } from '../delta.js';
import { type Floor, floorOf, isUnderFloor } from '../floor.js';
import type { DeltaId, KeyId, ReplicaId } from '../ids.js';

export type WriteKind = 'document' | 'put' | 'delete';

/** One edit, as the world knows it: what its writer had before its eyes is noted when it writes, from values, not from contexts. */
export interface WriteRecord {
  readonly id: number;
  readonly replica: number;
  readonly keyId: KeyId;
  readonly kind: WriteKind;
  readonly seen: readonly number[];
  delta: DeltaId | undefined;
  /** Acknowledged at this rung of the ladder of receipts. */
  onDisk: boolean;
  onRelay: boolean;
  /** Taken by a power cut before it was acknowledged, or gone with its device before a relay had it. */
  lost: boolean;
}

export interface SealedRecord {
  readonly delta: Delta;
  readonly replica: number;
  readonly writes: readonly number[];
  /** A relay has had it on its disk at some time. */
  atRelay: boolean;
  /** Refused for good, and taken back by its author. */
  withdrawn: boolean;
}

/** What was written, sealed and acknowledged in a world, kept beside the implementation that is looked at. */
export class Ledger {
  readonly writes: WriteRecord[] = [];
  readonly deltas = new Map<DeltaId, SealedRecord>();
  readonly floors = new Map<DeltaId, Floor>();
  readonly #revived = new Set<number>();
  readonly #deltasByKey = new Map<KeyId, SealedRecord[]>();
  readonly #deltasByReplica = new Map<ReplicaId, Map<number, readonly SealedRecord[]>>();
  /** Ids under which several devices may seal. */
  readonly #copied = new Set<ReplicaId>();
  readonly #closures = new Map<number, ReadonlySet<number>>();
  readonly #isWatched: boolean;

  /** `isWatched`: nobody misbehaves, so every context must be what its writer saw. */
  constructor(isWatched: boolean) {
    this.#isWatched = isWatched;
  }

  write(record: Pick<WriteRecord, 'replica' | 'keyId' | 'kind' | 'seen'>, id: number): WriteRecord {
    const write = { ...record, id, delta: undefined, onDisk: false, onRelay: false, lost: false };
    this.writes.push(write);
    if (id !== this.writes.length) throw new Error(`write ${id} is the ${this.writes.length}th`);
    return write;
  }

  get nextWriteId(): number {
    return this.writes.length + 1;
  }

  get(id: number): WriteRecord {
    return this.writes[id - 1] as WriteRecord;
  }

  sealed(delta: Delta, replica: number, writes: readonly number[]): void {
    const record: SealedRecord = { delta, replica, writes, atRelay: false, withdrawn: false };
    const ofKey = this.#deltasByKey.get(delta.keyId) ?? [];
    this.#add(record);
    for (const id of writes) this.get(id).delta ??= delta.id;
    if (this.#isWatched && hasContext(delta) && !this.#copied.has(delta.replica)) this.#assertContext(record, ofKey);
  }

  #add(record: SealedRecord): void {
    const { delta } = record;
    this.deltas.set(delta.id, record);
    this.#deltasByKey.set(delta.keyId, [...(this.#deltasByKey.get(delta.keyId) ?? []), record]);
    const bySeq = this.#deltasByReplica.get(delta.replica) ?? new Map<number, readonly SealedRecord[]>();
    const ofDot = bySeq.get(delta.seq) ?? [];
    this.#deltasByReplica.set(delta.replica, bySeq.set(delta.seq, [...ofDot, record]));
  }

  /** Nobody's write: it repeats those of what it covers, all of them [CX4, CP1]. */
  checkpointed(delta: Delta, replica: number, writes: readonly number[]): void {
    const others = this.#deltasByKey.get(delta.keyId) ?? [];
    this.#add({ delta, replica, writes, atRelay: false, withdrawn: false });
    if (!this.#isWatched || this.#copied.has(delta.replica)) return;
    const merged = new Set(writes);
    for (const other of others) {
      if (other.withdrawn || this.#isStray(other) || !covers(delta.context, other.delta)) continue;
      const missing = other.writes.find((write) => !merged.has(write));
      if (missing !== undefined)
        throw new Error(`[CP1] checkpoint ${name(delta)} covers ${name(other.delta)} and leaves out write ${missing}`);
    }
  }

  /** Nobody's write. What it sweeps is superseded, or a tombstone: nothing that lives, whoever has seen it [FL8, FL10]. */
  floored(delta: Delta, replica: number): void {
    this.#add({ delta, replica, writes: [], atRelay: false, withdrawn: false });
    const floor = floorOf(delta);
    if (floor === undefined) throw new Error(`[FL2] ${name(delta)} is a floor that says nothing`);
    this.floors.set(delta.id, floor);
    if (!this.#isWatched) return;
    for (const record of this.deltas.values())
      if (!record.withdrawn && !this.#isStray(record) && isUnderFloor(floor, record.delta) && this.#isLive(record))
        throw new Error(`[FL8] floor ${name(delta)} sweeps ${name(record.delta)}, which lives`);
  }

  /** Sealed, written by somebody, and neither deleted nor in what another delta says. */
  #isLive({ delta }: SealedRecord): boolean {
    if (hasFlag(delta, FLAG.tombstone | FLAG.floor)) return false;
    // What its author took back may stand all the same, where a relay had it.
    const stands = (one: SealedRecord): boolean => one.delta !== delta && (!one.withdrawn || one.atRelay);
    const others = (this.#deltasByKey.get(delta.keyId) ?? []).filter(stands);
    const isIn = (id: number, other: SealedRecord): boolean =>
      this.get(id).kind === 'document'
        ? other.writes.includes(id)
        : other.writes.some((write) => write === id || this.closure(write).has(id));
    return this.valuesOf(delta.id).some((id) => !others.some((other) => isIn(id, other)));
  }

  /** It lies under a floor that stands somewhere. */
  isUnder(delta: Delta): boolean {
    if (hasFlag(delta, FLAG.floor)) return false;
    for (const [id, floor] of this.floors)
      if (this.deltas.get(id)?.withdrawn === false && isUnderFloor(floor, delta)) return true;
    return false;
  }

  /** Something covers it that lies under a floor itself. */
  isCoveredUnder(delta: Delta): boolean {
    const others = this.#deltasByKey.get(delta.keyId) ?? [];
    return others.some((one) => !one.withdrawn && covers(one.delta.context, delta) && this.isUnder(one.delta));
  }

  /** It was written, a relay had it, all others deleted it, and its author was never told: now it is written again [FL5]. */
  revived({ writes }: SealedRecord): void {
    for (const id of writes) this.#revived.add(id);
  }

  isRevived(id: number): boolean {
    return this.#revived.has(id);
  }

  /** [CX4] A context covers exactly what its writer had seen, which the values that it saw tell. */
  #assertContext({ delta, writes }: SealedRecord, others: readonly SealedRecord[]): void {
    const seen = this.closure(writes.at(-1) as number);
    for (const other of others) {
      // Contexts say nothing of what lies under a floor, and may reach over it [FL12].
      if (this.isUnder(other.delta) || this.#isStray(other)) continue;
      const value = other.writes.at(-1) as number;
      const isCovered = covers(delta.context, other.delta);
      const isSeen = seen.has(value);
      if (isCovered && !isSeen)
        throw new Error(`[CX4] ${name(delta)} covers ${name(other.delta)}, which its writer never saw`);
      // What its author has written again after a floor swept it is news to who saw it before [FL5].
      const isNews = isCopied(other, others) || this.isRevived(value);
      if (isSeen && !isCovered && !other.withdrawn && !isNews)
        throw new Error(`[CX4] ${name(delta)} does not cover ${name(other.delta)}, which its writer saw`);
    }
  }

  /** Of what no relay has acknowledged, each copy makes a delta of its own: who saw the one may be told the other as news [SY24]. */
  copied(device: number, replica: ReplicaId): void {
    this.#copied.add(replica);
    const sealed = [...this.deltas.values()]
      .filter((record) => record.replica === device)
      .flatMap(({ writes }) => writes);
    const written = this.writes.filter((write) => write.replica === device).map(({ id }) => id);
    for (const id of [...sealed, ...written]) if (!this.get(id).onRelay) this.#revived.add(id);
  }

  /** What a copy of a profile has sealed and no relay has: another device may use its dot and stamp, and it may be taken back [SY24]. */
  #isStray(record: SealedRecord): boolean {
    return !record.atRelay && this.#copied.has(record.delta.replica);
  }

  /** A relay has it on its disk. Of a copied profile only now it shows that it stands, and that nobody has covered it unseen. */
  taken(id: DeltaId): void {
    const record = this.deltas.get(id);
    if (record === undefined || record.atRelay) return;
    record.atRelay = true;
    // Refused and taken back, and then a late copy of the push, or of the profile, has brought it all the same: it stands beside what followed [JS5].
    if (record.withdrawn) this.revived(record);
    record.withdrawn = false;
    if (!this.#isWatched || !this.#copied.has(record.delta.replica) || this.isUnder(record.delta)) return;
    for (const other of this.#deltasByKey.get(record.delta.keyId) ?? []) {
      if (!other.atRelay || other === record) continue;
      this.#assertSeen(other, record);
      // Contexts say nothing of what lies under a floor, and may reach over it [FL12].
      if (!this.isUnder(other.delta)) this.#assertSeen(record, other);
    }
  }

  #assertSeen(by: SealedRecord, { delta, writes }: SealedRecord): void {
    if (by.writes.length === 0 || !covers(by.delta.context, delta)) return;
    const seen = hasFlag(by.delta, FLAG.checkpoint) ? new Set(by.writes) : this.closure(by.writes.at(-1) as number);
    if (this.valuesOf(delta.id).some((write) => !seen.has(write)))
      throw new Error(
        `[SY24] ${name(by.delta)} covers ${name(delta)} of write ${writes.at(-1)}, which its writer never saw`,
      );
  }

  /**
   * Taken back by a device: what it held waits for another delta, unless a younger one had replaced it. What a copy of a profile
   * takes back stands where it came from, and what both have sealed stands in the other's delta.
   */
  withdrawn(record: SealedRecord, device: number, isJournaled: boolean): void {
    if (record.replica !== device) return;
    // What a relay has had of a copied profile stands, whichever copy has brought it.
    record.withdrawn = !(record.atRelay && this.#copied.has(record.delta.replica));
    if (!isJournaled) return;
    for (const write of record.writes.map((id) => this.get(id)))
      if (write.delta === record.delta.id) write.delta = this.#sealOf(write);
  }

  /** What a relay has stands, whatever it says of it. */
  stays(record: SealedRecord): void {
    if (record.atRelay) record.withdrawn = false;
  }

  #sealOf({ id, keyId }: WriteRecord): DeltaId | undefined {
    const holds = ({ delta, writes, withdrawn }: SealedRecord) =>
      !withdrawn && !hasFlag(delta, FLAG.checkpoint) && writes.includes(id);
    return this.#deltasByKey.get(keyId)?.find(holds)?.delta.id;
  }

  /** One, or several where a profile was copied. */
  deltasAt(replica: ReplicaId, seq: number): readonly SealedRecord[] {
    return this.#deltasByReplica.get(replica)?.get(seq) ?? [];
  }

  /** What this device means by a dot: what it sealed itself, or else what came with the profile that it is a copy of. */
  ownDelta(device: number, replica: ReplicaId, seq: number): SealedRecord | undefined {
    const ofDot = this.deltasAt(replica, seq);
    return ofDot.find((record) => record.replica === device) ?? ofDot[0];
  }

  /** The last that this device has sealed as this replica. */
  lastSeq(device: number, replica: ReplicaId): number {
    const bySeq = [...(this.#deltasByReplica.get(replica) ?? [])];
    return Math.max(0, ...bySeq.flatMap(([seq, ofDot]) => (ofDot.some((one) => one.replica === device) ? [seq] : [])));
  }

  /** Sealed by two copies of a profile: to who saw it in one delta, the other is news. */
  isTwice(id: number): boolean {
    const { keyId } = this.get(id);
    const records = this.#deltasByKey.get(keyId) ?? [];
    return records.filter(({ writes, withdrawn }) => !withdrawn && writes.includes(id)).length > 1;
  }

  /** The writes that stand in a delta: the last one of a record, all of a document. */
  valuesOf(id: DeltaId): readonly number[] {
    const record = this.deltas.get(id);
    if (record === undefined || record.writes.length === 0) return [];
    return this.get(record.writes[0] as number).kind === 'document' ? record.writes : record.writes.slice(-1);
  }

  /** Everything that was seen by a write, by what it saw, and so on. */
  closure(id: number): ReadonlySet<number> {
    const known = this.#closures.get(id);
    if (known !== undefined) return known;
    const closure = new Set<number>();
    for (const seen of this.get(id).seen) {
      closure.add(seen);
      for (const earlier of this.closure(seen)) closure.add(earlier);
    }
    this.#closures.set(id, closure);
    return closure;
  }

  /** The deltas that say it: several where a profile was copied, or it was sealed again. */
  holdersOf(id: number): readonly SealedRecord[] {
    return (this.#deltasByKey.get(this.get(id).keyId) ?? []).filter(({ writes }) => writes.includes(id));
  }

  /** A replica is gone for good: what no relay has had goes with it. */
  died(replica: number): void {
    for (const write of this.writes) {
      if (write.replica !== replica) continue;
      const isSafe = this.holdersOf(write.id).some(({ atRelay }) => atRelay);
      if (!isSafe && write.onRelay) throw new Error(`write ${write.id} was acknowledged by a relay that never had it`);
      if (!isSafe) write.lost = true;
    }
  }

  /** The writes of a record that must stand at the end: those that no other write which exists had seen. */
  standing(keyId: KeyId): ReadonlySet<number> {
    const existing = this.writes.filter((write) => write.keyId === keyId && !write.lost);
    const superseded = new Set<number>();
    for (const { id } of existing) for (const seen of this.closure(id)) superseded.add(seen);
    return new Set(existing.flatMap(({ id }) => (superseded.has(id) ? [] : [id])));
  }
}

/** The same write in two deltas, by two copies of one profile: who saw it may have seen it in either. */
function isCopied(record: SealedRecord, others: readonly SealedRecord[]): boolean {
  const value = record.writes.at(-1);
  return others.some(
    (other) =>
      other !== record && (!other.withdrawn || other.replica !== record.replica) && other.writes.at(-1) === value,
  );
}

function name(delta: Delta): string {
  return `delta (${delta.replica}, ${delta.seq}) of key ${delta.keyId.slice(0, 8)}`;
}
