/** The trace again and again, each time over an empty text, which is one edit more. */
export function* repeated(edits, ytext) {
  for (;;) {
    for (const [index, deleted, inserted] of edits)
      yield () => {
        if (deleted > 0) ytext.delete(index, deleted);
        if (inserted.length > 0) ytext.insert(index, inserted);
      };
    yield () => ytext.delete(0, ytext.length);
  }
}
