import { bytesToRoomId } from '@mangrove/protocol';
import { DEFAULT_BOUNDS, type SqlBounds } from '../../../packages/relay/src/storage/sql/bounds.js';
import type { SqlDatabase } from '../../../packages/relay/src/storage/sql/sql-database.js';
import { openSql } from '../../../packages/relay/src/storage/sql/sql-store.js';
import { describeStore } from '../../contracts/store-contract.js';
import { describeRows } from './sql-rows.js';
import { runTests } from './vitest-in-worker.js';

/** So small that a few rows fill, cut, empty and reread everything. */
const TINY: SqlBounds = {
  slots: 3,
  commitBytesMax: 60,
  recentBytesMax: 100,
  pageBytesMax: 60,
  pageBytesCut: 40,
  cacheBytesMax: 150,
  inlineBytesMax: 2,
  pieceBytes: 30_000,
};
const ROOM = bytesToRoomId(new Uint8Array(32).fill(0xaa));

interface State {
  readonly storage: SqlDatabase & { deleteAll(): Promise<void> };
}

/** Runs the contract of stores inside of a Durable Object, over its own storage. */
export class StoreUnderTest {
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
  }

  async fetch(): Promise<Response> {
    const { storage } = this.#state;
    for (const [name, bounds] of [['sql', DEFAULT_BOUNDS] as const, ['sql in tiny pages', TINY] as const])
      describeStore(name, async () => {
        await storage.deleteAll();
        const store = openSql(storage, bounds).room(ROOM);
        return {
          store,
          // Whatever was in memory is gone: another instance of the object reads what is on disk.
          reopen: async () => {
            await store.close();
            return openSql(storage, bounds).room(ROOM);
          },
          destroy: async () => {},
        };
      });
    describeRows(storage);
    return Response.json(await runTests());
  }
}

interface Env {
  readonly STORE: {
    idFromName(name: string): unknown;
    get(id: unknown): { fetch(request: Request): Promise<Response> };
  };
}

export default {
  fetch: (request: Request, env: Env): Promise<Response> => env.STORE.get(env.STORE.idFromName('store')).fetch(request),
};
