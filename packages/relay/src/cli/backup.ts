import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import {
  acceptAndLog,
  BACKUP_BEGINS,
  BACKUP_MAGIC,
  BackupReader,
  type BackupState,
  bytesToCertificate,
  bytesToDelta,
  type Certificate,
  certificateMessage,
  certificateToBytes,
  defaultLimits,
  deltaMessage,
  deriveReplicaId,
  FrameChain,
  idToBytes,
  isMangroveError,
  isNews,
  isStrictSignature,
  MangroveError,
  msAhead,
  RESTORE_BEGINS,
  type RestoreEffect,
  type RestoreState,
  stepRestore,
  takeBackup,
} from '@mangrove/protocol';
import { createVerifier, nodeHash, openIdentity } from '../runtimes/node-crypto.js';
import { beginRoom, CommandError, EXIT, type Folder, type FoundRoom, read, roomNamed } from './folder.js';

const BATCH_DELTAS = 1_024;

/** Writes the backup of a room to a file, which is there when all of it is on disk and not before [BK1]. */
export async function exportRoom(folder: Folder, name: string, file: string): Promise<readonly string[]> {
  const room = await roomNamed(folder, name);
  const [row] =
    room === undefined
      ? []
      : await read(room.store, (tx) => tx.rows('certificates', { from: new Uint8Array(), limit: 1 }));
  if (room === undefined || row === undefined)
    throw new CommandError(`nobody has written into a room of the name ${JSON.stringify(name)} here`, EXIT.problem);
  // Of somebody who is in it anyway: a relay writes nothing itself.
  const certificate = bytesToCertificate(row[1]);
  const spec = { room: name, config: room.config, madeAtMs: Date.now(), since: undefined, certificate };
  const chain = new FrameChain(nodeHash);
  const part = `${file}.part`;
  const out = await open(part, 'w');
  let deltas = 0;
  try {
    await out.write(BACKUP_MAGIC);
    for (let state: BackupState | undefined = BACKUP_BEGINS; state !== undefined; ) {
      const now: BackupState = state;
      const step = await read(room.store, (tx) => takeBackup(tx, room.ref, spec, now));
      for (const frame of step.frames) await out.write(chain.write(frame));
      deltas = step.state?.deltas ?? deltas;
      const last = step.frames.at(-1);
      if (last?.kind === 'end') deltas = last.deltas;
      state = step.state;
    }
    await out.sync();
  } catch (error) {
    await out.close();
    await rm(part, { force: true });
    throw error;
  }
  await out.close();
  await rename(part, file);
  return [`${deltas} deltas of room ${room.ref.roomId} are in ${file}`];
}

/** Merges the backups of a file into the folder: each section once its root is right, deltas verified as those of a peer [BK7, BK8]. */
export async function importFile(folder: Folder, file: string): Promise<readonly string[]> {
  const importer = new Importer(folder);
  try {
    const reader = new BackupReader(nodeHash);
    let state: RestoreState = RESTORE_BEGINS;
    for await (const piece of createReadStream(file)) {
      for (const frame of reader.read(new Uint8Array(piece as Buffer))) {
        const step = stepRestore(nodeHash, state, frame);
        state = step.state;
        if (step.effect !== undefined) await importer.run(step.effect);
      }
    }
    reader.end();
  } catch (error) {
    if (!isMangroveError(error) && (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const before = importer.added === 0 ? '' : `; ${importer.added} deltas that came before that were taken`;
    throw new CommandError(`${(error as Error).message.replace(/\.$/, '')}${before}`, EXIT.problem);
  }
  if (importer.refused > 0)
    throw new CommandError(`${importer.refused} deltas were refused, ${importer.added} taken`, EXIT.problem);
  return [`${importer.added} deltas that were not here are in ${importer.rooms} rooms`];
}

class Importer {
  readonly #folder: Folder;
  readonly #verifier = createVerifier();
  #room: FoundRoom | undefined;
  readonly #keys = new Map<string, Uint8Array>();
  rooms = 0;
  added = 0;
  refused = 0;

  constructor(folder: Folder) {
    this.#folder = folder;
  }

  async run(effect: RestoreEffect): Promise<void> {
    switch (effect.kind) {
      case 'open': {
        const { room: name, config, roomId } = effect;
        const found = await roomNamed(this.#folder, name);
        if (found !== undefined && found.ref.roomId !== roomId) throw new MangroveError('ROOM_CONFIG_MISMATCH');
        if (config.encrypted) throw new MangroveError('NOT_SUPPORTED', { feature: 'an encrypted room' });
        if (found === undefined) await beginRoom(this.#folder, name, config);
        this.#room = await roomNamed(this.#folder, name);
        this.#keys.clear();
        this.rooms++;
        return;
      }
      case 'certify':
        for (const certificate of effect.certificates) await this.#certify(certificate);
        return;
      case 'take':
        for (let from = 0; from < effect.deltas.length; from += BATCH_DELTAS)
          await this.#take(effect.deltas.slice(from, from + BATCH_DELTAS));
        return;
      case 'finish':
        return;
    }
  }

  /** [BK10] Who puts a backup here could have had its writers admitted: this relay vouches for them, where their issuer has. */
  async #certify({ publicKey, issuedAtMs, issuer, signature }: Certificate): Promise<void> {
    const { ref, store } = this.#room as FoundRoom;
    const message = certificateMessage(ref.roomId, publicKey, issuedAtMs);
    const isSigned = isStrictSignature(issuer, signature) && (await this.#verifier.verify(issuer, message, signature));
    if (!isSigned) return;
    const replica = deriveReplicaId(ref.hash, ref.roomId, publicKey);
    this.#keys.set(replica, publicKey);
    const held = await read(store, (tx) => tx.get('certificates', idToBytes(replica)));
    if (held !== undefined) return;
    const identity = await openIdentity(this.#folder.environment);
    const nowMs = Date.now();
    const own = {
      publicKey,
      issuedAtMs: nowMs,
      issuer: identity.relayKey,
      signature: await identity.sign(certificateMessage(ref.roomId, publicKey, nowMs)),
    };
    await store.transact(
      function* (tx) {
        tx.put('certificates', idToBytes(replica), certificateToBytes(own));
      },
      { mode: 'write', durability: 'strict' },
    );
  }

  async #take(bytes: readonly Uint8Array[]): Promise<void> {
    const { ref, store } = this.#room as FoundRoom;
    const nowMs = Date.now();
    const deltas = bytes.map((each) => bytesToDelta(ref.hash, ref.roomId, each));
    const verdicts = await Promise.all(
      deltas.map(async ({ replica, id, signature, hlc }) => {
        const key = this.#keys.get(replica);
        if (key === undefined || msAhead(hlc, nowMs) > defaultLimits.clockAheadMsMax) return false;
        return isStrictSignature(key, signature) && (await this.#verifier.verify(key, deltaMessage(id), signature));
      }),
    );
    const good = deltas.filter((_, i) => verdicts[i]);
    this.refused += deltas.length - good.length;
    const options = { nowMs, from: 'others', retain: () => true } as const;
    const { outcomes } = await store.transact((tx) => acceptAndLog(tx, ref, good, options), {
      mode: 'write',
      durability: 'strict',
    });
    this.added += outcomes.filter(isNews).length;
  }
}
