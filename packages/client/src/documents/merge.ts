import * as Y from 'yjs';
import { writeDeletions } from './deletions.js';

/** Yjs merges n updates in about n² steps, so many are merged in groups and the groups again. */
const GROUP = 32;

/** One update that holds what all of them hold. */
export function mergeUpdates(updates: readonly Uint8Array[]): Uint8Array {
  if (updates.length === 0) return new Uint8Array([0, 0]);
  let level = updates;
  while (level.length > 1) {
    const next: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += GROUP) next.push(Y.mergeUpdates(level.slice(i, i + GROUP)));
    level = next;
  }
  const [merged] = level as [Uint8Array];
  return updates.length === 1 ? merged : joinRuns(merged);
}

/** The state of a document as one update, for a page that opens it. Applying is faster than merging where updates are many. */
export function updatesToState(updates: readonly Uint8Array[]): Uint8Array {
  if (updates.length <= 1) return mergeUpdates(updates);
  const ydoc = new Y.Doc();
  ydoc.transact(() => {
    for (const update of updates) Y.applyUpdate(ydoc, update);
  });
  const state = Y.encodeStateAsUpdate(ydoc);
  ydoc.destroy();
  return state;
}

/**
 * The state of a document as a page opens it: what is by far the most of it as it is stored, and the rest as one update. To merge the two
 * would be to build the document here, which takes longer than the page takes to apply both.
 */
export function updatesToOpen(updates: readonly Uint8Array[]): readonly Uint8Array[] {
  if (updates.length <= 1) return updates;
  const largest = updates.reduce((a, b) => (b.length > a.length ? b : a));
  const others = updates.filter((update) => update !== largest);
  const otherBytes = others.reduce((sum, { length }) => sum + length, 0);
  return otherBytes > largest.length ? [updatesToState(updates)] : [largest, mergeUpdates(others)];
}

type Decoded = ReturnType<typeof Y.decodeUpdate>;
type Struct = Decoded['structs'][number];

/**
 * Text that was typed one character after the other as one item, as Yjs itself has it in a document that is open; its merging of
 * updates leaves an item, of about 16 bytes, for each character.
 */
function joinRuns(update: Uint8Array): Uint8Array {
  const { structs, ds } = Y.decodeUpdate(update);
  const byClient = new Map<number, Struct[]>();
  for (const struct of structs) {
    const { client } = struct.id;
    const own = byClient.get(client);
    if (own === undefined) byClient.set(client, [struct]);
    else if (!appendText(own.at(-1) as Struct, struct)) own.push(struct);
  }
  const encoder = new Y.UpdateEncoderV1();
  encoder.writeLen(byClient.size);
  for (const [client, own] of byClient) {
    encoder.writeLen(own.length);
    encoder.writeClient(client);
    encoder.writeLen((own[0] as Struct).id.clock);
    for (const struct of own) struct.write(encoder, 0);
  }
  writeDeletions(encoder, ds);
  return encoder.toUint8Array();
}

/**
 * Whether `next` was typed right behind `item`, which has it then. Only text: other content may be the values of a map's key, which
 * come one after the other as well, and an update does not say so.
 */
function appendText(item: Struct, next: Struct): boolean {
  if (!(item instanceof Y.Item) || !(next instanceof Y.Item)) return false;
  if (!(item.content instanceof Y.ContentString) || !(next.content instanceof Y.ContentString)) return false;
  const end = item.id.clock + item.length;
  const isBehind = next.id.clock === end && next.origin?.client === item.id.client && next.origin.clock === end - 1;
  if (!isBehind || !Y.compareIDs(item.rightOrigin, next.rightOrigin)) return false;
  item.content.mergeWith(next.content);
  item.length += next.length;
  return true;
}
