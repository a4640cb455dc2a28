import { bytesToHex, bytesToU64, concatBytes, prefixEnd } from '../bytes.js';
import { covers, isEmptyContext } from '../context.js';
import { bytesToDelta, coverOf, type Delta, parseTrieKey, trieKeyOf } from '../delta.js';
import { type Floor, isUnderFloor } from '../floor.js';
import { bytesToReplicaId, deriveFloorKeyId, deriveKeyId, idToBytes, type KeyId } from '../ids.js';
import { buildTrie, readRoot } from '../merkle/trie.js';
import { floorsOfRow } from '../room/floor-index.js';
import { uncovered } from '../room/readable.js';
import { dotKey, splitTrieKeys } from '../room/set-rows.js';
import type { MemoryTables } from '../store/memory-store.js';
import { runPlan } from '../store/plan.js';
import type { Table } from '../store/table.js';
import { writesOfBody } from './content.js';
import type { Cast } from './cast.js';
import { isDamaged } from './damage.js';

/** Broken ones linger for as long as a side has not noticed. */
const LINKS_PER_REPLICA_MAX = 40;
/** What the rows of `trash` begin with that hold a delta. */
const TRASHED = 1;
/** What follows on a floor's id in those rows of `floors` that name what it lets stand and has not been here. */
const MISSING = 2;
const FLOOR_ID_BYTES = 32;

interface Node {
  readonly name: string;
  readonly tables: MemoryTables;
}

/** What must hold in every world, looked at from outside. */
export class Oracles {
  readonly #world: Cast;
  /** One set, one root, over all nodes and all of a world's time. */
  readonly #setByRoot = new Map<string, string>();
  readonly #rootBySet = new Map<string, string>();
  readonly #looked = new WeakMap<MemoryTables, number>();

  constructor(world: Cast) {
    this.#world = world;
  }

  /** After every step: at those whose set has changed by it. */
  look(): void {
    for (const node of this.#nodes()) {
      if (this.#looked.get(node.tables) === node.tables.setChanges || isDamaged(node.tables)) continue;
      this.#looked.set(node.tables, node.tables.setChanges);
      this.#assertRoot(node);
      this.#assertFloors(node);
      this.#assertVector(node);
    }
    this.#assertBounds();
  }

  /** No edit, delta or connection leaves anything that stays. */
  #assertBounds(): void {
    const { relays, replicas, options } = this.#world;
    for (const { index, links } of relays)
      if (links.size > LINKS_PER_REPLICA_MAX * replicas.length)
        throw new Error(`relay ${index} holds ${links.size} links of ${options.replicaCount} replicas`);
  }

  /** When everything has arrived. */
  lookAtEnd(): void {
    for (const node of this.#nodes()) {
      this.#assertRoot(node);
      this.#assertFloors(node);
      this.#assertVector(node);
    }
    const { ledger, replicas, relays } = this.#world;
    for (const replica of replicas) if (replica.isDead) ledger.died(replica.index);
    for (const write of ledger.writes) {
      if (write.onRelay && write.lost) throw new Error(`write ${write.id} was acknowledged by a relay and is gone`);
    }
    for (const node of this.#nodes()) {
      this.#assertTables(node);
      this.#assertTrash(node);
      this.#assertContent(node);
      if (this.#world.options.history === 'full') this.#assertHistory(node);
    }
    if (this.#world.options.history === 'full') for (const replica of replicas) this.#assertReading(replica);
    this.#assertDots();
    if (new Set(this.#world.merkleRoots()).size !== 1) throw new Error('roots differ at the end');
    for (const { links } of relays)
      if (links.size > replicas.length) throw new Error(`a relay holds ${links.size} links`);
  }

  #nodes(): readonly Node[] {
    const { replicas, relays } = this.#world;
    return [
      ...replicas
        .filter(({ isDead }) => !isDead)
        .map(({ index, disk }) => ({ name: `replica ${index}`, tables: disk.tables })),
      ...relays.map(({ index, tables }) => ({ name: `relay ${index}`, tables })),
      ...relays.flatMap(({ index, twin }) =>
        twin === undefined ? [] : [{ name: `other face of relay ${index}`, tables: twin.tables }],
      ),
    ];
  }

  /** [MK3] Equal roots ⇔ equal sets, and the stored index is the one that the set gives. */
  #assertRoot({ name, tables }: Node): void {
    const keys = rows(tables, 'deltas').map(([key]) => key);
    const root = bytesToHex(runPlan(readRoot, (read) => tables.read(read)).result.root);
    const built = bytesToHex(buildTrie(this.#world.room.hash, keys).root);
    if (root !== built)
      throw new Error(`[MK3] ${name} stores root ${root.slice(0, 8)} for a set of root ${built.slice(0, 8)}`);
    const set = bytesToHex(this.#world.room.hash(concatBytes(...keys)));
    if ((this.#setByRoot.get(root) ?? set) !== set) throw new Error(`[MK3] two sets have the root ${root.slice(0, 8)}`);
    if ((this.#rootBySet.get(set) ?? root) !== root) throw new Error(`[MK3] one set has two roots`);
    this.#setByRoot.set(root, set);
    this.#rootBySet.set(set, root);
  }

  /** [FL4] Nothing that lies under a held floor stands. */
  #assertFloors({ name, tables }: Node): void {
    const floors = floorsOf(this.#world, tables);
    if (floors.length === 0) return;
    for (const [key] of rows(tables, 'deltas')) {
      const place = parseTrieKey(key);
      if (!this.#world.ledger.floors.has(place.id) && floors.some((floor) => isUnderFloor(floor, place)))
        throw new Error(`[FL4] ${name} keeps a delta of ${place.replica} that lies under a floor`);
    }
  }

  /** [SY3] A vector claims only what is held, or covered by something that is held. What lies under a floor contexts leave out, also before it comes [FL12]. */
  #assertVector({ name, tables }: Node): void {
    const { ledger, options } = this.#world;
    const { history } = options;
    // A vector is a relay's word, and a flipped bit may make it any other.
    if (options.flipRatio > 0) return;
    let contextual: Map<KeyId, Delta[]> | undefined;
    for (const [key, value] of rows(tables, 'vector')) {
      const replica = bytesToReplicaId(key);
      for (let seq = 1; seq <= bytesToU64(value); seq++) {
        const records = ledger.deltasAt(replica, seq);
        if (records.length === 0) throw new Error(`[SY3] ${name} claims (${replica}, ${seq}), which was never sealed`);
        const isHeld = (delta: Delta) => tables.table('deltas').get(trieKeyOf(delta)) !== undefined;
        if (records.some(({ delta, withdrawn }) => withdrawn || isHeld(delta))) continue;
        if (records.some(({ delta }) => ledger.isUnder(delta))) continue;
        if (isAwaiting(tables) && records.some(({ delta }) => ledger.isCoveredUnder(delta))) continue;
        if (history === 'full') throw new Error(`[FH1] ${name} claims (${replica}, ${seq}), which it does not hold`);
        const covering = (contextual ??= contextualByKey(this.#world, tables));
        const isCovered = (delta: Delta) =>
          covering.get(delta.keyId)?.some(({ context }) => covers(context, delta)) === true;
        if (!records.some(({ delta }) => isCovered(delta)))
          throw new Error(`[SY3] ${name} claims (${replica}, ${seq}), which it neither holds nor has covered`);
      }
    }
  }

  /** [CX7] No relay takes an author who has used each dot once for one who has not, whatever that relay has lost [AE3]. */
  #assertDots(): void {
    const { counts, replicas, options } = this.#world;
    const isHonest = replicas.length === options.replicaCount && options.flipRatio === 0;
    if (isHonest && (counts.get('refused DOT_REUSED') ?? 0) > 0) throw new Error('[CX7] an honest author was refused');
  }

  /** A device lost it in a power cut, after it had been copied. */
  #isKeptByCopy(id: number): boolean {
    const { ledger, replicas, options } = this.#world;
    return ledger.get(id).lost && replicas.length > options.replicaCount;
  }

  /** Deltas, dots and contexts say the same, and nothing stands that something held covers [CX2]. */
  #assertTables({ name, tables }: Node): void {
    const contextual = contextualByKey(this.#world, tables);
    const dots = new Set<string>();
    for (const [key, value] of rows(tables, 'dots')) {
      for (const trieKey of splitTrieKeys(value)) {
        const isHeld = tables.table('deltas').get(trieKey) !== undefined;
        // What a flipped bit has forged may have been lost where it was, and evicted everywhere else: nobody brings it back.
        if (!isHeld && this.#world.options.flipRatio > 0) continue;
        dots.add(`${bytesToHex(key)} ${bytesToHex(trieKey)}`);
        if (!isHeld) throw new Error(`${name} has a dot of a delta that it does not hold`);
      }
    }
    for (const [key] of tables.table('incoming').rows({ from: Uint8Array.of(0), to: Uint8Array.of(1) }))
      if (tables.table('deltas').get(key.slice(1)) !== undefined)
        throw new Error(`[SY18] ${name} waits for parts of a delta that it holds`);
    const held = deltasOf(this.#world, tables);
    if (held.length !== dots.size) throw new Error(`${name} holds ${held.length} deltas under ${dots.size} dots`);
    for (const delta of held) {
      if (!dots.has(`${bytesToHex(dotKey(delta))} ${bytesToHex(trieKeyOf(delta))}`))
        throw new Error(`${name} holds a delta without its dot`);
      if (this.#world.options.history === 'full') continue;
      if (contextual.get(delta.keyId)?.some(({ context }) => covers(context, delta)))
        throw new Error(`[CX2] ${name} keeps (${delta.replica}, ${delta.seq}), which something that it holds covers`);
    }
    const rowsMax = this.#world.options.history === 'full' ? 0 : contextual.size;
    if (rows(tables, 'contexts').length !== rowsMax)
      throw new Error(`${name} has contexts of ${rows(tables, 'contexts').length} keys, ${contextual.size} have some`);
  }

  /** [FH1] What a relay has had is everywhere at the end, whatever has replaced it since. */
  #assertHistory({ name, tables }: Node): void {
    const { ledger } = this.#world;
    // Of two deltas that copies of a profile pushed on one dot a relay has refused one.
    for (const { delta, atRelay, withdrawn } of ledger.deltas.values())
      if (
        atRelay &&
        !withdrawn &&
        ledger.deltasAt(delta.replica, delta.seq).length === 1 &&
        tables.table('deltas').get(trieKeyOf(delta)) === undefined
      )
        throw new Error(`[FH1] ${name} has not got (${delta.replica}, ${delta.seq}), which a relay had`);
  }

  /** [FH2, FH4] What is past, merged and leapt over changes nothing of what is read. */
  #assertReading({ index, isDead, disk, desk }: Cast['replicas'][number]): void {
    if (isDead) return;
    const { keys, room } = this.#world;
    for (const key of keys) {
      const keyId = deriveKeyId(room.hash, room.roomId, key);
      const present = uncovered(deltasOf(this.#world, disk.tables).filter((delta) => delta.keyId === keyId));
      const ids = present.flatMap((delta) =>
        key.kind === 'document' ? writesOfBody(delta) : this.#world.ledger.valuesOf(delta.id),
      );
      const expected = [...new Set(ids)].sort((a, b) => a - b);
      if (String(desk.read(key)) !== String(expected))
        throw new Error(
          `[FH2] replica ${index} reads ${desk.read(key)} of ${key.kind} ${key.id}, and holds ${expected}`,
        );
    }
  }

  /** [FL10] Of a delete nothing is left once everybody has it. */
  #isCollected(id: number, floors: readonly Floor[]): boolean {
    const { ledger } = this.#world;
    if (ledger.get(id).kind !== 'delete') return false;
    // Of copies of a profile each may have sealed it.
    return ledger.holdersOf(id).some(({ delta }) => floors.some((floor) => isUnderFloor(floor, delta)));
  }

  /** [FL5] What is in the trash lies under a held floor, and what is kept of floors is of held ones. */
  #assertTrash({ name, tables }: Node): void {
    const { room, ledger } = this.#world;
    const floors = floorsOf(this.#world, tables);
    const trash = rows(tables, 'trash');
    const deltas = trash.filter(([key]) => key[0] === TRASHED);
    if (2 * deltas.length !== trash.length) throw new Error(`[FL5] ${name} has half of a delta in its trash`);
    for (const [key, row] of deltas) {
      const { id, keyId, ...stamped } = parseTrieKey(key.slice(1));
      const known = ledger.deltas.get(id)?.delta ?? bytesToDelta(room.hash, room.roomId, row.slice(17));
      if (!floors.some((floor) => isUnderFloor(floor, { id, ...stamped })))
        throw new Error(`[FL5] ${name} keeps (${known.replica}, ${known.seq}) in its trash, under no floor`);
    }
    const held = new Set(rows(tables, 'deltas').map(([key]) => parseTrieKey(key).id));
    for (const [key, row] of rows(tables, 'floors'))
      if (!floorsOfRow(key, row).every((id) => held.has(id)))
        throw new Error(`[FL5] ${name} has rows of a floor that is gone`);
  }

  /** Nothing lost, nothing back: every edit of a document is there, and of a record just what no later write had seen. */
  #assertContent({ name, tables }: Node): void {
    const { ledger, keys, room } = this.#world;
    const held = deltasOf(this.#world, tables);
    const floors = floorsOf(this.#world, tables);
    for (const key of keys) {
      const keyId = deriveKeyId(room.hash, room.roomId, key);
      const deltas = uncovered(held.filter((delta) => delta.keyId === keyId));
      const found = new Set(deltas.flatMap((delta) => ledger.valuesOf(delta.id)));
      for (const delta of deltas)
        for (const id of writesOfBody(delta))
          if (!found.has(id)) throw new Error(`${name} reads write ${id} in a delta that was made of others`);
      const expected = ledger.standing(keyId);
      for (const id of expected)
        if (!found.has(id) && !this.#isCollected(id, floors))
          throw new Error(`${name} has lost write ${id} of ${key.kind} ${key.id}`);
      for (const id of found)
        if (!expected.has(id) && !ledger.isTwice(id) && !ledger.isRevived(id) && !this.#isKeptByCopy(id))
          throw new Error(`${name} shows write ${id} of ${key.kind} ${key.id}, which a later one had replaced`);
    }
  }
}

/** [FL5] Something that a held floor lets stand has not come yet: it covers what was swept, and what that had covered. */
function isAwaiting(tables: MemoryTables): boolean {
  return rows(tables, 'floors').some(([key]) => key[FLOOR_ID_BYTES] === MISSING);
}

function floorsOf({ room, ledger }: Cast, tables: MemoryTables): readonly Floor[] {
  if (ledger.floors.size === 0) return [];
  const from = idToBytes(deriveFloorKeyId(room.hash, room.roomId));
  const keys = tables.table('deltas').rows({ from, to: prefixEnd(from) });
  return keys.flatMap(([key]) => ledger.floors.get(parseTrieKey(key).id) ?? []);
}

function rows(tables: MemoryTables, table: Table): readonly (readonly [Uint8Array, Uint8Array])[] {
  return tables.table(table).rows({ from: new Uint8Array() });
}

/** What a node holds; those that the world saw sealed need no decoding. */
function deltasOf({ room, ledger }: Cast, tables: MemoryTables): readonly Delta[] {
  return rows(tables, 'deltas').map(
    ([key, bytes]) => ledger.deltas.get(parseTrieKey(key).id)?.delta ?? bytesToDelta(room.hash, room.roomId, bytes),
  );
}

function contextualByKey(world: Cast, tables: MemoryTables): Map<KeyId, Delta[]> {
  const byKey = new Map<KeyId, Delta[]>();
  for (const delta of deltasOf(world, tables)) {
    const context = coverOf(delta);
    if (!isEmptyContext(context)) byKey.set(delta.keyId, [...(byKey.get(delta.keyId) ?? []), { ...delta, context }]);
  }
  return byKey;
}
