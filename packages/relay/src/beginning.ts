import {
  byteToRoomConfig,
  deriveRoomId,
  type Hello,
  type LinkConfig,
  type Right,
  type RoomConfig,
  type RoomId,
  type RoomRef,
  roomConfigToByte,
} from '@mangrove/protocol';
import type { Fleet } from './fleet/fleet.js';
import type { SharedHost } from './fleet/shared-room.js';
import { OpenedRoom } from './opened-room.js';

const DEFAULT_CONFIG: RoomConfig = { history: 'current', encrypted: false };

/** How a room of a name begins: with the configuration that the first who may write opens it with, and which is kept [ID1]. */
export class Beginning {
  readonly #name: string;
  readonly #host: SharedHost;
  readonly #fleet: Fleet | undefined;
  #opened: OpenedRoom | undefined;
  #fixing: Promise<void> | undefined;

  constructor(name: string, host: SharedHost, fleet: Fleet | undefined) {
    this.#name = name;
    this.#host = host;
    this.#fleet = fleet;
  }

  /** Undefined where the room has not begun. */
  get opened(): OpenedRoom | undefined {
    return this.#opened;
  }

  /** Opens a room that has begun before. Throws `NAME_INVALID`. */
  async restore(): Promise<void> {
    const row = await this.#host.ports.environment.getMeta(this.#configKey());
    const config = row?.[0] === undefined ? undefined : servedConfig(row[0]);
    if (config !== undefined) this.#open(config);
    else await this.#lookElsewhere();
  }

  /** What a fleet calls the room. */
  get log(): RoomId {
    return deriveRoomId(this.#host.ports.hash, this.#name, DEFAULT_CONFIG);
  }

  /** Which room a hello is about. */
  configFor(hello: Hello | undefined): LinkConfig {
    const { limits } = this.#host.ports;
    if (this.#opened !== undefined) return { room: this.#opened.ref, roomConfig: this.#opened.config, limits };
    const roomConfig = (hello && servedConfig(hello.config)) ?? DEFAULT_CONFIG;
    return { room: this.#refOf(roomConfig), roomConfig, limits };
  }

  /** The room, under whatever configuration: the first who may write decides, and whoever comes meanwhile waits. Undefined for a reader before that. */
  async begin(rights: readonly Right[], config: RoomConfig): Promise<OpenedRoom | undefined> {
    if (this.#opened !== undefined) return this.#opened;
    if (rights.includes('write')) {
      this.#fixing ??= this.#fix(config).finally(() => {
        this.#fixing = undefined;
      });
    }
    await this.#fixing;
    if (this.#opened === undefined) await this.#lookElsewhere();
    return this.#opened;
  }

  async #fix(config: RoomConfig): Promise<void> {
    await this.#note((await this.#fleet?.begin(this.log, config)) ?? config);
  }

  /** Another relay of the fleet may have begun the room. */
  async #lookElsewhere(): Promise<void> {
    const config = await this.#fleet?.configOf(this.log);
    if (config !== undefined && this.#opened === undefined) await this.#note(config);
  }

  async #note(config: RoomConfig): Promise<void> {
    await this.#host.ports.environment.putMeta(this.#configKey(), Uint8Array.of(roomConfigToByte(config)));
    if (this.#opened === undefined) this.#open(config);
  }

  #open(config: RoomConfig): void {
    this.#opened = new OpenedRoom(this.#host, this.#refOf(config), config, (...room) =>
      this.#fleet?.share(...room, this.log),
    );
  }

  #refOf(config: RoomConfig): RoomRef {
    const { hash } = this.#host.ports;
    return { hash, roomId: deriveRoomId(hash, this.#name, config), history: config.history };
  }

  /** A hash stands for the name, so that any name makes a key of one length. */
  #configKey(): string {
    return configKeyOf(this.log);
  }
}

/** Where the configuration is kept of the room whose name has this id by default. */
export const configKeyOf = (idByDefault: RoomId): string => `room:${idByDefault}`;

/** Undefined for a configuration that says what this relay knows nothing of: a room under it is one that nobody could open. */
function servedConfig(byte: number): RoomConfig | undefined {
  const config = byteToRoomConfig(byte);
  return config?.encrypted === false ? config : undefined;
}
