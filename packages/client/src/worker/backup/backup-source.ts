import {
  BACKUP_BEGINS,
  BACKUP_MAGIC,
  type BackupSpec,
  type BackupState,
  type Certificate,
  certificateMessage,
  concatBytes,
  FrameChain,
  isMangroveError,
  markToText,
  MangroveError,
  readNumber,
  takeBackup,
  textToMark,
  writeNumber,
} from '@mangrove/protocol';
import type { BackupPiece } from '../engine-api.js';
import { toNotice } from '../row-notices.js';
import { RETRIES_MAX, sealedRows, sealOnce } from '../seal-once.js';
import type { BackupHost } from './backup-host.js';

/** A room's backup, read as fast as it is asked for: one bounded step and one transaction at a time. */
export class BackupSource {
  readonly #host: BackupHost;
  readonly #spec: BackupSpec;
  readonly #chain: FrameChain;
  #state: BackupState | undefined = BACKUP_BEGINS;
  #isBegun = false;

  /** Seals what is in the journal first [BK5]. Throws `OPTION_INVALID` for a mark that is none. */
  static async open(host: BackupHost, since: string | undefined): Promise<BackupSource> {
    const { config, room } = host.options;
    const mark = since === undefined ? undefined : textToMark(since, config.room.roomId);
    await host.idle();
    await sealJournal(host);
    await noteShown(host);
    const spec = {
      room,
      config: config.roomConfig,
      madeAtMs: Math.max(0, Math.floor(host.env.clock.nowMs())),
      since: mark,
      certificate: await ownCertificate(host),
    };
    return new BackupSource(host, spec);
  }

  private constructor(host: BackupHost, spec: BackupSpec) {
    this.#host = host;
    this.#spec = spec;
    this.#chain = new FrameChain(host.options.config.room.hash);
  }

  /** The next bytes, with the last ones the mark; undefined when there are none any more. */
  async next(): Promise<BackupPiece | undefined> {
    const { store, config } = this.#host.options;
    while (this.#state !== undefined) {
      const state: BackupState = this.#state;
      const step = await store.transact((tx) => takeBackup(tx, config.room, this.#spec, state), { mode: 'read' });
      this.#state = step.state;
      // Some of it was sealed since it was begun.
      if (step.state === undefined) await noteShown(this.#host);
      if (step.frames.length === 0) continue;
      const magic = this.#isBegun ? [] : [BACKUP_MAGIC];
      this.#isBegun = true;
      const bytes = concatBytes(...magic, ...step.frames.map((frame) => this.#chain.write(frame)));
      const last = step.frames.at(-1);
      const mark = last?.kind === 'end' && last.mark !== undefined ? markToText(last.mark) : undefined;
      return { bytes, mark };
    }
    return undefined;
  }
}

/**
 * What was never sent is signed like everything else before it is backed up: it keeps its writer and its context wherever it is restored, and
 * restored twice it is the same delta. Any tab may, as the seal checks all that could have moved [JS3].
 */
async function sealJournal(host: BackupHost): Promise<void> {
  const { store, config, identity } = host.options;
  for (let retries = 0; ; ) {
    const outcome = await sealOnce(host.env, store, config.room, identity);
    if (outcome === 'empty') return;
    if (outcome === 'lost') {
      if (++retries > RETRIES_MAX) throw new MangroveError('INTERNAL', { reason: 'sealing lost its race too often' });
      continue;
    }
    retries = 0;
    const { sealed } = outcome;
    const unheard = sealed.flatMap(({ rows }) => rows).filter((row) => !host.isKnown(row.number));
    if (unheard.length > 0) host.tell({ kind: 'journaled', rows: unheard.map(toNotice) });
    host.tell({ kind: 'sealed', deltas: sealed.map(sealedRows) });
    host.tell({ kind: 'stored', keys: [], fromSeq: sealed[0]?.delta.seq });
  }
}

/** [CX10] Whoever restores the backup has seen what is in it. */
async function noteShown({ options: { store } }: BackupHost): Promise<void> {
  const isNoted = await store.transact(
    function* (tx) {
      return (yield* readNumber(tx, 'shown')) === (yield* readNumber(tx, 'seq'));
    },
    { mode: 'read' },
  );
  if (isNoted) return;
  try {
    await store.transact(
      function* (tx) {
        writeNumber(tx, 'shown', yield* readNumber(tx, 'seq'));
      },
      { mode: 'write', durability: 'relaxed' },
    );
  } catch (error) {
    // A full disk keeps nobody from taking a backup: at worst a write comes back beside what has replaced it.
    if (!isMangroveError(error) || error.code !== 'STORAGE_FULL') throw error;
  }
}

/** A replica that no relay has admitted yet is its own issuer [BK10]. */
async function ownCertificate({ env, options }: BackupHost): Promise<Certificate> {
  const { signer } = options.identity;
  const issuedAtMs = Math.max(0, Math.floor(env.clock.nowMs()));
  const message = certificateMessage(options.config.room.roomId, signer.publicKey, issuedAtMs);
  return { publicKey: signer.publicKey, issuedAtMs, issuer: signer.publicKey, signature: await signer.sign(message) };
}
