import * as Comlink from 'comlink';
import { errorToFacts, type ErrorFacts, type Limits } from '@mangrove/protocol';
import type { BackupPiece, EngineApi, RoomListener } from '../worker/engine-api.js';

/** What crosses back: comlink alone would keep only an error's message. */
export type Outcome = (
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: ErrorFacts }
) & {
  /** Told before this answer: a message of its own would cost each keystroke a task of the page. */
  readonly told?: readonly Notice[];
};

/** What the page says first. */
export interface EngineOptions {
  readonly database: string;
  readonly limits: Limits;
}

export interface EngineEndpoint {
  start(options: EngineOptions): void;
  call(method: keyof EngineApi, ...args: unknown[]): Promise<Outcome>;
  /** The page has heard this: not every platform tells its workers of the network, and none of what somebody looks at. */
  heard(word: PageWord): void;
}

/** Events of a page, which its worker has as well from then on. */
export type PageWord = 'online' | 'offline' | 'visible' | 'hidden';

/** What the page is told without being asked; `token` alone is asked for. */
export type Told = Exclude<keyof RoomListener, 'token'>;

/**
 * It goes through the worker's own port, as answers do, or with an answer, so that it arrives before whatever is answered later: who waits for
 * `synced` is to find `in-sync` in the status. Comlink passes over what has no `id`.
 */
export interface Notice {
  /** By which number the page knows who listens. */
  readonly listener: number;
  readonly told: Told;
  readonly args: readonly unknown[];
}

type Token = RoomListener['token'];

/** Makes an engine callable from the page that started this worker. */
export function exposeEngine(createEngine: (options: EngineOptions) => EngineApi): void {
  let engine: EngineApi | undefined;
  const outbox = new Outbox();
  const answer = async (method: keyof EngineApi, args: unknown[]): Promise<Outcome> => {
    try {
      if (engine === undefined) throw new Error('the engine was not started');
      if (method === 'openRoom') args[1] = toListener(args[1] as number, args[2] as Token, outbox);
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
      const outcome = outbox.join(await answer(method, args));
      return outcome.ok ? Comlink.transfer(outcome, transferred(method, outcome.value)) : outcome;
    },
    // Where the worker has heard it too, whoever listens asks once more, which does no harm.
    heard: (word) => void globalThis.dispatchEvent(new Event(word)),
  };
  Comlink.expose(endpoint);
}

/** What is large and made for this one answer changes hands instead of being copied. */
function transferred(method: keyof EngineApi, value: unknown): Transferable[] {
  const bytes = method === 'readBackup' ? (value as BackupPiece | undefined)?.bytes : undefined;
  return bytes === undefined ? [] : [bytes.buffer as ArrayBuffer];
}

/** What waits for the answer that takes it along. Everything arrives in the order in which it was told. */
class Outbox {
  #waiting: Notice[] = [];

  /** Before an answer that the worker gives in this turn of its event loop. */
  wait(notice: Notice): void {
    this.#waiting.push(notice);
  }

  post(notice: Notice): void {
    for (const told of [...this.#take(), notice]) globalThis.postMessage(told);
  }

  join(outcome: Outcome): Outcome {
    return this.#waiting.length === 0 ? outcome : { ...outcome, told: this.#take() };
  }

  #take(): readonly Notice[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    return waiting;
  }
}

function toListener(listener: number, token: Token, outbox: Outbox): RoomListener {
  // Nobody waits for the page: it answers nothing, which would cost it more than hearing.
  const tell =
    <Method extends Told>(told: Method) =>
    (...args: Parameters<RoomListener[Method]>): void =>
      outbox.post({ listener, told, args });
  return {
    status: (status, metrics, isAnswered) => {
      const notice: Notice = { listener, told: 'status', args: [status, metrics] };
      if (isAnswered) outbox.wait(notice);
      else outbox.post(notice);
    },
    updates: tell('updates'),
    changes: tell('changes'),
    peerPresence: tell('peerPresence'),
    peersGone: tell('peersGone'),
    presenceWanted: tell('presenceWanted'),
    reopened: tell('reopened'),
    token: () => token(),
  };
}
