import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { MARK } from '../load/writer.mjs';
import { Client, joined } from './client.mjs';

const TYPE = { sync: 0, auth: 2, syncReply: 4 };
const TOKEN = 0;
const STEP_1 = 0;
const STEP_2 = 1;
const UPDATE = 2;
const NOTHING = new Uint8Array([0]);

/** Hocuspocus merges what comes in one turn of its event loop, so edits are counted by their marks. */
export class HocuspocusClient extends Client {
  static echoes = true;
  #nameBytes;

  static path() {
    return '/';
  }

  enter(reads) {
    this.#nameBytes = 1 + this.room.length;
    this.connection.send(
      this.#message(TYPE.auth, (encoder) => {
        encoding.writeVarUint(encoder, TOKEN);
        encoding.writeVarString(encoder, 'anybody');
        encoding.writeVarString(encoder, '4.8.0');
      }),
    );
    this.connection.send(this.#syncMessage(STEP_1, NOTHING));
    return new Promise((resolve) => {
      this.connection.onMessage = (bytes) => {
        const type = bytes[this.#nameBytes];
        if (type !== TYPE.sync && type !== TYPE.syncReply) return;
        const kind = bytes[this.#nameBytes + 1];
        if (kind === STEP_2) resolve();
        if (reads && kind !== STEP_1) this.onUpdates([contentOf(bytes, this.#nameBytes + 2)]);
        else if (kind === UPDATE) this.onDeltas(countMarks(bytes));
      };
    });
  }

  messageOf(updates) {
    return this.#syncMessage(UPDATE, joined(updates));
  }

  #syncMessage(kind, content) {
    return this.#message(TYPE.sync, (encoder) => {
      encoding.writeVarUint(encoder, kind);
      encoding.writeVarUint8Array(encoder, content);
    });
  }

  #message(type, write) {
    return encoding.encode((encoder) => {
      encoding.writeVarString(encoder, this.room);
      encoding.writeVarUint(encoder, type);
      write(encoder);
    });
  }
}

function countMarks(bytes) {
  let count = 0;
  for (let at = bytes.indexOf(MARK); at >= 0; at = bytes.indexOf(MARK, at + MARK.length)) count++;
  return count;
}

function contentOf(bytes, at) {
  return decoding.readVarUint8Array(decoding.createDecoder(new Uint8Array(bytes.subarray(at))));
}
