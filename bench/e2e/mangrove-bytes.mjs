import { createHash } from 'node:crypto';
import * as encoding from 'lib0/encoding';
import {
  bodyOfDelta,
  bytesToDelta,
  bytesToRelayMessage,
  bytesToReplicaMessage,
  byteToRoomConfig,
  defaultLimits,
  deriveRoomId,
  FLAG,
  FrameJoiner,
  hasFlag,
  LinkMemory,
} from '../../packages/protocol/dist/index.js';
import { partsOfDelta as small } from '../../packages/protocol/dist/wire/delta-parts.js';
import { slotOfDelta } from '../../packages/protocol/dist/wire/link-memory.js';
import { writeToldBody } from '../../packages/protocol/dist/wire/told-body.js';
import { readFrames } from '../support/web-socket-frames.mjs';

const BINARY = 2;
/** What varUints and Yjs's references make deltas of a single key differ by. */
const SINGLE_SPREAD_BYTES = 12;
const DIRECTIONS = ['aToServer', 'serverToA', 'serverToB', 'bToServer'];

const sha256 = (bytes) => createHash('sha256').update(bytes).digest();
const varUintBytes = (value) => encoding.encode((encoder) => encoding.writeVarUint(encoder, value)).length;

/**
 * What every byte of the typing phase is for, in bytes per key and direction: rows of { purpose, aToServer, …, total }.
 *
 * Nothing is estimated: the frames the proxies saw are read with the real codec, and the parts of each message add up to its
 * length, or this throws.
 */
export function explainBytes(taps, { earlier, keys }) {
  const rows = new Map();
  for (const direction of DIRECTIONS) {
    const add = (purpose, bytes) => {
      if (!rows.has(purpose))
        rows.set(purpose, { purpose, ...Object.fromEntries(DIRECTIONS.map((d) => [d, 0])), total: 0 });
      const row = rows.get(purpose);
      row[direction] += bytes / keys;
      row.total += bytes / keys;
    };
    for (const { message, messageBytes, overheadBytes, bases } of readMessages(direction, taps, earlier)) {
      add('WebSocket frame and mask', overheadBytes);
      if (message === undefined) continue;
      add('message type', 1);
      const parts = partsOf(message, messageBytes, bases);
      for (const [purpose, bytes] of parts) add(purpose, bytes);
      const sum = parts.reduce((bytes, [, part]) => bytes + part, 1);
      if (sum !== messageBytes)
        throw new Error(`The parts of a ${message.kind} are ${sum} bytes instead of ${messageBytes}.`);
    }
  }
  return [...rows.values()].sort((a, b) => b.total - a.total);
}

/** Deltas that A pushed, and the parts of one that holds a single key: the last that was pushed. */
export function describePushes(taps, { earlier, room, keys }) {
  const roomId = deriveRoomId(sha256, room, byteToRoomConfig(0));
  const deltas = readMessages('aToServer', taps, earlier).flatMap(({ message }) =>
    message?.kind === 'push' ? message.deltas : [],
  );
  const smallest = Math.min(...deltas.map((delta) => delta.length));
  const single = deltas.findLast((delta) => delta.length < smallest + SINGLE_SPREAD_BYTES);
  const parts = partsOfDelta(single, roomId).map(([part, bytes]) => ({ part, bytes }));
  return { deltas: deltas.length, deltasPerKey: deltas.length / keys, one: { bytes: single.length, parts } };
}

/** How many messages of each kind passed, and their bytes with frames. */
export function countMessages(taps) {
  const counts = {};
  for (const direction of DIRECTIONS) {
    for (const { message, messageBytes, overheadBytes } of readMessages(direction, taps)) {
      const name = `${direction} ${message?.kind ?? 'ping or pong'}`;
      counts[name] ??= { messages: 0, bytes: 0 };
      counts[name].messages += 1;
      counts[name].bytes += overheadBytes + messageBytes;
    }
  }
  return counts;
}

/** `earlier`: what passed on the same connection before, whole frames; it is remembered by both ends. */
function readMessages(direction, taps, earlier) {
  const isUp = direction.endsWith('ToServer');
  const joiner = new FrameJoiner(defaultLimits);
  const memory = new LinkMemory();
  let waitingBytes = 0;
  const read = (list) => readFrames(Buffer.concat(list.map(({ chunk }) => chunk))).flatMap(readFrame);
  const readFrame = ({ opcode, payload, framingBytes }) => {
    if (opcode !== BINARY) return [{ messageBytes: 0, overheadBytes: framingBytes + payload.length }];
    waitingBytes += framingBytes + payload.length;
    const bytes = joiner.add(payload);
    if (bytes === undefined) return [];
    // What the message is told by: reading it puts itself there.
    const bases = new Map(Array.from({ length: 32 }, (_, slot) => [slot, memory.delta(slot)]));
    const message = isUp ? bytesToReplicaMessage(bytes, memory) : bytesToRelayMessage(bytes, memory);
    const overheadBytes = waitingBytes - bytes.length;
    waitingBytes = 0;
    return [{ message, messageBytes: bytes.length, overheadBytes, bases }];
  };
  if (earlier !== undefined) read(earlier[direction]);
  return read(taps[direction]);
}

function partsOf(message, messageBytes, bases) {
  const left = messageBytes - 1;
  switch (message.kind) {
    case 'push':
    case 'deltas': {
      const position = positionBytes(message.position);
      const known = message.deltas.flatMap((delta) => deltaParts(delta, bases));
      const rest = left - position - known.reduce((sum, [, bytes]) => sum + bytes, 0);
      return [
        ["the relay's position and root", position],
        ...known,
        ['deltas: stamps, counts, lengths, all else', rest],
      ];
    }
    case 'ack': {
      const position = positionBytes(message.position);
      return [
        ["the relay's position and root", position],
        ['acknowledged numbers', left - position],
      ];
    }
    case 'head':
    case 'heads':
      return [['head statements: signed root and vector', left]];
    default:
      return [[`message ${message.kind}`, left]];
  }
}

function positionBytes(position) {
  if (typeof position !== 'object') return 0;
  return varUintBytes(position.offset) + position.roll.length + (position.root?.length ?? 0);
}

/** What of a delta is its signature and, as it was told, its body; a larger one is told whole. */
function deltaParts(bytes, bases) {
  const parts = small(bytes);
  if (parts === undefined) return [['larger deltas and checkpoints', bytes.length]];
  const slot = slotOfDelta(parts);
  const base = bases.get(slot);
  bases.set(slot, parts);
  const isNext = base !== undefined && parts.sincePrev === parts.hlc - base.hlc;
  return [
    ['delta: signature', parts.signature.length],
    ['delta: body', isNext ? toldBodyBytes(parts.body, base.body) : parts.body.length],
  ];
}

function toldBodyBytes(body, base) {
  return encoding.encode((encoder) => writeToldBody(encoder, body, base)).length;
}

/** The fields of one delta, as packages/protocol/src/delta.ts writes them. */
export function partsOfDelta(bytes, roomId) {
  const delta = bytesToDelta(sha256, roomId, bytes);
  const { hlc, writtenAt, prev, seq, nonces, context } = delta;
  const contextBytes = (entries) =>
    entries.reduce((sum, entryHlc) => sum + 8 + varUintBytes(hlc - entryHlc), varUintBytes(entries.length));
  const parts = [
    ['delta: format, room tag, flags', 1 + 4 + 1],
    ['delta: replica', 8],
    ['delta: sequence number', varUintBytes(seq)],
    ['delta: key of the document', 16],
    [
      'delta: stamps (sealed, written, previous)',
      8 + varUintBytes(hlc - writtenAt) + varUintBytes(prev === 0 ? 0 : hlc - prev),
    ],
    ['delta: context', contextBytes([...context.stamps.values()]) + contextBytes(context.dots.map((dot) => dot.hlc))],
    ['delta: nonces of Yjs clientIDs', varUintBytes(nonces.length) + 4 * nonces.length],
    ['body: length', varUintBytes(delta.body.length)],
    ...partsOfBody(delta),
    ['delta: signature', delta.signature.length],
  ];
  const sum = parts.reduce((total, [, part]) => total + part, 0);
  if (sum !== bytes.length) throw new Error(`The parts of a delta are ${sum} bytes instead of ${bytes.length}.`);
  return parts;
}

function partsOfBody(delta) {
  if (hasFlag(delta, FLAG.compressed)) return [['body: name and Yjs update, compressed', delta.body.length]];
  const { payload } = bodyOfDelta(delta);
  return [
    ['body: name of the document', delta.body.length - payload.length],
    ['body: the Yjs update itself', payload.length],
  ];
}
