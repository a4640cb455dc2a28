import { fileURLToPath } from 'node:url';
import { versionOf } from '../support/machine.mjs';

const server = (path) => fileURLToPath(new URL(path, import.meta.url));
const versions = (...names) => Object.fromEntries(names.map((name) => [name, versionOf(name)]));
const worker = (name) => ({ script: server('servers/workerd.mjs'), args: [name], isWorkerd: true });
const node = (path) => ({ script: server(path), args: [], isWorkerd: false });

/** Who is measured, in the order of the tables, and what each does with what it gets. */
export const contestants = [
  {
    id: 'bare-ws',
    name: 'bare ws',
    ...node('servers/bare-ws.mjs'),
    protocol: 'bare',
    keeps: 'messages, in memory',
    versions: () => versions('ws'),
  },
  {
    id: 'y-websocket',
    name: 'y-websocket',
    ...node('../e2e/servers/y-websocket.mjs'),
    protocol: 'sync',
    keeps: 'a Y.Doc, in memory',
    versions: () => versions('@y/websocket-server', 'yjs'),
  },
  {
    id: 'hocuspocus',
    name: 'Hocuspocus',
    ...node('../e2e/servers/hocuspocus.mjs'),
    protocol: 'hocuspocus',
    keeps: 'a Y.Doc, in memory',
    versions: () => versions('@hocuspocus/server'),
  },
  {
    id: 'mangrove',
    name: 'Mangrove',
    ...node('servers/mangrove.mjs'),
    protocol: 'mangrove',
    checkpoints: true,
    keeps: 'signed deltas, in LMDB, synced before anybody is told',
    versions: () => versions('@mangrove/relay'),
  },
  {
    id: 'bare-workerd',
    name: 'bare workerd',
    ...worker('bare'),
    protocol: 'bare',
    keeps: 'messages, in memory',
    versions: () => versions('miniflare', 'workerd'),
  },
  {
    id: 'y-partyserver',
    name: 'y-partyserver',
    ...worker('y-partyserver'),
    protocol: 'party',
    keeps: 'a Y.Doc, in memory',
    versions: () => versions('y-partyserver', 'partyserver'),
  },
  {
    id: 'mangrove-workerd',
    name: 'Mangrove in workerd',
    ...worker('mangrove'),
    protocol: 'mangrove',
    checkpoints: true,
    keeps: "signed deltas, in the object's SQLite, behind its output gate",
    versions: () => ({}),
  },
];
