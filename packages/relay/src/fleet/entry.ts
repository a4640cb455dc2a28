import { MangroveError, type Quota, ROLL_BYTES } from '@mangrove/protocol';
import { bytesOf, EntryReader, EntryWriter } from './entry-bytes.js';

export const INSTANCE_BYTES = 8;
export const TOKEN_BYTES = 16;
const REPLICA_BYTES = 8;
const TRIE_KEY_BYTES = 64;
const HASH_BYTES = 32;
const VERSION = 1;

/** A delta that the proposer has looked at: its signature, where it has to be looked at, and its clock. */
export interface ProposedDelta {
  readonly bytes: Uint8Array;
  readonly from: 'author' | 'others';
}

/** What an entry does to its room, in order. */
export type Operation =
  /** The first one of a log fixes the configuration of its room [RF2]. */
  | { readonly kind: 'begin'; readonly config: number }
  | { readonly kind: 'certify'; readonly certificates: readonly Uint8Array[] }
  /** A connection of a replica, by its token, takes the place of another one, or of none [RF6]. */
  | {
      readonly kind: 'enter';
      readonly replica: Uint8Array;
      readonly token: Uint8Array;
      readonly before: Uint8Array | undefined;
    }
  /** What came over a connection. */
  | {
      readonly kind: 'push';
      readonly replica: Uint8Array;
      readonly token: Uint8Array;
      readonly deltas: readonly ProposedDelta[];
    }
  | { readonly kind: 'heads'; readonly statements: readonly Uint8Array[] }
  /** A delta whose signature did not verify, with these very bytes [SY10]. */
  | { readonly kind: 'evict'; readonly trieKey: Uint8Array; readonly bytesHash: Uint8Array }
  /** What has outlived its time goes, at most about so many rows. */
  | { readonly kind: 'clean'; readonly rowsMax: number }
  /** The log begins here when the state is in the engine [RF5]. */
  | { readonly kind: 'cut'; readonly config: number };

export type OperationKind = Operation['kind'];

/** One entry of a room's log: all that its outcome depends on, but for the state [RF3]. */
export interface Entry {
  /** Whoever proposed it, from the opening of the room to its closing. */
  readonly instance: Uint8Array;
  /** Of its proposals: 1, 2, 3 … */
  readonly number: number;
  readonly nowMs: number;
  readonly quota: Quota;
  readonly retainSupersededMs: number;
  readonly trashMs: number;
  /** How many entries its proposer had applied, and the rolling hash then: who had another there has gone astray [RF8]. */
  readonly seen: { readonly index: number; readonly roll: Uint8Array };
  readonly operations: readonly Operation[];
}

const KINDS: readonly OperationKind[] = ['begin', 'certify', 'enter', 'push', 'heads', 'evict', 'clean', 'cut'];

export function entryToBytes(entry: Entry): Uint8Array {
  const writer = new EntryWriter();
  const { instance, number, nowMs, quota, retainSupersededMs, trashMs, seen, operations } = entry;
  writer.u8(VERSION).fixed(instance).number(number).number(nowMs);
  writer.bound(quota.bytesMax).bound(quota.deltasMax).number(retainSupersededMs).number(trashMs);
  writer.number(seen.index).fixed(seen.roll).number(operations.length);
  for (const operation of operations) writeOperation(writer, operation);
  return writer.bytes();
}

/** Throws `VERSION_UNSUPPORTED` for an entry of a newer relay, and `INTERNAL` for what is none. */
export function bytesToEntry(bytes: Uint8Array): Entry {
  const reader = new EntryReader(bytes);
  const version = reader.u8();
  if (version > VERSION) throw new MangroveError('VERSION_UNSUPPORTED', { version, supported: VERSION });
  const entry: Entry = {
    instance: reader.fixed(INSTANCE_BYTES),
    number: reader.number(),
    nowMs: reader.number(),
    quota: { bytesMax: reader.bound(), deltasMax: reader.bound() },
    retainSupersededMs: reader.number(),
    trashMs: reader.number(),
    seen: { index: reader.number(), roll: reader.fixed(ROLL_BYTES) },
    operations: reader.list(() => readOperation(reader)),
  };
  reader.end();
  return entry;
}

function writeOperation(writer: EntryWriter, operation: Operation): void {
  writer.u8(KINDS.indexOf(operation.kind));
  switch (operation.kind) {
    case 'begin':
    case 'cut':
      writer.u8(operation.config);
      return;
    case 'certify':
      writer.list(operation.certificates);
      return;
    case 'enter':
      writer
        .fixed(operation.replica)
        .fixed(operation.token)
        .sized(operation.before ?? new Uint8Array());
      return;
    case 'push':
      writer.fixed(operation.replica).fixed(operation.token).number(operation.deltas.length);
      for (const { bytes, from } of operation.deltas) writer.u8(from === 'author' ? 0 : 1).sized(bytes);
      return;
    case 'heads':
      writer.list(operation.statements);
      return;
    case 'evict':
      writer.fixed(operation.trieKey).fixed(operation.bytesHash);
      return;
    case 'clean':
      writer.number(operation.rowsMax);
      return;
  }
}

function readOperation(reader: EntryReader): Operation {
  const kind = KINDS[reader.u8()];
  const sized = (): Uint8Array => reader.sized();
  switch (kind) {
    case 'begin':
    case 'cut':
      return { kind, config: reader.u8() };
    case 'certify':
      return { kind, certificates: reader.list(sized) };
    case 'enter': {
      const [replica, token] = [reader.fixed(REPLICA_BYTES), reader.fixed(TOKEN_BYTES)];
      const before = reader.sized();
      return { kind, replica, token, before: before.length === 0 ? undefined : before };
    }
    case 'push': {
      const [replica, token] = [reader.fixed(REPLICA_BYTES), reader.fixed(TOKEN_BYTES)];
      const deltas = reader.list((): ProposedDelta => {
        const from = reader.u8() === 0 ? 'author' : 'others';
        return { from, bytes: reader.sized() };
      });
      return { kind, replica, token, deltas };
    }
    case 'heads':
      return { kind, statements: reader.list(sized) };
    case 'evict':
      return { kind, trieKey: reader.fixed(TRIE_KEY_BYTES), bytesHash: reader.fixed(HASH_BYTES) };
    case 'clean':
      return { kind, rowsMax: reader.number() };
    default:
      throw reader.fault('an operation of no kind');
  }
}

/** About how many bytes an operation takes of its entry. */
export function bytesOfOperation(operation: Operation): number {
  switch (operation.kind) {
    case 'certify':
      return bytesOf(operation.certificates);
    case 'push':
      return bytesOf(operation.deltas.map(({ bytes }) => bytes)) + REPLICA_BYTES + TOKEN_BYTES;
    case 'heads':
      return bytesOf(operation.statements);
    default:
      return TRIE_KEY_BYTES + HASH_BYTES;
  }
}
