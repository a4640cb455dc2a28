import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

/** A stand-in for a relay over real sockets: it says what a test wants it to say. */
export class StandIn {
  readonly paths: string[] = [];
  readonly sockets: WebSocket[] = [];
  readonly received: string[] = [];
  /** False: a text `ping` gets no answer, as from a connection that only seems to be open. */
  answersPings = true;
  readonly #server: Server = createServer();
  readonly #sockets = new WebSocketServer({ server: this.#server });
  /** What it says first, if anything. */
  firstWord: Uint8Array | undefined;
  port = 0;

  async listen(port = 0): Promise<void> {
    this.#sockets.on('connection', (socket, request) => {
      this.paths.push(request.url ?? '');
      this.sockets.push(socket);
      if (this.firstWord !== undefined) socket.send(this.firstWord);
      socket.on('message', (data: Buffer, isBinary) => {
        this.received.push(isBinary ? `binary ${data.toString('hex')}` : data.toString());
        if (!isBinary && data.toString() === 'ping' && this.answersPings) socket.send('pong');
      });
    });
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    this.port = (this.#server.address() as AddressInfo).port;
  }

  get last(): WebSocket {
    return this.sockets.at(-1) as WebSocket;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
