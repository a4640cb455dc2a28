// Hocuspocus as it comes, without an extension that stores: documents are kept in memory.
import { Server } from '@hocuspocus/server';
import { listening } from './listening.mjs';

const server = new Server({ port: 0, address: '127.0.0.1', quiet: true });
await server.listen();
listening(server.address.port);
