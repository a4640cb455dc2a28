import { fileURLToPath } from 'node:url';
import { versionOf } from '../support/machine.mjs';

const server = (name) => fileURLToPath(new URL(`servers/${name}.mjs`, import.meta.url));
const versions = (...names) => Object.fromEntries(names.map((name) => [name, versionOf(name)]));

/** Who is measured, in the order of the tables. What each keeps where is part of the figures. */
export const contestants = [
  {
    id: 'raw-yjs',
    name: 'raw Yjs over ws',
    server: server('raw-yjs'),
    versions: () => versions('yjs', 'ws'),
    browserStore: 'none',
    serverStore: 'memory',
    signed: 'no',
    sent: 'at once',
  },
  {
    id: 'y-websocket',
    name: 'y-websocket',
    server: server('y-websocket'),
    versions: () => versions('y-websocket', '@y/websocket-server'),
    browserStore: 'none',
    serverStore: 'memory',
    signed: 'no',
    sent: 'at once',
  },
  {
    id: 'hocuspocus',
    name: 'Hocuspocus',
    server: server('hocuspocus'),
    versions: () => versions('@hocuspocus/provider', '@hocuspocus/server'),
    browserStore: 'none',
    serverStore: 'memory',
    signed: 'no',
    sent: 'at once',
  },
  {
    id: 'mangrove',
    name: 'Mangrove',
    server: server('mangrove'),
    versions: () => versions('@mangrove/client', '@mangrove/relay'),
    browserStore: 'IndexedDB, strict, at both ends',
    serverStore: 'LMDB, synced to disk',
    signed: 'each delta, verified by the receiver',
    sent: "after A's disk; passed on after the relay's disk",
  },
];
