import { defaultLimits, type Limits } from '@mangrove/protocol';
import { type Dial, federationOf } from '../../packages/relay/src/federation/federation.js';
import type { RelayPorts } from '../../packages/relay/src/ports.js';
import { RelayRoom } from '../../packages/relay/src/room.js';
import { nodeHash } from '../../packages/relay/src/runtimes/node-crypto.js';
import { RoomWorld } from './relay-room.js';

const SECRET = 'what all relays of a test know';

/** One room at several relays that are peers of each other: real rooms and bridges, and no sockets between. */
export class LinkedRooms {
  readonly worlds: readonly RoomWorld[];
  readonly ports: readonly RelayPorts[];
  readonly rooms: RelayRoom[] = [];
  /** How many connections were ever made to each of them. */
  readonly dials: number[];
  isCut = false;
  /** What lies in the buffers of sockets between relays. */
  bufferedBytes = 0;
  readonly #open = new Set<() => void>();

  /** `linked`: for each relay the numbers of those that it dials. */
  static async open(linked: readonly (readonly number[])[], limits: Partial<Limits> = {}): Promise<LinkedRooms> {
    const linkedRooms = new LinkedRooms(linked, { ...defaultLimits, checkMsMin: 40, headSoonMs: 10, ...limits });
    for (const ports of linkedRooms.ports) linkedRooms.rooms.push(await RelayRoom.open('room', ports));
    return linkedRooms;
  }

  private constructor(linked: readonly (readonly number[])[], limits: Limits) {
    this.worlds = linked.map(() => new RoomWorld({ limits }));
    this.dials = linked.map(() => 0);
    this.ports = linked.map((peers, i) => {
      const { ports } = this.worlds[i] as RoomWorld;
      const options = { peers: peers.map((peer) => `ws://${peer}.test`), peerToken: SECRET };
      return {
        ...ports,
        identity: { ...ports.identity, relayKey: new Uint8Array(32).fill(100 + i), storeId: new Uint8Array(8).fill(i) },
        federation: federationOf(options, nodeHash, this.#dial, `own secret of ${i}`),
      };
    });
  }

  room(index: number): RelayRoom {
    return this.rooms[index] as RelayRoom;
  }

  pass(ms: number): void {
    for (const world of this.worlds) world.nowMs += ms;
    for (const room of this.rooms) room.sweep();
  }

  cut(): void {
    this.isCut = true;
    for (const end of [...this.#open]) end();
  }

  async close(): Promise<void> {
    for (const room of this.rooms) await room.close();
  }

  readonly #dial: Dial = (url, _, events) => {
    const index = Number(/^ws:\/\/(\d)/.exec(url)?.[1]);
    this.dials[index] = (this.dials[index] ?? 0) + 1;
    let isOpen = true;
    // Frames arrive in order, in turns of their own.
    const inTurn = (run: () => void): void => void setImmediate(() => isOpen && run());
    const end = (): void => {
      if (!isOpen) return;
      isOpen = false;
      this.#open.delete(end);
      setImmediate(() => {
        link?.closed();
        events.closed(1006, 'cut');
      });
    };
    const link = this.isCut
      ? undefined
      : this.room(index).connect({
          send: (frame) => inTurn(() => events.frame(frame.slice())),
          close: end,
          bufferedBytes: () => this.bufferedBytes,
          drained: async () => {},
          origin: undefined,
        });
    this.#open.add(end);
    if (link === undefined) end();
    return {
      send: (frame) => inTurn(() => void link?.receive(frame.slice())),
      bufferedBytes: () => this.bufferedBytes,
      pause: () => {},
      resume: () => {},
      close: () => {
        isOpen = false;
        this.#open.delete(end);
        setImmediate(() => link?.closed());
      },
    };
  };
}
