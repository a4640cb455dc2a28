import { MangroveError } from '@mangrove/protocol';
import { afterEach, expect, test } from 'vitest';
import type { Receipt } from '../receipt.js';
import type { DocumentEdit, EditResult, EngineApi } from '../worker/engine-api.js';
import { DocumentHandle } from './document-handle.js';

const opened: DocumentHandle[] = [];
afterEach(() => {
  for (const handle of opened.splice(0)) handle.release();
});

/** A document whose worker says what `rungs` says, edit by edit, and what the room was asked meanwhile. */
async function createHandle(rungs: readonly ('applied' | 'disk')[]) {
  const left = [...rungs];
  const asked: string[] = [];
  const edit = async (_: string, __: string, { updates }: DocumentEdit): Promise<EditResult> => {
    const rung = left.shift();
    if (rung === undefined) throw new MangroveError('STORAGE_UNAVAILABLE', { reason: `${updates.length} too many` });
    return { rows: [1], version: '1', rung };
  };
  const engine = {
    edit,
    openDocument: async () => ({ updates: [], nonce: 1, clientId: 7 }),
    closeDocument: async () => {},
    presence: async () => {},
  } as unknown as EngineApi;
  const handle = new DocumentHandle('notes', {
    room: 'r',
    hasRelay: false,
    ready: async () => {},
    engine: () => engine,
    status: () => ({ connection: 'none', sync: 'local' }) as never,
    onStatus: () => () => {},
    reached: async (rung) => void asked.push(rung),
    synced: async () => {},
    receipt: () => ({}) as Receipt,
    unjournaled: () => {},
    released: () => {},
    isOpen: () => false,
  });
  opened.push(handle);
  await handle.ready;
  const type = (): void => handle.ydoc.getText('t').insert(0, 'a');
  return { handle, asked, type };
}

test('[JS1] what the worker has said to be on disk is not asked again', async () => {
  const { handle, asked, type } = await createHandle(['disk']);
  await handle.reached('disk');
  expect(asked, 'nothing was written through this handle').toEqual(['disk']);
  type();
  for (const rung of ['applied', 'disk'] as const) await handle.reached(rung);
  expect(asked).toEqual(['disk']);
  await handle.reached('relay');
  expect(asked).toEqual(['disk', 'relay']);
});

test('[JS7] what is applied in memory is asked for, until an edit after it is on disk', async () => {
  const { handle, asked, type } = await createHandle(['disk', 'applied', 'disk']);
  type();
  await handle.reached('disk');
  type();
  await handle.reached('disk');
  expect(asked).toEqual(['disk']);
  type();
  await handle.reached('disk');
  expect(asked).toEqual(['disk']);
});

test('[API] who has given up waiting, or has closed the document, is told by the room', async () => {
  const { handle, asked, type } = await createHandle(['disk']);
  type();
  await handle.reached('disk');
  await handle.reached('disk', { signal: AbortSignal.abort() });
  expect(asked).toEqual(['disk']);
  handle.release();
  await handle.reached('disk');
  expect(asked).toEqual(['disk', 'disk']);
});
