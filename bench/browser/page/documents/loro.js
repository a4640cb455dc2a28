import init, { LoroDoc } from 'loro-crdt/web';
import wasmUrl from 'loro-crdt/web/loro_wasm_bg.wasm?url';
import { UpdateLog } from '../update-log.js';

/** Loro leaves storing to the app: a snapshot and the updates since. */
export async function open(name) {
  await init({ module_or_path: wasmUrl });
  const doc = new LoroDoc();
  const log = await UpdateLog.open(name, () => doc.export({ mode: 'snapshot' }));
  const updates = await log.read();
  if (updates.length > 0) doc.importBatch(updates);
  doc.subscribeLocalUpdates((update) => log.append(update));
  const text = doc.getText('text');
  const onDisk = async () => {
    // Updates are told at the end of a task.
    await undefined;
    await log.idle();
  };
  return {
    edit(index, deleted, inserted) {
      if (deleted > 0) text.delete(index, deleted);
      if (inserted !== '') text.insert(index, inserted);
      doc.commit();
    },
    text: () => text.toString(),
    onDisk,
    settle: onDisk,
  };
}
