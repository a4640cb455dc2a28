import { bytesToCertificate, type Certificate } from '../certificate.js';
import { equalBytes } from '../bytes.js';
import { MangroveError } from '../errors.js';
import { deriveReplicaId, idToBytes } from '../ids.js';
import type { RoomRef } from './room-ref.js';

/**
 * The certificate of the replica that its key names: under a key that a disk has spoiled all that this replica writes would pass for forged.
 * Throws `INTERNAL` and `FRAME_MALFORMED`.
 */
export function rowToCertificate({ hash, roomId }: RoomRef, key: Uint8Array, row: Uint8Array): Certificate {
  const certificate = bytesToCertificate(row);
  if (!equalBytes(key, idToBytes(deriveReplicaId(hash, roomId, certificate.publicKey))))
    throw new MangroveError('INTERNAL', { reason: 'a row of certificates on disk is of another replica' });
  return certificate;
}
