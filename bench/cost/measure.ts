import { defaultLimits } from '@mangrove/protocol';
import { NodeReplica } from '../../test/support/node-replica.js';
import { until } from '../../test/support/until.js';
import { WorkerdProcess } from '../../test/support/workerd/workerd-process.js';
import { type ObjectRows, readRows } from '../../test/support/workerd/workerd-relay.js';

const ROOM = 'page';
const WARM_UP_MS = 10_000;
/** About what an editor binding says of a cursor. */
const CURSOR_BYTES = 90;

export interface Scene {
  readonly people: number;
  readonly keyEveryMs: number;
  readonly durationMs: number;
  /** Whether each key tells the others where the cursor is, as an editor does. */
  readonly cursors: boolean;
}

/** What one room has cost in so many ms: differences of what its object counts. */
export interface Measured extends Scene {
  readonly keys: number;
  /** How long typing took: longer than it should on a machine that cannot keep up. */
  readonly tookMs: number;
  readonly messages: number;
  readonly messageBytes: number;
  readonly alarms: number;
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly rowsPlanned: number;
  readonly keptBytes: number;
}

/** People type into one document, all at once: the shipped client's engine for each, one real room in workerd. All have the same in the end. */
export async function measure(scene: Scene, { warmUpMs = WARM_UP_MS } = {}): Promise<Measured> {
  const relay = await WorkerdProcess.start();
  try {
    const replicas = await Promise.all(Array.from({ length: scene.people }, () => NodeReplica.open(relay.url, ROOM)));
    const typists = await Promise.all(replicas.map((replica) => replica.typist('paper')));
    const type = async (durationMs: number): Promise<number> => {
      const keys = Math.floor(durationMs / scene.keyEveryMs);
      const beginMs = performance.now();
      await Promise.all(
        typists.map(async (typist, who) => {
          for (let key = 0; key < keys; key++) {
            const atMs = beginMs + (key + who / scene.people) * scene.keyEveryMs;
            await new Promise((resolve) => setTimeout(resolve, atMs - performance.now()));
            await typist.type(String.fromCharCode(97 + ((key * 7 + who) % 26)));
            if (scene.cursors) await typist.moveCursor(new Uint8Array(CURSOR_BYTES).fill(key));
          }
        }),
      );
      return keys * typists.length;
    };
    await type(warmUpMs);
    await agree(relay, replicas);
    const before = await readRows(relay.url, ROOM);
    const beginMs = performance.now();
    const keys = await type(scene.durationMs);
    const tookMs = performance.now() - beginMs;
    await agree(relay, replicas);
    const after = await readRows(relay.url, ROOM);
    await Promise.all(replicas.map((replica) => replica.close()));
    return { ...scene, keys, tookMs, ...difference(before, after) };
  } finally {
    await relay.stop();
  }
}

function difference(before: ObjectRows, after: ObjectRows): Omit<Measured, keyof Scene | 'keys' | 'tookMs'> {
  return {
    messages: after.calls.messages - before.calls.messages,
    messageBytes: after.calls.bytes - before.calls.bytes,
    alarms: after.calls.alarms - before.calls.alarms,
    rowsRead: after.read - before.read,
    rowsWritten: after.written - before.written,
    rowsPlanned: after.planned - before.planned,
    keptBytes: after.bytes - before.bytes,
  };
}

async function agree(relay: WorkerdProcess, replicas: readonly NodeReplica[]): Promise<void> {
  const isAgreed = async (): Promise<boolean> => {
    // A connection that was kept alive may have been closed just then.
    const root = (await relay.version(ROOM).catch(() => undefined))?.root;
    return replicas.every(({ status }) => status.sync === 'in-sync' && status.root === root);
  };
  await until('one root', isAgreed, { withinMs: 10 * defaultLimits.stallMsMax });
}
