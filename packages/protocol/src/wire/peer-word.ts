import type * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { decode, encode, readFixed, readU8 } from '../codec.js';
import { HASH_BYTES } from '../hash.js';
import { readVector, writeVector } from '../head-statement.js';
import { bytesToKeyId, KEY_ID_BYTES, type ReplicaId } from '../ids.js';
import type { VersionVector } from '../version-vector.js';
import type { Presence } from './messages.js';

/**
 * [FD8] What a relay says to its peer relay beside what a replica may say. It goes as the presence of nobody: under a key that no name has, and only
 * over a link of peers.
 */
export type PeerWord =
  /** A replica has come to the other relay, or has left it. */
  | { readonly kind: 'came' | 'gone'; readonly replica: ReplicaId }
  /** The other relay has this root, and what this vector reaches it holds or has covered. */
  | { readonly kind: 'stands'; readonly replica: ReplicaId; readonly root: Uint8Array; readonly vector: VersionVector };

const KINDS = ['gone', 'came', 'stands'] as const;
const NO_KEY = bytesToKeyId(new Uint8Array(KEY_ID_BYTES));

export function peerWordToPresence(word: PeerWord): Presence {
  const state = encode((encoder) => {
    encoding.writeUint8(encoder, KINDS.indexOf(word.kind));
    if (word.kind !== 'stands') return;
    encoding.writeUint8Array(encoder, word.root);
    writeVector(encoder, word.vector);
  });
  return { kind: 'presence', replica: word.replica, tab: 0, keyId: NO_KEY, state };
}

/** Undefined for the presence of somebody. Throws `FRAME_MALFORMED`. */
export function presenceToPeerWord({ replica, keyId, state }: Presence): PeerWord | undefined {
  if (keyId !== NO_KEY) return undefined;
  return decode(state, 'FRAME_MALFORMED', (decoder: decoding.Decoder): PeerWord => {
    const kind = KINDS[readU8(decoder)];
    if (kind === undefined) throw new Error('no word of a peer');
    if (kind !== 'stands') return { kind, replica };
    return { kind, replica, root: readFixed(decoder, HASH_BYTES), vector: readVector(decoder) };
  });
}
