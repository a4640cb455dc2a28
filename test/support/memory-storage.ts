import type { MarkStorage } from '../../packages/client/src/marks.js';

/** As much of `localStorage` as marks take, over items that a test may hold in its hand. */
export function memoryStorage(items = new Map<string, string>()): MarkStorage {
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
    key: (i) => [...items.keys()][i] ?? null,
    get length() {
      return items.size;
    },
  };
}
