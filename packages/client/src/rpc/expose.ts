import * as Comlink from 'comlink';
import { errorToFacts, type ErrorFacts, type Limits } from '@mangrove/protocol';
import type { BackupPiece, EngineApi, RoomListener } from '../worker/engine-api.js';

/** What crosses back: comlink alone would keep only an error's message. */
export type Outcome =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: ErrorFacts };

/** What the page says first. */
export interface EngineOptions {
  readonly database: string;
  readonly limits: Limits;
}

export interface EngineEndpoint {
  start(options: EngineOptions): void;
  call(method: keyof EngineApi, ...args: unknown[]): Promise<Outcome>;
  /** The page has heard this of the network: not every platform tells its workers, and an app may say so itself. */
  network(word: NetworkWord): void;
}

/** Events of a page and of a worker alike. */
export type NetworkWord = 'online' | 'offline';

/** Makes an engine callable from the page that started this worker. */
export function exposeEngine(createEngine: (options: EngineOptions) => EngineApi): void {
  let engine: EngineApi | undefined;
  const notices = new Notices();
  const answer = async (method: keyof EngineApi, args: unknown[]): Promise<Outcome> => {
    try {
      if (engine === undefined) throw new Error('the engine was not started');
      if (method === 'openRoom') args[1] = toListener(args[1] as Comlink.Remote<RoomListener>, notices);
      const run = engine[method] as (...args: unknown[]) => Promise<unknown>;
      return { ok: true, value: await run(...args) };
    } catch (error) {
      return { ok: false, error: errorToFacts(error) };
    }
  };
  const endpoint: EngineEndpoint = {
    start: (options) => {
      engine ??= createEngine(options);
    },
    call: async (method, ...args) => {
      const outcome = await answer(method, args);
      await notices.heard();
      return outcome.ok ? Comlink.transfer(outcome, transferred(method, outcome.value)) : outcome;
    },
    // Where the worker has heard it too, whoever listens asks once more, which does no harm.
    network: (word) => void globalThis.dispatchEvent(new Event(word)),
  };
  Comlink.expose(endpoint);
}

/** What is large and made for this one answer changes hands instead of being copied. */
function transferred(method: keyof EngineApi, value: unknown): Transferable[] {
  const bytes = method === 'readBackup' ? (value as BackupPiece | undefined)?.bytes : undefined;
  return bytes === undefined ? [] : [bytes.buffer as ArrayBuffer];
}

/**
 * What the page is told without being asked. It travels on a channel of its own and may be slower than an answer, but who waits
 * for `synced` is to find `in-sync` in the status: answers wait until what was told before them has been heard.
 */
class Notices {
  readonly #underWay = new Set<Promise<unknown>>();

  /** Nobody waits for the page, and a page that is gone is no error. */
  tell(told: Promise<unknown>): void {
    const heard = told.catch(() => {}).finally(() => this.#underWay.delete(heard));
    this.#underWay.add(heard);
  }

  async heard(): Promise<void> {
    await Promise.all(this.#underWay);
  }
}

function toListener(remote: Comlink.Remote<RoomListener>, notices: Notices): RoomListener {
  return {
    status: (status, metrics) => notices.tell(remote.status(status, metrics)),
    updates: (document, updates) => notices.tell(remote.updates(document, updates)),
    changes: (collection, changes) => notices.tell(remote.changes(collection, changes)),
    peerPresence: (document, peer, state) => notices.tell(remote.peerPresence(document, peer, state)),
    peersGone: (prefix) => notices.tell(remote.peersGone(prefix)),
    presenceWanted: () => notices.tell(remote.presenceWanted()),
    reopened: (hasMoved) => notices.tell(remote.reopened(hasMoved)),
    token: () => remote.token() as Promise<string | undefined>,
  };
}
