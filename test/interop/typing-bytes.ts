import { equalBytes } from '../../packages/protocol/src/bytes.js';
import { encode } from '../../packages/protocol/src/codec.js';
import { SIGNATURE_BYTES } from '../../packages/protocol/src/ids.js';
import { bytesToRelayMessage, bytesToReplicaMessage } from '../../packages/protocol/src/wire/codec.js';
import { type DeltaParts, partsOfDelta } from '../../packages/protocol/src/wire/delta-parts.js';
import { LinkMemory, slotOfDelta } from '../../packages/protocol/src/wire/link-memory.js';
import type { Message } from '../../packages/protocol/src/wire/messages.js';
import { writeToldBody } from '../../packages/protocol/src/wire/told-body.js';
import { ClientWorld, type Profile } from '../support/client-world.js';
import { loadSequentialTrace } from '../support/traces.js';

export const DIRECTIONS = ['A to relay', 'relay to A', 'relay to B', 'B to relay'] as const;
export type Direction = (typeof DIRECTIONS)[number];

/** Bytes per key and direction, by what they are for. */
export type Explained = ReadonlyMap<string, Readonly<Record<Direction, number>>>;

const KEY_EVERY_MS = 48;

/**
 * The first keys of a recorded page are typed at A, one each 48 ms, while B has the document open: real client workers and a real relay room over
 * memory stores, in time that stands still but for the typing. Everything that passes is explained with the real codec, and the parts of
 * each message add up to its length. B's text is compared at the end.
 */
export async function typePage(keys: number): Promise<{ readonly explained: Explained; readonly isSame: boolean }> {
  const world = new ClientWorld();
  try {
    const [ann, bob] = [world.profile(), world.profile()] as const;
    const meters = [new Meter(ann, 'A to relay', 'relay to A'), new Meter(bob, 'B to relay', 'relay to B')];
    const [from, to] = [ann.tab().room(), bob.tab().room()].map((room) => room.document('notes/page'));
    if (from === undefined || to === undefined) throw new Error('two documents are open');
    await world.run(Promise.all([from.ready, to.ready]));
    await world.pass(20_000);
    for (const meter of meters) meter.isCounting = true;
    const edits = loadSequentialTrace('automerge-paper').edits.slice(0, keys);
    const text = from.ydoc.getText('t');
    for (const [index, deleteCount, insert] of edits) {
      from.ydoc.transact(() => {
        if (deleteCount > 0) text.delete(index, deleteCount);
        if (insert !== '') text.insert(index, insert);
      });
      await world.pass(KEY_EVERY_MS, 4);
    }
    await world.pass(5_000);
    const isSame = to.ydoc.getText('t').toString() === text.toString() && text.length > 0;
    return { explained: perKey(meters, edits.length), isSame };
  } finally {
    await world.close();
  }
}

export function totalOf(explained: Explained): number {
  return [...explained.values()].reduce((sum, row) => sum + DIRECTIONS.reduce((all, each) => all + row[each], 0), 0);
}

/** As a Markdown table, the largest first. */
export function tableOf(explained: Explained): string {
  const sum = (row: Readonly<Record<Direction, number>>): number =>
    DIRECTIONS.reduce((all, each) => all + row[each], 0);
  const rows = [...explained].sort(([, a], [, b]) => sum(b) - sum(a));
  const total = Object.fromEntries(
    DIRECTIONS.map((each) => [each, rows.reduce((all, [, row]) => all + row[each], 0)]),
  ) as Record<Direction, number>;
  const line = (name: string, row: Readonly<Record<Direction, number>>): string =>
    `| ${name} | ${[...DIRECTIONS.map((each) => row[each]), sum(row)].map((bytes) => bytes.toFixed(1)).join(' | ')} |`;
  return [
    `| | ${DIRECTIONS.join(' | ')} | all |`,
    '| --- | ---: | ---: | ---: | ---: | ---: |',
    ...rows.map(([name, row]) => line(name, row)),
    line('all', total),
  ].join('\n');
}

/** What passes between one device and the relay, as WebSocket frames that are not compressed. */
class Meter {
  isCounting = false;
  readonly counted: { readonly direction: Direction; readonly purpose: string; readonly bytes: number }[] = [];
  readonly #up = new LinkMemory();
  readonly #down = new LinkMemory();

  constructor({ network }: Profile, up: Direction, down: Direction) {
    network.toRelay = (frame) => {
      this.#count(up, frame, 4, (memory) => bytesToReplicaMessage(frame, memory), this.#up);
      return frame;
    };
    network.fromRelay = (frame) => {
      this.#count(down, frame, 0, (memory) => bytesToRelayMessage(frame, memory), this.#down);
      return frame;
    };
  }

  #count(
    direction: Direction,
    frame: Uint8Array,
    maskBytes: number,
    read: (memory: LinkMemory) => Message,
    memory: LinkMemory,
  ): void {
    const before = new Map(Array.from({ length: 32 }, (_, slot) => [slot, memory.delta(slot)]));
    const message = read(memory);
    if (!this.isCounting) return;
    const add = (purpose: string, bytes: number) => this.counted.push({ direction, purpose, bytes });
    const framing = 2 + (frame.length > 125 ? 2 : 0) + maskBytes;
    add('WebSocket frame and mask', framing);
    let left = frame.length;
    const part = (purpose: string, bytes: number): void => {
      add(purpose, bytes);
      left -= bytes;
    };
    part('message type', 1);
    if (message.kind === 'push' || message.kind === 'deltas') {
      if (message.kind === 'deltas' && typeof message.position === 'object') part("relay's position", 40);
      for (const delta of message.deltas) explainDelta(delta, before, part);
      part(message.deltas.length === 0 ? "relay's position" : 'deltas: counts, lengths, stamps, all else', left);
    } else if (message.kind === 'head' || message.kind === 'heads') part('head statements', left);
    else if (message.kind === 'ack') part('acknowledgements', left);
    else part(`message ${message.kind}`, left);
  }
}

function explainDelta(
  delta: Uint8Array,
  before: Map<number, DeltaParts | undefined>,
  part: (purpose: string, bytes: number) => void,
): void {
  const parts = partsOfDelta(delta);
  if (parts === undefined) {
    part('checkpoints', delta.length);
    return;
  }
  const base = before.get(slotOfDelta(parts));
  before.set(slotOfDelta(parts), parts);
  part('signatures of deltas', SIGNATURE_BYTES);
  const isNext =
    base !== undefined && parts.sincePrev === parts.hlc - base.hlc && equalBytes(parts.nonces, base.nonces);
  part(
    'bodies of deltas',
    isNext ? encode((encoder) => writeToldBody(encoder, parts.body, base.body)).length : parts.body.length,
  );
}

function perKey(meters: readonly Meter[], keys: number): Explained {
  const rows = new Map<string, Record<Direction, number>>();
  for (const { direction, purpose, bytes } of meters.flatMap(({ counted }) => counted)) {
    const row = rows.get(purpose) ?? { 'A to relay': 0, 'relay to A': 0, 'relay to B': 0, 'B to relay': 0 };
    row[direction] += bytes / keys;
    rows.set(purpose, row);
  }
  return rows;
}
