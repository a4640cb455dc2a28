import { expect, test } from 'vitest';
import { Awareness } from 'y-protocols/awareness';
import * as Y from 'yjs';
import { guardAwareness, readPeers } from './peers.ts';

function openRoom(state: unknown) {
  const ydoc = new Y.Doc();
  const text = ydoc.getText('content');
  text.insert(0, 'hello');
  const awareness = new Awareness(ydoc);
  awareness.states.set(7, state as Record<string, unknown>);
  return { ydoc, text, awareness };
}

test('a peer with a name, a colour and a cursor', () => {
  const { text, awareness } = openRoom({});
  const position = Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(text, 2));
  awareness.states.set(7, { user: { name: 'Ada', color: '#2e8216' }, cursor: { anchor: position, head: position } });
  const [peer] = readPeers(awareness, text);
  expect(peer).toMatchObject({ clientId: 7, name: 'Ada', color: '#2e8216' });
  expect(peer?.cursor).toBeDefined();
  expect(guardAwareness(awareness, text).getStates().get(7)?.cursor).toEqual(peer?.cursor);
});

test('nothing that a peer sends throws, styles or adds a type to the document', () => {
  const hostile: unknown[] = [
    null,
    7,
    'x',
    { user: null },
    { user: 7, cursor: 7 },
    { user: { name: {}, color: 'red;background:url(//evil)' } },
    { user: { name: '\u202Eada\n\u0000', color: '#2e8216;x' }, cursor: { anchor: null, head: {} } },
    { cursor: { anchor: { tname: 'other' }, head: { tname: 'other' } } },
    { cursor: { anchor: { item: { client: 1, clock: -5 } }, head: { item: 'x' } } },
    { cursor: { anchor: { type: { client: 9, clock: 9 } }, head: { tname: {} } } },
  ];
  for (const state of hostile) {
    const { ydoc, text, awareness } = openRoom(state);
    for (const peer of readPeers(awareness, text)) {
      expect(peer.color).toMatch(/^#[0-9a-f]{6}$/);
      expect(peer.name).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      expect(peer.cursor).toBeUndefined();
    }
    for (const { user } of guardAwareness(awareness, text).getStates().values()) {
      expect(user.color).toMatch(/^#[0-9a-f]{6}\/\*\d+\*\/$/);
    }
    expect([...ydoc.share.keys()]).toEqual(['content']);
  }
});

test('a renamed peer has another colour string, or the binding would keep the old label', () => {
  const colorOf = (name: string) => {
    const { text, awareness } = openRoom({ user: { name, color: '#2e8216' } });
    return guardAwareness(awareness, text).getStates().get(7)?.user.color;
  };
  expect(colorOf('Ada')).not.toBe(colorOf('Bea'));
});
