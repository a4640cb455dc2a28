/** Bytes of all keys and values in all databases of this origin, as data and not as the browser happens to encode them. */
export async function storedBytes() {
  let bytes = 0;
  let rows = 0;
  for (const { name } of await indexedDB.databases()) {
    const db = await settled(indexedDB.open(name));
    for (const store of db.objectStoreNames) {
      const objects = db.transaction(store).objectStore(store);
      const [keys, values] = await Promise.all([settled(objects.getAllKeys()), settled(objects.getAll())]);
      rows += keys.length;
      for (const item of [...keys, ...values]) bytes += sizeOf(item);
    }
    db.close();
  }
  return { bytes, rows };
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

const encoder = new TextEncoder();

function sizeOf(value) {
  if (typeof value === 'string') return encoder.encode(value).length;
  if (typeof value === 'number') return 8;
  if (typeof value !== 'object' || value === null) return 1;
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return value.byteLength;
  if (value instanceof Date) return 8;
  if (value instanceof Blob) return value.size;
  // A key that cannot be read.
  if (value instanceof CryptoKey) return 32;
  if (Array.isArray(value)) return value.reduce((sum, item) => sum + sizeOf(item), 0);
  return Object.entries(value).reduce((sum, [name, item]) => sum + encoder.encode(name).length + sizeOf(item), 0);
}
