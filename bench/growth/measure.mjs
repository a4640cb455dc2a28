import { performance } from 'node:perf_hooks';
import { defaultLimits, readRoot, rebuildTrie, recordPayloadToBytes, valueToBytes } from '@mangrove/protocol';
import { median } from '../support/stats.mjs';
import { readTrace } from '../support/trace.mjs';
import { repeated } from './edits.mjs';
import { bytesByTable, copyStore, GrowthWorld } from './world.mjs';
// The one that the engine uses; the peers have another.
import * as Y from '../../node_modules/yjs/dist/yjs.mjs';
import { nodeHash } from '../../packages/relay/dist/runtimes/node-crypto.js';

/** Edits that are made before one looks whether the relay has them: what somebody types within two seconds. */
const BURST = 20;
const ROUNDS = 7;
/** After a burst of records nobody writes for so long, of the world's time: a relay tells where it stands, and all can see that they agree. */
const REST_MS = 500;
/** Timers run this many times as fast: the world's day is short. */
const HASTE = 50;
const DOCUMENT = 'paper';

export function measure({ steps }) {
  return inHaste(async () => {
    const { source, edits } = readTrace();
    return {
      source,
      document: await measureDocument(edits, steps),
      record: await measureRecord(steps),
    };
  });
}

/** Records made and deleted, each once. */
export function measureDeleted({ steps }) {
  return inHaste(async () => {
    const world = new GrowthWorld();
    const tab = await world.open();
    let made = 0;
    const put = async (ids, value) => {
      const receipts = ids.map((id) => tab.engine.put(tab.room, 'notes', id, value));
      const rows = (await Promise.all(receipts)).flatMap((receipt) => receipt.rows);
      await tab.engine.reached(tab.room, { name: rows[0], rows, rung: 'relay' });
      world.edited(ids.length);
    };
    const kept = payload(0);
    await put(['kept'], kept);
    const write = async (count) => {
      const ids = Array.from({ length: count }, () => `note ${made++}`);
      await put(ids, payload(made));
      await put(ids, undefined);
      await new Promise((resolve) => setTimeout(resolve, REST_MS));
    };
    const read = async (store) => {
      const reader = await world.open({ store, isOffline: true });
      const entry = await reader.engine.get(reader.room, 'notes', 'kept', 'lww');
      await reader.close();
      return entry.value.clicks;
    };
    const rows = await grow(world, tab, steps, write, { read, expected: () => 0, needed: () => kept.length });
    await tab.close();
    const left = Math.max(...rows.map(({ tombstones }) => tombstones));
    if (left > defaultLimits.floorTombstonesMin + BURST)
      throw new Error(`${left} tombstones are left: no floor collects them`);
    return { deleted: rows };
  });
}

async function inHaste(task) {
  const slow = globalThis.setTimeout;
  globalThis.setTimeout = (run, ms = 0, ...args) => slow(run, ms / HASTE, ...args);
  try {
    return await task();
  } finally {
    globalThis.setTimeout = slow;
  }
}

async function measureDocument(edits, steps) {
  const world = new GrowthWorld();
  const tab = await world.open();
  const opened = await tab.engine.openDocument(tab.room, DOCUMENT);
  const ydoc = new Y.Doc();
  ydoc.clientID = opened.clientId;
  let updates = [];
  ydoc.on('update', (update) => updates.push(update));
  const next = repeated(edits, ydoc.getText('t'));
  const write = async (count) => {
    for (let i = 0; i < count; i++) next.next().value();
    const edit = { updates, nonce: opened.nonce, clientId: opened.clientId, imported: false };
    updates = [];
    const { rows } = await tab.engine.edit(tab.room, DOCUMENT, edit);
    await tab.engine.reached(tab.room, { name: rows[0], rows, rung: 'relay' });
    world.edited(count);
  };
  const read = async (store) => {
    const reader = await world.open({ store, isOffline: true });
    const { updates: kept } = await reader.engine.openDocument(reader.room, DOCUMENT);
    const fresh = new Y.Doc();
    for (const update of kept) Y.applyUpdate(fresh, update);
    await reader.close();
    return fresh.getText('t').toString();
  };
  const rows = await grow(world, tab, steps, write, {
    read,
    expected: () => ydoc.getText('t').toString(),
    needed: () => Y.encodeStateAsUpdate(ydoc).length,
  });
  await tab.close();
  return rows;
}

async function measureRecord(steps) {
  const world = new GrowthWorld();
  const tab = await world.open();
  let written = 0;
  const write = async (count) => {
    const receipts = [];
    for (let i = 0; i < count; i++) receipts.push(tab.engine.put(tab.room, 'counters', 'clicks', payload(++written)));
    const rows = (await Promise.all(receipts)).flatMap((receipt) => receipt.rows);
    await tab.engine.reached(tab.room, { name: written, rows, rung: 'relay' });
    world.edited(count);
  };
  const read = async (store) => {
    const reader = await world.open({ store, isOffline: true });
    const entry = await reader.engine.get(reader.room, 'counters', 'clicks', 'lww');
    await reader.close();
    return entry.value.clicks;
  };
  const rows = await grow(world, tab, steps, write, {
    read,
    expected: () => written,
    needed: () => payload(written).length,
  });
  await tab.close();
  return rows;
}

const payload = (clicks) => recordPayloadToBytes({ value: valueToBytes({ clicks }) });

/** Writes up to each step and looks at what is there then. */
async function grow(world, tab, steps, write, { read, expected, needed }) {
  const rows = [];
  let done = 0;
  let startMs = performance.now();
  for (const step of steps) {
    const before = done;
    while (done < step) {
      const count = Math.min(BURST, step - done);
      await write(count);
      done += count;
    }
    const writeMs = performance.now() - startMs;
    await calm(tab, world);
    rows.push(await look(world, { step, written: step - before, writeMs, read, expected, needed }));
    const { clientBytes, relayBytes, openMs, rootMs } = rows.at(-1);
    console.log(`${step}: client ${clientBytes} B, relay ${relayBytes} B, open ${openMs} ms, root ${rootMs} ms`);
    startMs = performance.now();
  }
  return rows;
}

/** Until nothing has changed for as long as a checkpoint waits. */
async function calm(tab, world) {
  let root = '';
  for (let still = 0; still < 5; ) {
    await tab.engine.synced(tab.room, -1);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const now = Buffer.from(rootOf(world.store)).toString('hex');
    still = now === root ? still + 1 : 0;
    root = now;
  }
}

const rootOf = (store) => store.tables.transact(readRoot).result.root;

async function look(world, { step, written, writeMs, read, expected, needed }) {
  const client = bytesByTable(world.store);
  const relay = bytesByTable(world.relayStore);
  const openTimes = [];
  const rootTimes = [];
  for (let round = 0; round < ROUNDS; round++) {
    const copy = copyStore(world.store);
    let startMs = performance.now();
    const value = await read(copy);
    openTimes.push(performance.now() - startMs);
    if (value !== expected()) throw new Error(`after ${step} edits something else is read than was written`);
    startMs = performance.now();
    const { root } = copy.tables.transact((tx) => rebuildTrie(tx, nodeHash)).result;
    rootTimes.push(performance.now() - startMs);
    if (Buffer.compare(root, rootOf(world.relayStore)) !== 0) throw new Error(`after ${step} edits roots differ`);
  }
  return {
    edits: step,
    deltas: world.store.tables.table('deltas').size,
    tombstones: world.store.tables.table('tombstones').size,
    names: world.store.tables.table('names').size,
    neededBytes: needed(),
    clientBytes: sum(client),
    clientByTable: client,
    relayBytes: sum(relay),
    relaySetBytes: sum(relay) - relay.retained - relay.log,
    relayRetainedBytes: relay.retained,
    relayLogBytes: relay.log,
    openMs: round2(median(openTimes)),
    rootMs: round2(median(rootTimes)),
    editsPerSecond: Math.round(written / (writeMs / 1000)),
  };
}

const sum = (bytes) => Object.values(bytes).reduce((total, one) => total + one, 0);
const round2 = (ms) => Math.round(ms * 100) / 100;
