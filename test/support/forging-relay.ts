import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import {
  bytesToReplicaMessage,
  defaultLimits,
  FrameJoiner,
  type Message,
  LinkMemory,
  messageToBytes,
  messageToFrames,
  type RelayMessage,
  type ReplicaMessage,
} from '@mangrove/protocol';
import { WebSocket, WebSocketServer } from 'ws';

/**
 * A relay gone bad: it passes on what a real relay and its clients say to each other, and adds what a test wants it to say. So
 * everything around the forgery is real, certificates included.
 */
export class ForgingRelay {
  /** What clients have said to it. */
  readonly heard: ReplicaMessage[] = [];
  readonly #server: WebSocketServer;
  readonly #clients = new Set<WebSocket>();

  static async open(relayUrl: string): Promise<ForgingRelay> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
    await once(server, 'listening');
    return new ForgingRelay(server, relayUrl.replace(/^http/, 'ws'));
  }

  private constructor(server: WebSocketServer, relayUrl: string) {
    this.#server = server;
    server.on('connection', (client, request) => {
      const relay = new WebSocket(`${relayUrl}${request.url}`, { perMessageDeflate: false });
      const early: [Buffer, boolean][] = [];
      const joiner = new FrameJoiner(defaultLimits);
      const told = new LinkMemory();
      this.#clients.add(client);
      relay.on('open', () => {
        for (const [data, isBinary] of early) relay.send(data, { binary: isBinary });
      });
      client.on('message', (data: Buffer, isBinary) => {
        if (isBinary) this.#hear(joiner, told, data);
        if (relay.readyState === WebSocket.OPEN) relay.send(data, { binary: isBinary });
        else early.push([data, isBinary]);
      });
      relay.on('message', (data: Buffer, isBinary) => client.send(data, { binary: isBinary }));
      client.on('close', () => {
        this.#clients.delete(client);
        relay.terminate();
      });
      relay.on('close', () => client.terminate());
      for (const socket of [client, relay]) socket.on('error', () => {});
    });
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get clientCount(): number {
    return this.#clients.size;
  }

  say(message: RelayMessage): void {
    for (const frame of messageToFrames(messageToBytes(message as Message), defaultLimits)) this.sayBytes(frame);
  }

  sayBytes(frame: Uint8Array | string): void {
    for (const client of this.#clients) client.send(frame);
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.terminate();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  #hear(joiner: FrameJoiner, told: LinkMemory, data: Buffer): void {
    const bytes = joiner.add(new Uint8Array(data));
    if (bytes !== undefined) this.heard.push(bytesToReplicaMessage(bytes, told));
  }
}
