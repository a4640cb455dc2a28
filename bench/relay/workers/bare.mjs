// The floor in workerd: a Durable Object with sockets that may hibernate, and what comes from one goes to the others as it is.
import { DurableObject } from 'cloudflare:workers';

export class Room extends DurableObject {
  #log = [];

  async fetch() {
    const [client, server] = Object.values(new WebSocketPair());
    this.ctx.acceptWebSocket(server);
    for (const message of this.#log) server.send(message);
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketMessage(socket, message) {
    this.#log.push(message);
    for (const other of this.ctx.getWebSockets()) if (other !== socket) other.send(message);
  }
}

export default {
  fetch: (request, { ROOMS }) => ROOMS.get(ROOMS.idFromName(new URL(request.url).pathname)).fetch(request),
};
