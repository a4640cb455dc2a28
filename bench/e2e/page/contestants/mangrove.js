import { createClient } from '@mangrove/client';
import { now } from '../clock.js';

export async function connect({ url, room: name }) {
  const room = createClient({ name: 'bench', relay: url }).room(name);
  const note = room.document('notes');
  // Since when the room has stood as it stands: `in-sync` at one root is a moment, and the driver asks later.
  let standing = { sync: 'local', root: '', sinceMs: now() };
  room.on('status', ({ sync, root }) => {
    if (sync !== standing.sync || root !== standing.root) standing = { sync, root, sinceMs: now() };
  });
  await note.ready;
  return {
    doc: note.ydoc,
    synced: () => room.synced(),
    kept: () => room.reached('disk'),
    standing: () => standing,
    isConnected: () => room.status.connection === 'connected',
  };
}
