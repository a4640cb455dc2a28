/** IndexedDB without a library, for the floors and for peers that leave storing to the app. */
export function openDatabase(name, stores) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      for (const [store, options] of Object.entries(stores)) request.result.createObjectStore(store, options);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Resolves when the transaction has completed. `durability` undefined: what the browser does by default. */
export function write(db, store, durability, put) {
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(store, 'readwrite', durability && { durability });
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
    put(transaction.objectStore(store));
    transaction.commit();
  });
}

export function read(db, store, get) {
  return new Promise((resolve, reject) => {
    const request = get(db.transaction(store).objectStore(store));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
