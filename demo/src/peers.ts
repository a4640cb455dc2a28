/** What other people's awareness says, checked: any member of the room can put anything there. */
import * as Y from 'yjs';
import type { Awareness } from 'y-protocols/awareness';
import { cleanName, isColor } from './profile.ts';

export interface Cursor {
  readonly anchor: Y.RelativePosition;
  readonly head: Y.RelativePosition;
}

export interface Peer {
  readonly clientId: number;
  readonly name: string;
  readonly color: string;
  readonly cursor: Cursor | undefined;
}

const UNNAMED = 'Someone';
const UNCOLORED = '#5c6b70';

/** Everybody else, in a stable order. */
export function readPeers(awareness: Awareness, text: Y.Text): Peer[] {
  const peers: Peer[] = [];
  for (const [clientId, state] of awareness.getStates()) {
    if (clientId === awareness.clientID || typeof state !== 'object' || state === null) continue;
    const user: unknown = state.user;
    const { name, color } = typeof user === 'object' && user !== null ? (user as Record<string, unknown>) : {};
    peers.push({
      clientId,
      name: cleanName(name) || UNNAMED,
      color: isColor(color) ? color : UNCOLORED,
      cursor: readCursor(state.cursor, text),
    });
  }
  return peers.sort((a, b) => a.clientId - b.clientId);
}

export function cursorIndex(cursor: Cursor, text: Y.Text): number | undefined {
  return resolve(cursor.head, text);
}

function readCursor(cursor: unknown, text: Y.Text): Cursor | undefined {
  if (typeof cursor !== 'object' || cursor === null) return undefined;
  const { anchor, head } = cursor as Record<string, unknown>;
  const positions = { anchor: readPosition(anchor, text), head: readPosition(head, text) };
  return positions.anchor && positions.head ? (positions as Cursor) : undefined;
}

function readPosition(json: unknown, text: Y.Text): Y.RelativePosition | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  try {
    const position = Y.createRelativePositionFromJSON(json);
    // Resolving an unknown root name would create that type in the document.
    if (position.tname !== null && !text.doc?.share.has(position.tname)) return undefined;
    return resolve(position, text) === undefined ? undefined : position;
  } catch {
    return undefined;
  }
}

function resolve(position: Y.RelativePosition, text: Y.Text): number | undefined {
  const absolute = text.doc && Y.createAbsolutePositionFromRelativePosition(position, text.doc);
  return absolute?.type === text ? absolute.index : undefined;
}

/**
 * The awareness that the editor binding gets: it writes ours through and reads only checked states of others. The
 * binding puts colours into style attributes and resolves positions while the editor updates, where a throw would
 * take the cursors of everybody down.
 */
export function guardAwareness(awareness: Awareness, text: Y.Text) {
  return {
    doc: {
      get clientID() {
        return awareness.clientID;
      },
    },
    on: awareness.on.bind(awareness),
    off: awareness.off.bind(awareness),
    getLocalState: () => awareness.getLocalState(),
    setLocalStateField: awareness.setLocalStateField.bind(awareness),
    getStates: () => new Map(readPeers(awareness, text).map((peer) => [peer.clientId, toBindingState(peer)])),
  };
}

function toBindingState({ name, color, cursor }: Peer) {
  // The binding keeps a caret's label while its colour is the same; the comment makes another name another colour.
  const label = [...name].reduce((hash, char) => (Math.imul(hash, 31) + (char.codePointAt(0) ?? 0)) >>> 0, 7);
  return { user: { name, color: `${color}/*${label}*/`, colorLight: `${color}33` }, cursor };
}
