import { versionOf } from '../../support/machine.mjs';
// The package has it in its folder but not among its exports.
import { Negentropy, NegentropyStorageVector } from '../../node_modules/nostr-tools/lib/esm/nip77.js';
import { heldBy, itemId, LEFT, RIGHT, timed } from '../workload.mjs';

/** The frame limit is off, which is its best case: one frame a message, as few round trips as there can be. */
const NO_LIMIT = 2 ** 31;
const SECOND_OF_FIRST = 1_600_000_000;

export const negentropy = {
  id: 'negentropy',
  name: 'negentropy',
  about:
    'protocol 1 as in nostr-tools (NIP-77, JavaScript, vector storage); one item a second; no frame limit, which is its fewest round trips',
  carries: 'ids',
  versions: () => ({ 'nostr-tools': versionOf('nostr-tools') }),
  sources: ['peers/negentropy.mjs'],
  cannot: () => undefined,
  run({ items }) {
    const left = storageOf(heldBy(LEFT, items));
    const right = storageOf(heldBy(RIGHT, items));
    const have = [];
    const need = [];
    const { result, cpuMs } = timed(() => {
      const initiator = new Negentropy(left, NO_LIMIT);
      const responder = new Responder(right, NO_LIMIT);
      let bytes = 0;
      let roundTrips = 0;
      let message = initiator.initiate();
      while (message !== null) {
        const answer = responder.reconcile(message);
        roundTrips++;
        // Its messages are hex text, as Nostr's are JSON; counted is what they stand for.
        bytes += message.length / 2 + (answer?.length ?? 0) / 2;
        if (answer === null) break;
        message = initiator.reconcile(
          answer,
          (id) => have.push(id),
          (id) => need.push(id),
        );
      }
      return { bytes, roundTrips };
    });
    check(have, items, LEFT);
    check(need, items, RIGHT);
    return { ...result, cpuMs };
  },
};

/**
 * The package has the initiator alone, a Nostr client's side. The other role differs in one thing: a list of ids is answered with the
 * own list of that range, and nothing is concluded from it.
 */
class Responder extends Negentropy {
  reconcile(message) {
    const query = readMessage(message, this);
    const out = [Buffer.from([VERSION])];
    this.lastTimestampIn = this.lastTimestampOut = 0;
    const size = this.storage.size();
    let from = 0;
    let lastBound = this._bound(0);
    let skips = false;
    const unskip = () => {
      if (skips) out.push(this.encodeBound(lastBound).unwrap(), varInt(SKIP));
      skips = false;
    };
    while (!query.isEnd()) {
      const bound = query.bound();
      const mode = query.varInt();
      const to = this.storage.findLowerBound(from, size, bound);
      if (mode === SKIP) {
        skips = true;
      } else if (mode === FINGERPRINT) {
        const isEqual = Buffer.compare(query.bytes(16), this.storage.fingerprint(from, to)) === 0;
        if (isEqual) skips = true;
        else {
          unskip();
          const parts = collector();
          this.splitRange(from, to, bound, parts);
          out.push(...parts.parts);
        }
      } else {
        query.bytes(32 * query.varInt());
        unskip();
        out.push(this.encodeBound(bound).unwrap(), varInt(LIST), varInt(to - from));
        this.storage.iterate(from, to, (item) => out.push(item.id));
      }
      from = to;
      lastBound = bound;
    }
    return Buffer.concat(out).toString('hex');
  }
}

const VERSION = 0x61;
const SKIP = 0;
const FINGERPRINT = 1;
const LIST = 2;

function readMessage(message, negentropy) {
  let rest = Buffer.from(message, 'hex').subarray(1);
  const bytes = (length) => {
    const taken = rest.subarray(0, length);
    rest = rest.subarray(length);
    return taken;
  };
  const readVarInt = () => {
    let value = 0;
    for (;;) {
      const [byte] = bytes(1);
      value = value * 128 + (byte & 127);
      if (byte < 128) return value;
    }
  };
  const bound = () => {
    const coded = readVarInt();
    let timestamp = coded === 0 ? Number.MAX_VALUE : coded - 1;
    if (negentropy.lastTimestampIn === Number.MAX_VALUE) timestamp = Number.MAX_VALUE;
    else if (timestamp !== Number.MAX_VALUE) timestamp += negentropy.lastTimestampIn;
    negentropy.lastTimestampIn = timestamp;
    return { timestamp, id: Uint8Array.from(bytes(readVarInt())) };
  };
  return { isEnd: () => rest.length === 0, bytes, varInt: readVarInt, bound };
}

/** What `splitRange` writes to, which knows buffers of its own kind. */
function collector() {
  const parts = [];
  return { parts, extend: (part) => parts.push(Buffer.from(part instanceof Uint8Array ? part : part.unwrap())) };
}

function varInt(value) {
  const bytes = [value & 127];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift((rest & 127) | 128);
  return Buffer.from(bytes);
}

function storageOf(indices) {
  const storage = new NegentropyStorageVector();
  for (const index of indices) storage.insert(SECOND_OF_FIRST + index, itemId(index).toString('hex'));
  storage.seal();
  return storage;
}

function check(ids, items, side) {
  const expected = new Set(items.flatMap((item, i) => (item.side === side ? [itemId(i).toString('hex')] : [])));
  const found = new Set(ids);
  if (found.size !== expected.size || [...found].some((id) => !expected.has(id)))
    throw new Error(`negentropy found ${found.size} of ${expected.size} differences`);
}
