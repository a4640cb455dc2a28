import { Client, joined } from './client.mjs';

/** The floor: a message is an update and nothing else. */
export class BareClient extends Client {
  static path(room) {
    return `/rooms/${room}`;
  }

  async enter(reads) {
    this.connection.onMessage = (bytes) => (reads ? this.onUpdates([new Uint8Array(bytes)]) : this.onDeltas(1));
  }

  messageOf(updates) {
    return joined(updates);
  }
}
