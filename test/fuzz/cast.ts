import {
  type Certificate,
  certificateMessage,
  type Context,
  type Delta,
  type DeltaHeader,
  deltaMessage,
  deriveKeyId,
  hlcFromMs,
  makeUnsignedDelta,
  signDelta,
  type Verifier,
} from '@mangrove/protocol';
import { bodyToBytes, recordPayloadToBytes } from '../../packages/protocol/src/body.js';
import { concatBytes, equalBytes, utf8ToBytes } from '../../packages/protocol/src/bytes.js';
import type { KeyName, ReplicaId } from '../../packages/protocol/src/ids.js';
import { valueToBytes } from '../../packages/protocol/src/value.js';
import { contextOf, document, publicKeyOf, record, replicaOf, room, sha256, stamp } from '../interop/fixture.js';
import type { Random } from '../support/random.js';
import { updates } from './corpus.js';
import { mutateValue, pick, randomBytes } from './mutate.js';

/** Who is in the room of the links, and what they write. Signatures are a keyed hash, which every rule takes for the real thing. */

export const NOW_MS = 1_800_000_000_000;
export const RELAY_KEY = publicKeyOf(90);
export const STORE_ID = new Uint8Array(8).fill(4);
export const WRITERS = 5;

export function sign(publicKey: Uint8Array, message: Uint8Array): Uint8Array {
  const half = sha256(concatBytes(utf8ToBytes('fuzz'), publicKey, message));
  const signature = concatBytes(half, half);
  // Below the order of the group, or no strict check would look any further.
  signature[63] = (signature[63] as number) & 15;
  return signature;
}

export const verifier: Verifier = {
  verify: async (publicKey, message, signature) => equalBytes(sign(publicKey, message), signature),
};

export const isSigned = (delta: Delta, publicKey: Uint8Array): boolean =>
  equalBytes(sign(publicKey, deltaMessage(delta.id)), delta.signature);

export const publicKeys: ReadonlyMap<ReplicaId, Uint8Array> = new Map(
  Array.from({ length: WRITERS }, (_, n) => [replicaOf(n), publicKeyOf(n)]),
);

export function certificateOf(n: number): Certificate {
  const publicKey = publicKeyOf(n);
  const message = certificateMessage(room.roomId, publicKey, NOW_MS);
  return { publicKey, issuedAtMs: NOW_MS, issuer: RELAY_KEY, signature: sign(RELAY_KEY, message) };
}

const names: readonly KeyName[] = [record('a'), record('b'), record('c'), document('notes'), document('plan')];

/** A writer that counts as it should, and can be asked to sign what it should not. */
export class HostileWriter {
  readonly replica: ReplicaId;
  readonly publicKey: Uint8Array;
  seq: number;
  #clock: number;

  constructor(n: number, from: { readonly seq: number; readonly hlc: number }) {
    this.replica = replicaOf(n);
    this.publicKey = publicKeyOf(n);
    this.seq = from.seq;
    this.#clock = from.hlc;
  }

  /** The next delta, as an honest replica writes it. */
  next(random: Random, seen: Context = contextOf([])): Delta {
    const name = pick(random, names);
    this.#clock += 10;
    const hlc = this.#clock;
    const context = name.kind === 'record' ? seen : contextOf([]);
    return this.#sign({ ...this.#header(name, hlc), seq: ++this.seq, context, nonces: [] }, bodyOf(random, name));
  }

  /** Anything that has an encoding, under this replica's own signature: dots used twice, contexts that reach too far, other bodies. */
  hostile(random: Random, like: Delta): Delta | undefined {
    const { id: _, bytes: __, signature: ___, body, ...header } = like;
    const mine = random.below(4) === 0 ? header : { ...header, replica: this.replica };
    const changed = mutateValue(random, random.below(5) === 0 ? mutateValue(random, mine, undefined) : mine, like);
    try {
      return this.#sign(changed as DeltaHeader, random.below(4) === 0 ? randomBytes(random, random.below(90)) : body);
    } catch {
      return undefined;
    }
  }

  #header(name: KeyName, hlc: number): Omit<DeltaHeader, 'seq' | 'context' | 'nonces'> {
    const keyId = keyIds.get(name) as DeltaHeader['keyId'];
    return { replica: this.replica, keyId, hlc: stamp(hlc), writtenAt: stamp(hlc), prev: stamp(0), flags: 0 };
  }

  #sign(header: DeltaHeader, body: Uint8Array): Delta {
    const unsigned = makeUnsignedDelta(sha256, room.roomId, header, body);
    return signDelta(unsigned, sign(this.publicKey, unsigned.message));
  }
}

const keyIds = new Map(names.map((name) => [name, keyIdOfName(name)]));

function keyIdOfName(name: KeyName): DeltaHeader['keyId'] {
  return deriveKeyId(sha256, room.roomId, name);
}

function bodyOf(random: Random, name: KeyName): Uint8Array {
  const payload =
    name.kind === 'document'
      ? pick(random, updates)
      : recordPayloadToBytes({ value: valueToBytes({ n: random.below(1_000) }) });
  return bodyToBytes({ name, payload });
}

/** What the room holds before anything hostile comes: some deltas of each writer, with and without contexts. */
export function makeBase(random: Random): readonly Delta[] {
  const writers = Array.from(
    { length: WRITERS },
    (_, n) => new HostileWriter(n, { seq: 0, hlc: hlcFromMs(NOW_MS) + n }),
  );
  const deltas: Delta[] = [];
  for (let round = 0; round < 9; round++) {
    for (const writer of writers) {
      const seen = contextOf(deltas.slice(0, random.below(4)).map(({ replica, hlc }) => [replica, hlc] as const));
      deltas.push(writer.next(random, seen));
    }
  }
  return deltas;
}
