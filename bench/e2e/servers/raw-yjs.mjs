// Yjs with nothing around it: what comes from one goes to the others as it is. The state is kept in memory for who joins late.
import { WebSocketServer } from 'ws';
import * as Y from 'yjs';
import { decodeMessage, encodeMessage, STATE_VECTOR, UPDATE } from '../raw-protocol.mjs';
import { listening } from './listening.mjs';

const rooms = new Map();
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });

server.on('connection', (socket, request) => {
  const room = roomOf(request.url ?? '/');
  room.sockets.add(socket);
  socket.on('close', () => room.sockets.delete(socket));
  socket.on('error', () => {});
  socket.on('message', (bytes) => receive(room, socket, new Uint8Array(bytes)));
  socket.send(encodeMessage(STATE_VECTOR, Y.encodeStateVector(room.doc)));
});
server.on('listening', () => listening(server.address().port));

function roomOf(path) {
  let room = rooms.get(path);
  if (room === undefined) rooms.set(path, (room = { doc: new Y.Doc(), sockets: new Set() }));
  return room;
}

function receive(room, socket, bytes) {
  const { kind, content } = decodeMessage(bytes);
  if (kind === STATE_VECTOR) {
    socket.send(encodeMessage(UPDATE, Y.encodeStateAsUpdate(room.doc, content)));
    return;
  }
  for (const other of room.sockets) if (other !== socket) other.send(bytes);
  Y.applyUpdate(room.doc, content);
}
