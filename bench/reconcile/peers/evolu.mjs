import { versionOf } from '../../support/machine.mjs';
import { seededRandom } from '../../support/random.mjs';
import { heldBy, LEFT, RIGHT, timedAsync } from '../workload.mjs';

/** What its newest version asks for. On Node 20 its modules do not even load. */
const NODE_FROM = [24, 20];
const CHANGE_BYTES = 24;
const FIRST_MS = 1_700_000_000_000;
const MESSAGES_AT_ONCE = 2_000;
const ROUNDS_MAX = 1_000;

export const evolu = {
  id: 'evolu',
  name: 'Evolu',
  about: `range-based reconciliation of @evolu/common with its relay storage on SQLite in memory at both ends (node:sqlite), default message sizes; a change is ${CHANGE_BYTES} opaque bytes, one a millisecond, by 34 node ids`,
  carries: 'changes, which are in its bytes, and takes them in, which is in its CPU',
  sources: ['peers/evolu.mjs'],
  versions: () => ({ '@evolu/common': versionOf('@evolu/common') }),
  cannot: () =>
    isSupported() ? undefined : `it asks for Node ${NODE_FROM.join('.')} or newer, and this run has ${process.version}`,
  async run({ items }) {
    const { installPolyfills } = await import('@evolu/common/polyfills');
    installPolyfills();
    const library = await import('@evolu/common/local-first');
    const { createRun } = await import('@evolu/common');
    const left = await openSide(library, createRun, heldBy(LEFT, items), items);
    const right = await openSide(library, createRun, heldBy(RIGHT, items), items);
    const { result, cpuMs } = await timedAsync(() => reconcile(library, left, right));
    for (const { size } of [left, right])
      if (size() !== items.length) throw new Error(`Evolu holds ${size()} of ${items.length}`);
    for (const { close } of [left, right]) await close();
    return { ...result, cpuMs };
  },
};

function isSupported() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return major > NODE_FROM[0] || (major === NODE_FROM[0] && minor >= NODE_FROM[1]);
}

/** The left side asks until the answer says that nothing differs any more. */
async function reconcile(library, left, right) {
  const { createProtocolMessageForSync, applyProtocolMessageAsRelay, applyProtocolMessageAsClient, testAppOwner } =
    library;
  const { writeKey } = testAppOwner;
  let bytes = 0;
  let message = createProtocolMessageForSync(left)(testAppOwner.id);
  for (let round = 1; round <= ROUNDS_MAX; round++) {
    const answer = orThrow(await right.run(applyProtocolMessageAsRelay(message)));
    bytes += message.length + answer.message.length;
    const next = orThrow(await left.run(applyProtocolMessageAsClient(answer.message, { writeKey })));
    if (next.type === 'Converged') return { bytes, roundTrips: round };
    if (next.type !== 'Response') throw new Error(`Evolu answers ${next.type}`);
    message = next.message;
  }
  throw new Error('Evolu did not come to an end');
}

async function openSide(library, createRun, indices, items) {
  const { createBaseSqliteStorageTables, createRelayStorageTables, createRelaySqliteStorage } = library;
  const { ownerIdToOwnerIdBytes, testAppOwner } = library;
  const sqlite = await openSqlite();
  const next = seededRandom(indices.length);
  const deps = { sqlite, random: { next }, timingSafeEqual: (a, b) => Buffer.compare(a, b) === 0 };
  createBaseSqliteStorageTables(deps);
  createRelayStorageTables(deps);
  const storage = createRelaySqliteStorage(deps)({ isOwnerWithinQuota: () => true });
  const ownerId = ownerIdToOwnerIdBytes(testAppOwner.id);
  storage.setWriteKey(ownerId, testAppOwner.writeKey);
  const run = createRun({ storage });
  for (let at = 0; at < indices.length; at += MESSAGES_AT_ONCE) {
    const messages = indices.slice(at, at + MESSAGES_AT_ONCE).map((index) => messageOf(library, items[index], index));
    orThrow(await run(storage.writeMessages(ownerId, messages)));
  }
  const close = async () => {
    await run[Symbol.asyncDispose]();
    sqlite.close();
  };
  return { storage, run, size: () => storage.getSize(ownerId), close };
}

function messageOf({ createTimestamp }, { author }, index) {
  const nodeId = author.toString(16).padStart(16, '0');
  const timestamp = createTimestamp({ millis: FIRST_MS + index, counter: 0, nodeId });
  const change = new Uint8Array(CHANGE_BYTES);
  new DataView(change.buffer).setUint32(0, index);
  return { timestamp, change };
}

/** The driver that its storage asks for. Only imported where it is run, as Node 20 has no SQLite. */
async function openSqlite() {
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(':memory:');
  const statements = new Map();
  const exec = ({ sql, parameters }) => {
    let statement = statements.get(sql);
    if (statement === undefined) statements.set(sql, (statement = database.prepare(sql)));
    if (statement.columns().length > 0) return { rows: statement.all(...parameters), changes: 0 };
    return { rows: [], changes: Number(statement.run(...parameters).changes) };
  };
  const transaction = (work) => {
    database.exec('begin');
    try {
      const result = work();
      database.exec(result?.ok === false ? 'rollback' : 'commit');
      return result;
    } catch (error) {
      database.exec('rollback');
      throw error;
    }
  };
  return { exec, transaction, close: () => database.close() };
}

function orThrow(result) {
  if (!result.ok) throw new Error(`Evolu: ${JSON.stringify(result.error)}`);
  return result.value;
}
