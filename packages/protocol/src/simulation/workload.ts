import type { KeyName } from '../ids.js';
import type { Cast } from './cast.js';
import type { WorldOptions } from './options.js';

/** From just under one part to some more than two. */
const BULK_BYTES_MIN = 60_000;
const BULK_BYTES_MAX = 150_000;

/** The documents and records of a world. */
export function makeKeys({ keyCount }: Pick<WorldOptions, 'keyCount'>): readonly KeyName[] {
  return Array.from({ length: keyCount }, (_, i): KeyName[] => [
    { kind: 'document', collection: '', id: `d${i}` },
    { kind: 'record', collection: 'c', id: `r${i}` },
  ]).flat();
}

/** Plans all edits of a world, one after the other, at whoever is up. */
export function planEdits(world: Cast): void {
  const { editCount, editEveryMs } = world.options;
  let left = editCount;
  const next = () => {
    if (left === 0) return;
    world.loop.after(world.random.between(0, 2 * editEveryMs), () => {
      if (world.isHealing) return;
      if (edit(world)) left--;
      next();
    });
  };
  next();
}

function edit({ random, replicas, keys, options }: Cast): boolean {
  const replica = random.pick(replicas);
  const isDocument = random.chance(options.documentRatio);
  const name = random.pick(keys.filter(({ kind }) => (kind === 'document') === isDocument));
  const kind = isDocument ? 'document' : random.chance(options.deleteRatio) ? 'delete' : 'put';
  const isBulk = isDocument && random.chance(options.bulkRatio);
  const bulkBytes = isBulk ? random.between(BULK_BYTES_MIN, BULK_BYTES_MAX) : 0;
  if (replica.isUp) replica.edit(name, kind, bulkBytes);
  return replica.isUp;
}
