import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { Client, joined } from './client.mjs';

const SYNC = 0;
const STEP_1 = 0;
const STEP_2 = 1;
const UPDATE = 2;
/** The state vector of an empty document. */
const NOTHING = new Uint8Array([0]);

const messageOf = (kind, content) =>
  encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, SYNC);
    encoding.writeVarUint(encoder, kind);
    encoding.writeVarUint8Array(encoder, content);
  });

/** y-protocols over a WebSocket, as y-websocket and y-partyserver speak it. */
export class SyncClient extends Client {
  static echoes = true;

  static path(room) {
    return `/${room}`;
  }

  enter(reads) {
    return new Promise((resolve) => {
      this.connection.onMessage = (bytes) => {
        if (bytes[0] !== SYNC) return;
        if (bytes[1] === STEP_2) resolve();
        if (reads && bytes[1] !== STEP_1) this.onUpdates([contentOf(bytes)]);
        else if (bytes[1] === UPDATE) this.onDeltas(1);
      };
      this.connection.send(messageOf(STEP_1, NOTHING));
    });
  }

  messageOf(updates) {
    return messageOf(UPDATE, joined(updates));
  }
}

function contentOf(bytes) {
  const decoder = decoding.createDecoder(new Uint8Array(bytes));
  decoding.readVarUint(decoder);
  decoding.readVarUint(decoder);
  return decoding.readVarUint8Array(decoder);
}

export class PartyClient extends SyncClient {
  static path(room) {
    return `/parties/rooms/${room}`;
  }
}
