// In a process of its own: node cold.mjs <contestant> <file of its engine>. Prints the ms from the bytes to the first result.
import { readFileSync } from 'node:fs';
import { conflictToBytes } from '../../packages/lambda/dist/conflict.js';
import { CONTESTANTS } from './contestants.mjs';
import { WORKLOADS } from './workloads.mjs';

const [, , name, file] = process.argv;
const input = conflictToBytes({ collection: 'c', id: 'i', siblings: WORKLOADS.f2.siblings });
const startMs = performance.now();
const engine = new Uint8Array(readFileSync(file));
const guest = await CONTESTANTS[name].start(engine);
const outcome = guest.run(input);
const ms = performance.now() - startMs;
if (!outcome.ok) throw new Error(outcome.error.code);
console.log(ms);
