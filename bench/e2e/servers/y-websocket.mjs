// The server of y-websocket as it ships; without YPERSISTENCE it keeps documents in memory.
import { createRequire } from 'node:module';
import { createServer } from 'node:http';
import { setupWSConnection } from '@y/websocket-server/utils';
import { listening } from './listening.mjs';

// Its own ws, not the bench's: the version is part of the contestant.
const require = createRequire(createRequire(import.meta.url).resolve('@y/websocket-server/package.json'));
const { Server: WebSocketServer } = require('ws');

const http = createServer();
const sockets = new WebSocketServer({ noServer: true });
sockets.on('connection', setupWSConnection);
http.on('upgrade', (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, (webSocket) => sockets.emit('connection', webSocket, request));
});
http.listen(0, '127.0.0.1', () => listening(http.address().port));
