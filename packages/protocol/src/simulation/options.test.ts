import { expect, test } from 'vitest';
import { FAULTS, mixedOptions, type WorldOptions } from './options.js';
import { createWorld } from './world.js';

const refused = expect.objectContaining({ code: 'OPTION_INVALID' });
/** As who writes JavaScript may give it. */
const world = (options: object) => createWorld({ seed: 1, editCount: 0, ...(options as Partial<WorldOptions>) });

test('[API] a world refuses an option that there is not, and a value of another kind', () => {
  expect(() => world({ edits: 3 })).toThrow(refused);
  expect(() => world({ toString: 3 })).toThrow(refused);
  expect(() => world({ replicaCount: '3' })).toThrow(refused);
  expect(() => world({ editCount: undefined })).toThrow(refused);
  expect(() => world({ faults: 'partition' })).toThrow(refused);
});

test.each([
  ['replicaCount', 0],
  ['relayCount', 0],
  ['keyCount', 0],
  ['frameBytesMax', 16],
  ['dropRatio', 5],
  ['flipRatio', -0.1],
  ['documentRatio', Number.NaN],
])('[API] a world refuses %s of %d', (option, value) => {
  expect(() => world({ [option]: value })).toThrow(refused);
});

test('[API] a replica refuses an edit of a kind that there is not', () => {
  const [replica] = world({}).replicas;
  const note = { kind: 'document', collection: '', id: 'note' } as const;
  expect(() => replica?.edit(note, 'edit' as 'document')).toThrow(refused);
});

test('[API] a world refuses a fault that there is not, among its options and when it is to strike', () => {
  expect(() => world({ faults: ['partition', 'earthquake'] })).toThrow(refused);
  expect(() => world({}).strike('earthquake' as 'death')).toThrow(refused);
  expect(() => world({}).strike('toString' as 'death')).toThrow(refused);
});

test('[API] a world takes every option that is drawn, and each fault', () => {
  for (let seed = 1; seed <= 20; seed++) expect(() => createWorld(mixedOptions(seed))).not.toThrow();
  for (const fault of FAULTS) expect(() => world({ faults: FAULTS }).strike(fault)).not.toThrow();
});
