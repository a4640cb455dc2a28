import type { SqlDatabase } from '../storage/sql/sql-database.js';

/** What of Cloudflare's runtime is used here: so much is needed of a Durable Object, and no package of types. */
export interface ObjectSocket {
  readonly readyState: number;
  send(message: Uint8Array | string): void;
  close(code: number, reason: string): void;
  /** Kept with the socket while the object is not in memory; 16,384 bytes at most. */
  serializeAttachment(value: unknown): void;
  deserializeAttachment(): unknown;
}

export interface ObjectStorage extends SqlDatabase {
  getAlarm(): Promise<number | null>;
  setAlarm(atMs: number): Promise<void>;
}

export interface ObjectState {
  readonly storage: ObjectStorage;
  acceptWebSocket(socket: ObjectSocket): void;
  getWebSockets(): ObjectSocket[];
  setWebSocketAutoResponse(pair: unknown): void;
  blockConcurrencyWhile<Result>(run: () => Promise<Result>): Promise<Result>;
  waitUntil(promise: Promise<unknown>): void;
}

export interface ObjectNamespace {
  idFromName(name: string): unknown;
  get(id: never): { fetch(request: Request): Promise<Response> };
}

declare const WebSocketPair: new () => { readonly 0: object; readonly 1: ObjectSocket };
declare const WebSocketRequestResponsePair: new (request: string, response: string) => object;

const OPEN = 1;

export function isOpen(socket: ObjectSocket): boolean {
  return socket.readyState === OPEN;
}

/** Both ends of a new socket, and the answer that gives the client its end. */
export function openSocket(): { readonly socket: ObjectSocket; readonly response: () => Response } {
  const { 0: webSocket, 1: socket } = new WebSocketPair();
  return { socket, response: () => new Response(null, { status: 101, webSocket } as ResponseInit) };
}

/** Answered by the runtime, without waking the object. */
export function autoResponse(request: string, response: string): object {
  return new WebSocketRequestResponsePair(request, response);
}
