import type { AuthenticationRequest, RelayOptions } from '@mangrove/relay/node';
import { Miniflare, type Request, Response } from 'miniflare';
import { bundleWorker } from './bundle.js';

export interface WorkerdRelay {
  readonly url: string;
  /** All objects are gone, and with them whatever is not on disk. */
  close(): Promise<void>;
}

let bundle: Promise<string> | undefined;

/** The relay as it runs on Cloudflare, in workerd: `storage` is where its objects have their databases. */
export async function startWorkerd(
  options: RelayOptions,
  { forgetful = false, port = 0 }: { readonly forgetful?: boolean; readonly port?: number } = {},
): Promise<WorkerdRelay> {
  bundle ??= bundleWorker('relay-worker.ts');
  const { authenticate, onFault, storage, ...data } = options;
  const workerd = new Miniflare({
    modules: [{ type: 'ESModule', path: 'worker.mjs', contents: await bundle }],
    compatibilityDate: '2026-04-01',
    compatibilityFlags: ['nodejs_compat'],
    bindings: { OPTIONS: JSON.stringify(data), FORGETFUL: forgetful ? '1' : '' },
    durableObjects: { ROOMS: { className: 'MangroveRoom', useSQLite: true } },
    serviceBindings: {
      FAULT: async (request: Request) => {
        onFault?.(await request.json());
        return new Response();
      },
      ...(authenticate === undefined ? {} : { AUTHENTICATE: (request: Request) => ask(authenticate, request) }),
    },
    ...(storage === undefined ? {} : { durableObjectsPersist: storage }),
    host: '127.0.0.1',
    port,
    cf: false,
  });
  const url = (await workerd.ready).href.replace(/\/$/, '');
  let closed: Promise<void> | undefined;
  return { url, close: () => (closed ??= workerd.dispose()) };
}

/** What is used once is not asked about from there. */
const CONTEXT = { nowMs: 0, once: () => Promise.reject(new Error('not in workerd')) };

async function ask(authenticate: NonNullable<RelayOptions['authenticate']>, request: Request): Promise<Response> {
  try {
    return new Response(JSON.stringify(await authenticate((await request.json()) as AuthenticationRequest, CONTEXT)));
  } catch (error) {
    return new Response(String(error), { status: 500 });
  }
}

export interface ObjectRows {
  /** Instances of objects that this workerd has made. */
  readonly instances: number;
  /** Calls of all objects by their sockets and alarms. */
  readonly calls: { readonly messages: number; readonly bytes: number; readonly alarms: number };
  /** Rows of the database that the instance has read and written. */
  readonly read: number;
  readonly written: number;
  /** Rows that plans have written. */
  readonly planned: number;
  readonly tables: Readonly<Record<string, number>>;
  /** Of all rows of the room, with their keys. */
  readonly bytes: number;
}

export async function readRows(url: string, room: string): Promise<ObjectRows> {
  const response = await fetch(`${url}/rooms/${encodeURIComponent(room)}/rows`);
  return (await response.json()) as ObjectRows;
}

/** What the Worker's own code may ask of a room. */
export async function askWorker<Answer>(
  url: string,
  asked: { readonly call: 'revoke' | 'figures'; readonly room: string; readonly selector?: object },
): Promise<Answer> {
  const response = await fetch(`${url}/govern`, { method: 'POST', body: JSON.stringify(asked) });
  return (await response.json()) as Answer;
}
