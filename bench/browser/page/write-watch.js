const open = new Set();
let begun = () => {};

/**
 * Notices the write transactions of libraries that do not say when theirs have completed. It costs some microseconds a transaction,
 * which are in the figures of those libraries.
 */
export function watchWrites() {
  const { transaction: original } = IDBDatabase.prototype;
  IDBDatabase.prototype.transaction = function (stores, mode, options) {
    const transaction = original.call(this, stores, mode, options);
    if (mode === 'readwrite') {
      const ended = new Promise((resolve) => {
        transaction.addEventListener('complete', resolve);
        transaction.addEventListener('abort', resolve);
      }).then(() => open.delete(ended));
      open.add(ended);
      begun(ended);
    }
    return transaction;
  };
}

/** When all that have begun have completed. */
export async function writesIdle() {
  while (open.size > 0) await Promise.all(open);
}

/** When the next that begins has completed. */
export function nextWrite() {
  return new Promise((resolve) => {
    begun = (ended) => {
      begun = () => {};
      resolve(ended);
    };
  });
}
