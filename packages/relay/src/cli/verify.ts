import {
  bytesToCertificate,
  bytesToDelta,
  bytesToHex,
  bytesToReplicaId,
  certificateMessage,
  deltaMessage,
  deriveReplicaId,
  equalBytes,
  isStrictSignature,
  type Row,
  readRoot,
  readUsage,
  rebuildTrie,
  successor,
  trieKeyOf,
} from '@mangrove/protocol';
import { createVerifier } from '../runtimes/node-crypto.js';
import { CommandError, EXIT, type Folder, type FoundRoom, read, roomsOf } from './folder.js';

const PAGE_ROWS = 512;
const EXAMPLES = 5;

/** What is in a folder: a line a room. */
export async function inspect(folder: Folder): Promise<readonly string[]> {
  const lines = ['room  history  deltas  bytes  replicas  root'];
  for (const { ref, store } of await roomsOf(folder)) {
    const { usage, replicas, root } = await read(store, function* (tx) {
      const usage = yield* readUsage(tx);
      const keys = yield* tx.keys('certificates', { from: new Uint8Array() });
      return { usage, replicas: keys.length, root: (yield* readRoot(tx)).root };
    });
    const columns = [ref.roomId, ref.history, usage.deltas, usage.bytes, replicas, bytesToHex(root)];
    lines.push(columns.join('  '));
  }
  return lines;
}

/**
 * Reads everything and recomputes what can be: each delta is what its key says and is signed by its writer, each certificate by its issuer, and the
 * Merkle root is that of the deltas. Throws `CommandError` with what is wrong.
 */
export async function verify(folder: Folder): Promise<readonly string[]> {
  const lines: string[] = [];
  const problems: string[] = [];
  let deltas = 0;
  const rooms = await roomsOf(folder);
  for (const room of rooms) {
    const found = await verifyRoom(room);
    deltas += found.deltas;
    problems.push(...found.problems.map((problem) => `room ${room.ref.roomId}: ${problem}`));
    lines.push(`room ${room.ref.roomId}: ${found.deltas} deltas, ${found.problems.length} problems`);
  }
  if (problems.length > 0) {
    const shown = problems.slice(0, EXAMPLES).join('; ');
    throw new CommandError(`${problems.length} problems: ${shown}`, EXIT.problem);
  }
  return [...lines, `${rooms.length} rooms and ${deltas} deltas are what they should be`];
}

async function verifyRoom(room: FoundRoom): Promise<{ readonly deltas: number; readonly problems: readonly string[] }> {
  const problems: string[] = [];
  const keys = await verifyCertificates(room, problems);
  const deltas = await verifyDeltas(room, keys, problems);
  const [stored, fresh] = await rootsOf(room);
  if (!equalBytes(stored, fresh)) problems.push('its Merkle root is not that of its deltas');
  return { deltas, problems };
}

async function verifyCertificates({ ref, store }: FoundRoom, problems: string[]): Promise<Map<string, Uint8Array>> {
  const { hash, roomId } = ref;
  const verifier = createVerifier();
  const keys = new Map<string, Uint8Array>();
  for await (const [key, row] of rowsOf(store, 'certificates')) {
    const replica = bytesToReplicaId(key);
    try {
      const { publicKey, issuedAtMs, issuer, signature } = bytesToCertificate(row);
      const message = certificateMessage(roomId, publicKey, issuedAtMs);
      const isOf = deriveReplicaId(hash, roomId, publicKey) === replica;
      if (isOf && isStrictSignature(issuer, signature) && (await verifier.verify(issuer, message, signature)))
        keys.set(replica, publicKey);
      else problems.push(`the certificate of replica ${replica} is not signed by its issuer`);
    } catch {
      problems.push(`the certificate of replica ${replica} cannot be read`);
    }
  }
  return keys;
}

async function verifyDeltas(
  { ref, store }: FoundRoom,
  keys: ReadonlyMap<string, Uint8Array>,
  problems: string[],
): Promise<number> {
  const verifier = createVerifier();
  let count = 0;
  for await (const [key, row] of rowsOf(store, 'deltas')) {
    count++;
    const name = bytesToHex(key).slice(0, 64);
    try {
      const delta = bytesToDelta(ref.hash, ref.roomId, row);
      const publicKey = keys.get(delta.replica);
      if (!equalBytes(trieKeyOf(delta), key)) problems.push(`delta ${name} is not what its key says`);
      else if (publicKey === undefined) problems.push(`the writer of delta ${name} has no certificate`);
      else if (
        !isStrictSignature(publicKey, delta.signature) ||
        !(await verifier.verify(publicKey, deltaMessage(delta.id), delta.signature))
      )
        problems.push(`delta ${name} is not signed by its writer`);
    } catch {
      problems.push(`delta ${name} cannot be read`);
    }
  }
  return count;
}

/** As it is stored, and as it comes out anew. */
async function rootsOf({ ref, store }: FoundRoom): Promise<readonly [Uint8Array, Uint8Array]> {
  let roots: readonly [Uint8Array, Uint8Array] | undefined;
  const undone = new Error('nothing is to be written');
  try {
    await store.transact(
      function* (tx) {
        const { root } = yield* readRoot(tx);
        roots = [root, (yield* rebuildTrie(tx, ref.hash)).root];
        throw undone;
      },
      { mode: 'write', durability: 'relaxed' },
    );
  } catch (error) {
    if (error !== undone) throw error;
  }
  return roots as readonly [Uint8Array, Uint8Array];
}

async function* rowsOf(
  store: FoundRoom['store'],
  table: 'certificates' | 'deltas',
): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
  for (let from: Uint8Array | undefined = new Uint8Array(); from !== undefined; ) {
    const range = { from, limit: PAGE_ROWS };
    const rows: readonly Row[] = await read(store, (tx) => tx.rows(table, range));
    yield* rows;
    const last = rows.at(-1);
    from = last === undefined || rows.length < PAGE_ROWS ? undefined : successor(last[0]);
  }
}
