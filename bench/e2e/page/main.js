import * as Y from 'yjs';
import { measureClock, now } from './clock.js';
import { Typist } from './typist.js';

// Each contestant is a chunk of its own: a page loads the code of one only.
const contestants = {
  'raw-yjs': () => import('./contestants/raw-yjs.js'),
  'y-websocket': () => import('./contestants/y-websocket.js'),
  hocuspocus: () => import('./contestants/hocuspocus.js'),
  mangrove: () => import('./contestants/mangrove.js'),
};

let link;
let typist;
let stateVector;

/** What the driver calls. Everything it waits for is a promise; nothing of it runs while a region is measured. */
globalThis.bench = {
  measureClock,

  async connect({ contestant, url, room, seed }) {
    const { connect } = await contestants[contestant]();
    link = await connect({ url, room });
    typist = new Typist(link.doc.getText('text'), seed);
    await link.synced();
  },

  length: () => typist.text.length,
  content: () => typist.text.toString(),
  type: (options) => typist.type(options),
  /** Times at which the model had each length, from what others typed: [length, time] in order. */
  takeArrivals: () => typist.takeArrivals(),
  waitForLength: (length) => typist.waitForLength(length),

  markStateVector: () => {
    stateVector = Y.encodeStateVector(link.doc);
  },
  /** Bytes of one Yjs update with everything typed here since the mark: what any Yjs system has to send. */
  neededBytes: () => Y.encodeStateAsUpdate(link.doc, stateVector).length,

  /** Resolves when what was typed is where the contestant keeps it in the browser. */
  kept: () => link.kept?.(),
  standing: () => link.standing?.(),
  isConnected: () => link.isConnected(),
  now,
};
