import * as Y from 'yjs';

/** What all contestants on Yjs have in common: one transaction an edit. */
export function textOf(doc) {
  const text = doc.getText('text');
  return {
    edit(index, deleted, inserted) {
      if (deleted > 0 && inserted !== '') Y.transact(doc, () => replace(text, index, deleted, inserted));
      else replace(text, index, deleted, inserted);
    },
    text: () => text.toString(),
  };
}

function replace(text, index, deleted, inserted) {
  if (deleted > 0) text.delete(index, deleted);
  if (inserted !== '') text.insert(index, inserted);
}
