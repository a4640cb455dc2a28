import * as Comlink from 'comlink';
import { errorToFacts, type ErrorFacts, type Limits } from '@mangrove/protocol';
import type { EngineApi, RoomListener } from '../worker/engine-api.js';

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
}

/** Makes an engine callable from the page that started this worker. */
export function exposeEngine(createEngine: (options: EngineOptions) => EngineApi): void {
  let engine: EngineApi | undefined;
  const endpoint: EngineEndpoint = {
    start: (options) => {
      engine ??= createEngine(options);
    },
    call: async (method, ...args) => {
      try {
        if (engine === undefined) throw new Error('the engine was not started');
        if (method === 'openRoom') args[1] = toListener(args[1] as Comlink.Remote<RoomListener>);
        const run = engine[method] as (...args: unknown[]) => Promise<unknown>;
        return { ok: true, value: await run(...args) };
      } catch (error) {
        return { ok: false, error: errorToFacts(error) };
      }
    },
  };
  Comlink.expose(endpoint);
}

/** Notices to the page expect no answer; a page that is gone is no error. */
function toListener(remote: Comlink.Remote<RoomListener>): RoomListener {
  const tell = (told: Promise<unknown>): void => {
    told.catch(() => {});
  };
  return {
    status: (status) => tell(remote.status(status)),
    updates: (document, updates) => tell(remote.updates(document, updates)),
    changes: (collection, changes) => tell(remote.changes(collection, changes)),
    peerPresence: (document, peer, state) => tell(remote.peerPresence(document, peer, state)),
    peersGone: (prefix) => tell(remote.peersGone(prefix)),
    presenceWanted: () => tell(remote.presenceWanted()),
    reopened: () => tell(remote.reopened()),
    token: () => remote.token() as Promise<string | undefined>,
  };
}
