import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import {
  bytesToRelayMessage,
  defaultLimits,
  deriveKeyId,
  deriveReplicaId,
  deriveRoomId,
  EMPTY_CONTEXT,
  FrameJoiner,
  helloMessage,
  hlcFromMs,
  isStub,
  LinkMemory,
  makeUnsignedDelta,
  messageToBytes,
  messageToFrames,
  PROTOCOL_VERSION,
  signDelta,
  tickHlc,
} from '@mangrove/protocol';
import { WebSocket } from 'ws';

const CONFIG = { history: 'current', encrypted: false };
const hash = (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest());

/** The end of its signature: to look at the whole of what a flooder writes would be the measuring process's own work. */
const nameOf = (bytes) => Buffer.from(bytes.subarray(-12)).toString('latin1');

/** A writer that speaks the wire and nothing more. `onDelta(name)` for each delta of others, `onMessage` for everything. */
export class Peer {
  onDelta = () => {};
  onMessage = () => {};
  closed;
  #socket;
  #joiner = new FrameJoiner(defaultLimits);
  #heard = new LinkMemory();
  #told = new LinkMemory();
  #keys = generateKeyPairSync('ed25519');
  #roomId;
  #replica;
  #publicKey;
  #seq = 0;
  #clock = 0;

  /** Resolves when it is admitted and has caught up. */
  static async join(url, room) {
    const peer = new Peer();
    peer.#roomId = deriveRoomId(hash, room, CONFIG);
    peer.#publicKey = new Uint8Array(peer.#keys.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
    peer.#replica = deriveReplicaId(hash, peer.#roomId, peer.#publicKey);
    const socket = new WebSocket(`${url.replace('http', 'ws')}/parties/relay/${room}`, { perMessageDeflate: false });
    peer.#socket = socket;
    socket.on('error', () => {});
    peer.closed = new Promise((resolve) => socket.on('close', resolve));
    await new Promise((resolve) => {
      socket.on('message', (data, isBinary) => {
        if (!isBinary) return;
        const bytes = peer.#joiner.add(new Uint8Array(data));
        if (bytes === undefined) return;
        const message = bytesToRelayMessage(bytes, peer.#heard);
        peer.#take(message);
        if (message.kind === 'caught-up') resolve();
      });
    });
    return peer;
  }

  get replica() {
    return this.#replica;
  }

  /** Bytes that the socket has not taken yet. */
  get waitingBytes() {
    return this.#socket.bufferedAmount;
  }

  /** Pushes one small delta, and gives its name. */
  push() {
    this.#clock = tickHlc(this.#clock, Date.now());
    const unsigned = makeUnsignedDelta(
      hash,
      this.#roomId,
      {
        replica: this.#replica,
        seq: ++this.#seq,
        keyId: deriveKeyId(hash, this.#roomId, { kind: 'document', collection: '', id: 'notes' }),
        hlc: this.#clock,
        writtenAt: this.#clock,
        prev: hlcFromMs(0),
        context: EMPTY_CONTEXT,
        flags: 0,
        nonces: [],
      },
      new Uint8Array(randomBytes(40)),
    );
    const delta = signDelta(unsigned, this.#sign(unsigned.message));
    this.say({ kind: 'push', repair: false, deltas: [delta.bytes] });
    return nameOf(delta.bytes);
  }

  presence() {
    const keyId = deriveKeyId(hash, this.#roomId, { kind: 'document', collection: '', id: 'notes' });
    this.say({ kind: 'presence', replica: this.#replica, tab: 1, keyId, state: new Uint8Array(randomBytes(60)) });
  }

  ping() {
    this.#socket.send('ping', { binary: false });
  }

  say(message) {
    for (const frame of messageToFrames(messageToBytes(message, this.#told), defaultLimits)) this.frame(frame);
  }

  frame(frame) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(frame);
  }

  end() {
    this.#socket.terminate();
  }

  #sign(message) {
    return new Uint8Array(sign(null, message, this.#keys.privateKey));
  }

  #take(message) {
    this.onMessage(message);
    if (message.kind === 'welcome') {
      const { relayKey, storeId, challenge } = message;
      this.say({
        kind: 'hello',
        version: PROTOCOL_VERSION,
        roomId: this.#roomId,
        config: 0,
        publicKey: this.#publicKey,
        token: undefined,
        cursor: undefined,
        window: defaultLimits.windowBytes,
        proof: this.#sign(helloMessage(this.#roomId, relayKey, storeId, challenge)),
      });
    } else if (message.kind === 'deltas') {
      const bytes = message.deltas.reduce((sum, { length }) => sum + length, 0);
      if (bytes > 0) this.say({ kind: 'credit', bytes });
      for (const entry of message.deltas) if (!isStub(entry)) this.onDelta(nameOf(entry));
    }
  }
}
