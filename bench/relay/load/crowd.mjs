import { within } from '../../support/clock.mjs';
import { protocols } from '../protocols/index.mjs';
import { LoadedRoom } from './loaded-room.mjs';
import { Reader } from './writer.mjs';

const JOINS_AT_A_TIME = 32;
const LATE_MS_MAX = 120_000;

/** The clients of all rooms of one server. */
export class Crowd {
  #Client;
  #port;
  #rooms = [];
  #clients = [];

  async join({ protocol, port, rooms, clients }) {
    this.#Client = protocols[protocol];
    this.#port = port;
    const first = this.#rooms.length;
    this.#rooms.push(...Array.from({ length: rooms }, (_, i) => new LoadedRoom(this.#Client, `room-${first + i}`)));
    const places = this.#rooms.slice(first).flatMap((room) => Array.from({ length: clients }, () => room));
    let next = 0;
    const one = async () => {
      while (next < places.length) {
        const seed = ++next;
        const room = places[seed - 1];
        const client = await this.#Client.join({ port, room: room.name, seed });
        client.connection.onClose = () => {
          throw new Error(`the server has let a client of ${room.name} go`);
        };
        room.add(client);
        this.#clients.push(client);
      }
    };
    await Promise.all(Array.from({ length: JOINS_AT_A_TIME }, one));
  }

  /** Each client makes what it will say; servers are answered meanwhile, as they let go of who is silent. */
  async prepare({ deltas, perMessage = 1 }) {
    for (const room of this.#rooms) await room.prepare(deltas, perMessage);
  }

  /** As fast as the server takes it, `window` messages of each client under way, until the time is over or nothing is left. */
  async saturate({ ms, window }) {
    const before = this.#heard();
    const beganMs = performance.now();
    for (const room of this.#rooms) room.begin(window);
    let endedMs = Number.POSITIVE_INFINITY;
    await Promise.race([
      new Promise((resolve) => setTimeout(resolve, ms)),
      Promise.race(this.#rooms.map((room) => room.spent)).then(() => (endedMs = performance.now())),
    ]);
    const took = Math.min(performance.now(), endedMs) - beganMs;
    return { ms: took, deliveries: this.#heard() - before };
  }

  /** No more is said, and all of what was said is heard. */
  async settle() {
    for (const room of this.#rooms) room.end();
    await Promise.all(this.#rooms.map((room) => room.settled()));
  }

  /** All say what they have prepared; of room 0 the first client writes and the others read. Resolves when they have it. */
  async pour({ window }) {
    const [room] = this.#rooms;
    room.begin(window, { writers: 1 });
    await room.spent;
    room.end();
    await room.settled();
  }

  /** Evenly spread over rooms and clients. Latencies in ms, from a write until each other client of the room has it. */
  async pace({ perSecond, ms }) {
    const beganMs = performance.now();
    for (const room of this.#rooms) room.time();
    let said = 0;
    while (performance.now() - beganMs < ms) {
      const due = Math.floor(((performance.now() - beganMs) * perSecond) / 1_000);
      for (; said < due; said++) this.#rooms[said % this.#rooms.length].sayOne();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
    return { latencies: this.#rooms.flatMap((room) => room.latencies()) };
  }

  checkpoint() {
    this.#clients[0].pushCheckpoint();
    return new Promise((resolve) => setTimeout(resolve, 2_000));
  }

  /** From connecting until the text is there, in ms. */
  async late() {
    const wanted = this.#clients[0].writer.length;
    const reader = new Reader();
    let waiting = [];
    let joining;
    const beganMs = performance.now();
    const having = new Promise((resolve) => {
      const take = () => {
        reader.apply(waiting);
        waiting = [];
        if (reader.length === wanted) resolve(performance.now() - beganMs);
      };
      const hear = (updates) => {
        if (waiting.length === 0) setImmediate(take);
        for (const update of updates) waiting.push(update);
      };
      joining = this.#Client.read({ port: this.#port, room: this.#rooms[0].name, hear });
    });
    const client = await within(LATE_MS_MAX, 'joining late', joining);
    const ms = await within(LATE_MS_MAX, 'reading all', having);
    client.end();
    return { ms };
  }

  end() {
    for (const client of this.#clients) client.end();
  }

  #heard() {
    return this.#rooms.reduce((sum, { deliveries }) => sum + deliveries, 0);
  }
}
