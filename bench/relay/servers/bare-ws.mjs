// What everybody accepts as the floor: `ws`, and what comes from one goes to the others as it is. What came is kept in memory for who joins late.
import { WebSocketServer } from 'ws';
import { listening } from '../../e2e/servers/listening.mjs';

const rooms = new Map();
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false, backlog: 1024 });

server.on('connection', (socket, { url }) => {
  if (!rooms.has(url)) rooms.set(url, { sockets: new Set(), log: [] });
  const { sockets, log } = rooms.get(url);
  for (const message of log) socket.send(message);
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
  socket.on('error', () => {});
  socket.on('message', (message) => {
    log.push(message);
    for (const other of sockets) if (other !== socket) other.send(message);
  });
});
server.on('listening', () => listening(server.address().port));
