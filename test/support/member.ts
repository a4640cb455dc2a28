import {
  bodyToBytes,
  bytesToRelayMessage,
  type ReplicaMessage,
  type Context,
  type Delta,
  type DeltaHeader,
  deriveKeyId,
  deriveReplicaId,
  EMPTY_CONTEXT,
  helloMessage,
  hlcFromMs,
  type KeyName,
  LinkMemory,
  makeUnsignedDelta,
  messageToBytes,
  PROTOCOL_VERSION,
  type RelayMessage,
  type ReplicaId,
  signDelta,
} from '@mangrove/protocol';
import type { ClientWorld } from './client-world.js';
import { roomRef } from './client-world.js';

export interface Claim extends Partial<DeltaHeader> {
  readonly name: KeyName;
  readonly payload: Uint8Array;
}

/** Somebody whom the relay of a world has admitted to the room `team`, and whose client is of its own making. */
export class Member {
  readonly replica: ReplicaId;
  readonly #world: ClientWorld;
  readonly #keys;
  readonly #say: (message: ReplicaMessage) => void;
  #seq = 0;

  private constructor(
    world: ClientWorld,
    keys: ReturnType<ClientWorld['keys']>,
    say: (message: ReplicaMessage) => void,
  ) {
    const { hash, roomId } = roomRef();
    this.replica = deriveReplicaId(hash, roomId, keys.publicKey);
    this.#world = world;
    this.#keys = keys;
    this.#say = say;
  }

  static async join(world: ClientWorld): Promise<Member> {
    const { roomId } = roomRef();
    const keys = world.keys();
    const [told, heard] = [new LinkMemory(), new LinkMemory()];
    let welcome: (RelayMessage & { kind: 'welcome' }) | undefined;
    let isAdmitted = false;
    const room = await world.relay.open('team');
    const link = room.connect({
      origin: undefined,
      send: (frame: Uint8Array) => {
        const message = bytesToRelayMessage(frame, heard);
        if (message.kind === 'welcome') welcome = message;
        isAdmitted ||= message.kind === 'admitted';
      },
      close: () => {},
      bufferedBytes: () => 0,
      drained: () => Promise.resolve(),
    });
    const say = (message: ReplicaMessage): void => void link.receive(messageToBytes(message, told));
    await world.until('the welcome', () => welcome !== undefined);
    const { relayKey, storeId, challenge } = welcome as NonNullable<typeof welcome>;
    say({
      kind: 'hello',
      version: PROTOCOL_VERSION,
      roomId,
      config: 0,
      publicKey: keys.publicKey,
      token: undefined,
      cursor: undefined,
      window: 1_000_000,
      proof: keys.sign(helloMessage(roomId, relayKey, storeId, challenge)),
    });
    await world.until('the admission', () => isAdmitted);
    return new Member(world, keys, say);
  }

  /** Signs what it likes, and pushes it. */
  push({ name, payload, ...claim }: Claim): Delta {
    const { hash, roomId } = roomRef();
    const hlc = claim.hlc ?? hlcFromMs(this.#world.nowMs);
    const header: DeltaHeader = {
      replica: this.replica,
      seq: ++this.#seq,
      keyId: deriveKeyId(hash, roomId, name),
      hlc,
      writtenAt: hlc,
      prev: hlcFromMs(0),
      context: EMPTY_CONTEXT,
      flags: 0,
      nonces: [],
      ...claim,
    };
    const unsigned = makeUnsignedDelta(hash, roomId, header, bodyToBytes({ name, payload }));
    const delta = signDelta(unsigned, this.#keys.sign(unsigned.message));
    this.#say({ kind: 'push', repair: false, deltas: [delta.bytes] });
    return delta;
  }
}

/** A context that claims to have seen all that these have written below a stamp. */
export function reaching(replicas: readonly ReplicaId[], below: number): Context {
  return { stamps: new Map([...replicas].sort().map((replica) => [replica, (below - 1) as never])), dots: [] };
}
