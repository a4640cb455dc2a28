import { concatBytes, equalBytes } from '../bytes.js';
import { MangroveError } from '../errors.js';
import type { Hash } from '../hash.js';
import {
  BACKUP_MAGIC,
  type BackupFrame,
  CHECK_BYTES,
  damaged,
  FRAME_HEAD_BYTES,
  FrameChain,
  PAYLOAD_BYTES_MAX,
} from './frame.js';

/** Cuts a file that comes in pieces of any size into its frames; holds what one frame lacks, and no more [BK1]. */
export class BackupReader {
  readonly #hash: Hash;
  readonly #pieces: Uint8Array[] = [];
  #bytes = 0;
  /** Of the backup that is being read; undefined between two. */
  #chain: FrameChain | undefined;
  #backups = 0;

  constructor(hash: Hash) {
    this.#hash = hash;
  }

  /** The frames that these bytes complete, each as it is asked for. Throws `BACKUP_DAMAGED` and `VERSION_UNSUPPORTED`. */
  *read(bytes: Uint8Array): Generator<BackupFrame, void, undefined> {
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
    for (;;) {
      const frame = this.#next();
      if (frame === undefined) return;
      yield frame;
    }
  }

  /** Nothing comes any more. Throws `BACKUP_CUT` where something is missing. */
  end(): void {
    if (this.#chain !== undefined || this.#bytes > 0 || this.#backups === 0)
      throw new MangroveError('BACKUP_CUT', { deltas: 0 });
  }

  #next(): BackupFrame | undefined {
    if (this.#chain === undefined) {
      const magic = this.#peek(Math.min(this.#bytes, BACKUP_MAGIC.length));
      // Said as soon as it is seen: what is no backup may be long.
      if (!equalBytes(magic, BACKUP_MAGIC.subarray(0, magic.length))) throw damaged('it does not begin as a backup');
      if (magic.length < BACKUP_MAGIC.length) return undefined;
      this.#drop(BACKUP_MAGIC.length);
      this.#chain = new FrameChain(this.#hash);
    }
    if (this.#bytes < FRAME_HEAD_BYTES) return undefined;
    const head = this.#peek(FRAME_HEAD_BYTES);
    const length = new DataView(head.buffer, head.byteOffset).getUint32(1);
    if (length > PAYLOAD_BYTES_MAX) throw damaged(`a frame of ${length} bytes`);
    const whole = FRAME_HEAD_BYTES + length + CHECK_BYTES;
    if (this.#bytes < whole) return undefined;
    const bytes = this.#peek(whole);
    const payload = bytes.subarray(FRAME_HEAD_BYTES, whole - CHECK_BYTES);
    const frame = this.#chain.read(head[0] as number, payload, bytes.subarray(whole - CHECK_BYTES));
    this.#drop(whole);
    if (frame.kind === 'end') {
      this.#chain = undefined;
      this.#backups++;
    }
    return frame;
  }

  /** The first bytes of what is here, in one piece. */
  #peek(length: number): Uint8Array {
    let [first = new Uint8Array()] = this.#pieces;
    if (first.length < length) {
      first = concatBytes(...this.#pieces.splice(0));
      this.#pieces.push(first);
    }
    return first.subarray(0, length);
  }

  #drop(length: number): void {
    const [first = new Uint8Array(), ...others] = this.#pieces.splice(0);
    this.#bytes -= length;
    if (first.length > length) this.#pieces.push(first.subarray(length));
    this.#pieces.push(...others);
  }
}
