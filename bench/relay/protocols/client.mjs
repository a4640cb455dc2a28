import { Connection, frameOf } from '../load/connection.mjs';
import { mergeUpdates, Writer } from '../load/writer.mjs';

/** A few ms of work. */
const PREPARED_AT_A_TIME = 50;

/**
 * One connection to a room, by the protocol of one contestant. What it will say is made before the clock runs; of what it hears, deltas are counted
 * and nothing is decoded, but for a late joiner, who reads.
 */
export class Client {
  /** Whether the server sends a delta back to who wrote it. */
  static echoes = false;
  onDeltas = () => {};
  /** Of a late joiner: Yjs updates as they come. */
  onUpdates = () => {};
  connection;
  writer;
  room;
  seed;
  #frames = [];
  #next = 0;

  static async join({ port, room, seed }) {
    const client = new this();
    await client.#open(port, room, seed);
    return client;
  }

  /** A late joiner, who hands on the Yjs updates that come and then leaves. */
  static async read({ port, room, hear }) {
    const client = new this();
    client.onUpdates = hear;
    await client.#open(port, room, 0, true);
    return client;
  }

  async #open(port, room, seed, reads = false) {
    this.room = room;
    this.seed = seed;
    this.connection = await Connection.open(port, this.constructor.path(room));
    await this.enter(reads);
  }

  /** Makes the next edits of this writer, `perMessage` in each message. */
  async prepare(count, perMessage = 1) {
    this.writer ??= new Writer(this.seed);
    this.#frames = [];
    this.#next = 0;
    for (let made = 0; made < count; made += perMessage) {
      const updates = this.writer.write(Math.min(perMessage, count - made));
      this.#frames.push(frameOf(this.messageOf(updates)));
      if (made % PREPARED_AT_A_TIME === 0) await new Promise(setImmediate);
    }
  }

  get left() {
    return this.#frames.length - this.#next;
  }

  /** False when nothing is left to say. */
  sendNext() {
    const frame = this.#frames[this.#next];
    if (frame === undefined) return false;
    this.#frames[this.#next++] = undefined;
    this.connection.sendFrame(frame);
    return true;
  }

  end() {
    this.connection.end();
  }
}

/** Of a protocol whose messages carry Yjs updates. */
export const joined = (updates) => (updates.length === 1 ? updates[0] : mergeUpdates(updates));
