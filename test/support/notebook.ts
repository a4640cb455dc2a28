import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

interface Listener {
  note(note: readonly string[]): void;
  ended(): void;
}

/** Where pages leave notes that outlive them, their browser and the network between it and the relay. */
export class Notebook {
  readonly #server: WebSocketServer;
  readonly #listeners = new Map<string, Listener>();

  static async open(): Promise<Notebook> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    return new Notebook(server);
  }

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on('connection', (socket) => {
      // A browser that is killed closes nothing.
      socket.on('error', () => {});
      const marks = new Set<string>();
      socket.on('message', (data) => {
        const [mark, ...note] = JSON.parse(String(data)) as [string, ...string[]];
        marks.add(mark);
        this.#listeners.get(mark)?.note(note);
      });
      socket.on('close', () => {
        for (const mark of marks) this.#listeners.get(mark)?.ended();
      });
    });
  }

  get address(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Notes that begin with the mark, from now on. `ended`: the page is gone, and all that it has noted has come. */
  listen(mark: string, note: Listener['note'], ended: Listener['ended'] = () => {}): void {
    this.#listeners.set(mark, { note, ended });
  }

  async close(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
