import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import {
  bodyToBytes,
  bytesToDelta,
  bytesToRelayMessage,
  bytesToStub,
  checkpointPayloadToBytes,
  countParts,
  defaultLimits,
  deriveKeyId,
  deriveReplicaId,
  deriveRoomId,
  EMPTY_CONTEXT,
  FLAG,
  FrameJoiner,
  HLC_ZERO,
  helloMessage,
  hlcFromMs,
  isStub,
  joinParts,
  LinkMemory,
  makeContext,
  makeUnsignedDelta,
  messageToBytes,
  messageToFrames,
  PART_BYTES,
  PROTOCOL_VERSION,
  signDelta,
  toEntry,
  trieKeyOf,
  updateOfDelta,
} from '@mangrove/protocol';
import { Client } from './client.mjs';

const CONFIG = { history: 'current', encrypted: false };
const NAME = { kind: 'document', collection: '', id: 'notes' };
const DELTAS = 7;
const WANT = 18;
const COVERAGE_BYTES = 32;
/** A first edit of the day lies so far back, so that none is ahead of the clock. */
const AGE_MS = 3_600_000;
const hash = (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest());

/** Deltas are signed, and each is told by its difference from the one before, as the shipped client tells them. */
export class MangroveClient extends Client {
  #joiner = new FrameJoiner(defaultLimits);
  #heard = new LinkMemory();
  #told = new LinkMemory();
  #keys = generateKeyPairSync('ed25519');
  #publicKey = new Uint8Array(this.#keys.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
  #nonce = randomBytes(4).readUInt32BE();
  #roomId;
  #keyId;
  #replica;
  #seq = 0;
  #startMs = Date.now() - AGE_MS;
  #prev = HLC_ZERO;
  #due = 0;
  #deltaBytes = 0;
  /** What was pushed in parts, by trie key, and what comes so. */
  #owed = new Map();
  #incoming = new Map();

  static path(room) {
    return `/parties/relay/${room}`;
  }

  enter(reads) {
    this.#roomId = deriveRoomId(hash, this.room, CONFIG);
    this.#keyId = deriveKeyId(hash, this.#roomId, NAME);
    this.#replica = deriveReplicaId(hash, this.#roomId, this.#publicKey);
    return new Promise((resolve, reject) => {
      let isIn = false;
      this.connection.onClose = () => reject(new Error('the relay has let a client go'));
      this.connection.onMessage = (frame) => {
        if (isIn && !reads && frame[0] === DELTAS) return this.#count(frame);
        const bytes = this.#joiner.add(new Uint8Array(frame));
        if (bytes === undefined || (isIn && !reads && bytes[0] !== WANT)) return;
        const message = bytesToRelayMessage(bytes, this.#heard);
        if (message.kind === 'welcome') this.#say(this.#hello(message));
        else if (message.kind === 'fault') reject(new Error(JSON.stringify(message)));
        else if (message.kind === 'want') this.#serve(message);
        else if (message.kind === 'part') this.#part(message);
        else if (message.kind === 'deltas' && reads) this.#read(message.deltas);
        else if (message.kind === 'caught-up') {
          isIn = true;
          resolve();
        }
      };
    });
  }

  messageOf(updates) {
    const deltas = updates.map((update) => this.#delta(bodyToBytes({ name: NAME, payload: update })).bytes);
    this.#deltaBytes = deltas[0].length;
    return messageToBytes({ kind: 'push', repair: false, deltas }, this.#told);
  }

  /** Takes the place of everything that this client has written. */
  pushCheckpoint() {
    const payload = checkpointPayloadToBytes({ coverage: new Uint8Array(COVERAGE_BYTES), update: this.writer.state });
    const context = makeContext(new Map([[this.#replica, this.#prev]]), []);
    const delta = this.#delta(bodyToBytes({ name: NAME, payload }), { context, flags: FLAG.checkpoint });
    this.#owed.set(String(trieKeyOf(delta)), delta);
    this.#say({ kind: 'push', repair: false, deltas: [toEntry(hash, this.#roomId, delta.bytes)] });
  }

  #delta(body, { context = EMPTY_CONTEXT, flags = 0 } = {}) {
    const seq = ++this.#seq;
    const hlc = hlcFromMs(this.#startMs + 30 * seq);
    const header = { replica: this.#replica, seq, keyId: this.#keyId, hlc, writtenAt: hlc, prev: this.#prev };
    const nonces = flags === 0 ? [this.#nonce] : [];
    const unsigned = makeUnsignedDelta(hash, this.#roomId, { ...header, context, flags, nonces }, body);
    this.#prev = hlc;
    return signDelta(unsigned, this.#sign(unsigned.message));
  }

  #sign(message) {
    return new Uint8Array(sign(null, message, this.#keys.privateKey));
  }

  #hello({ relayKey, storeId, challenge }) {
    return {
      kind: 'hello',
      version: PROTOCOL_VERSION,
      roomId: this.#roomId,
      config: 0,
      publicKey: this.#publicKey,
      token: undefined,
      cursor: undefined,
      window: defaultLimits.windowBytes,
      proof: this.#sign(helloMessage(this.#roomId, relayKey, storeId, challenge)),
    };
  }

  #say(message) {
    for (const frame of messageToFrames(messageToBytes(message, this.#told), defaultLimits))
      this.connection.send(frame);
  }

  /** How many there are stands at the beginning of the message; all are about as large as the own ones. */
  #count(frame) {
    let counted = 0;
    for (let at = 1, bits = 0; ; at++, bits += 7) {
      counted |= (frame[at] & 0x7f) << bits;
      if (frame[at] < 0x80) break;
    }
    const count = counted >> 2;
    if (count === 0) return;
    this.#grant(count * this.#deltaBytes);
    this.onDeltas(count);
  }

  #grant(bytes) {
    this.#due += bytes;
    if (this.#due < defaultLimits.windowBytes / 4) return;
    this.#say({ kind: 'credit', bytes: this.#due });
    this.#due = 0;
  }

  #read(entries) {
    this.#grant(entries.reduce((sum, { length }) => sum + length, 0));
    const updates = [];
    for (const entry of entries) {
      if (!isStub(entry)) updates.push(updateOfDelta(bytesToDelta(hash, this.#roomId, entry)));
      else {
        const stub = bytesToStub(hash, this.#roomId, entry);
        this.#incoming.set(String(trieKeyOf(stub)), { stub, parts: [] });
        this.#say({ kind: 'want', wanted: [{ trieKey: trieKeyOf(stub), from: 0, count: countParts(stub.bodyBytes) }] });
      }
    }
    if (updates.length > 0) this.onUpdates(updates);
  }

  #part({ trieKey, bytes }) {
    const coming = this.#incoming.get(String(trieKey));
    coming.parts.push(bytes);
    if (coming.parts.length < countParts(coming.stub.bodyBytes)) return;
    // Checks the hashes of all parts as it makes the id.
    const delta = bytesToDelta(hash, this.#roomId, joinParts(coming.stub, coming.parts));
    this.onUpdates([updateOfDelta(delta)]);
  }

  #serve({ wanted }) {
    for (const { trieKey, from, count } of wanted) {
      const { body } = this.#owed.get(String(trieKey));
      for (let index = from; index < from + count; index++) {
        const bytes = body.subarray(index * PART_BYTES, (index + 1) * PART_BYTES);
        this.#say({ kind: 'part', trieKey, index, bytes });
      }
    }
  }
}
