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
  /** What the relay has said to it. */
  readonly heard: readonly RelayMessage[];
  #seq = 0;

  private constructor(
    world: ClientWorld,
    keys: ReturnType<ClientWorld['keys']>,
    say: (message: ReplicaMessage) => void,
    heard: readonly RelayMessage[],
  ) {
    this.heard = heard;
    const { hash, roomId } = roomRef();
    this.replica = deriveReplicaId(hash, roomId, keys.publicKey);
    this.#world = world;
    this.#keys = keys;
    this.#say = say;
  }

  static async join(world: ClientWorld): Promise<Member> {
    const { roomId } = roomRef();
    const keys = world.keys();
    const [told, remembered] = [new LinkMemory(), new LinkMemory()];
    const heard: RelayMessage[] = [];
    const find = (kind: RelayMessage['kind']): RelayMessage | undefined =>
      heard.find((message) => message.kind === kind);
    const room = await world.relay.open('team');
    const link = room.connect({
      origin: undefined,
      send: (frame: Uint8Array) => void heard.push(bytesToRelayMessage(frame, remembered)),
      close: () => {},
      bufferedBytes: () => 0,
      drained: () => Promise.resolve(),
    });
    const say = (message: ReplicaMessage): void => void link.receive(messageToBytes(message, told));
    await world.until('the welcome', () => find('welcome') !== undefined);
    const { relayKey, storeId, challenge } = find('welcome') as RelayMessage & { kind: 'welcome' };
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
    await world.until('the admission', () => find('admitted') !== undefined);
    return new Member(world, keys, say, heard);
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
    this.repeat(delta);
    return delta;
  }

  /** Pushes what it has pushed before. */
  repeat({ bytes }: Delta): void {
    this.#say({ kind: 'push', repair: false, deltas: [bytes] });
  }
}

/** A context that claims to have seen all that these have written below a stamp. */
export function reaching(replicas: readonly ReplicaId[], below: number): Context {
  return { stamps: new Map([...replicas].sort().map((replica) => [replica, (below - 1) as never])), dots: [] };
}
