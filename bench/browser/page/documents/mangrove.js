import { createClient } from '@mangrove/client';
import { textOf } from './yjs-edits.js';

/** Without a relay: what is measured is the browser alone. */
export async function open(name) {
  const room = createClient({ name }).room('bench');
  const note = room.document('notes');
  await note.ready;
  const onDisk = () => note.reached('disk');
  return { ...textOf(note.ydoc), onDisk, settle: onDisk };
}
