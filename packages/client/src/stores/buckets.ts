/**
 * Storage Buckets: databases in folders of their own. Where Chromium cannot open the folder of a site's own databases any more, it still
 * opens these.
 */
interface StorageBuckets {
  open(name: string): Promise<{ readonly indexedDB: IDBFactory }>;
  delete(name: string): Promise<void>;
  keys(): Promise<readonly string[]>;
}

const NAME = 'mangrove-rescue';

export function hasBuckets(): boolean {
  return bucketsOf() !== undefined;
}

export async function openBucket(): Promise<IDBFactory | undefined> {
  return (await bucketsOf()?.open(NAME))?.indexedDB;
}

/** Whether a rescue was needed at an earlier visit. */
export async function isBucketThere(): Promise<boolean> {
  return (await bucketsOf()?.keys())?.includes(NAME) ?? false;
}

export async function deleteBucket(): Promise<void> {
  if (await isBucketThere()) await bucketsOf()?.delete(NAME);
}

function bucketsOf(): StorageBuckets | undefined {
  return (globalThis.navigator as { readonly storageBuckets?: StorageBuckets } | undefined)?.storageBuckets;
}
