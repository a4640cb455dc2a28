import * as Y from 'yjs';
import { decodeMessage, encodeMessage, STATE_VECTOR, UPDATE } from '../../raw-protocol.mjs';

const RECONNECT_MS = 500;

/** Both send their state vector when they meet, answer with what the other lacks, and then pass on each update. */
export function connect({ url, room }) {
  const doc = new Y.Doc();
  const origin = {};
  let socket;
  let setSynced;
  const synced = new Promise((resolve) => {
    setSynced = resolve;
  });

  const send = (kind, content) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(encodeMessage(kind, content));
  };
  const open = () => {
    socket = new WebSocket(`${url}/${room}`);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => send(STATE_VECTOR, Y.encodeStateVector(doc));
    socket.onclose = () => setTimeout(open, RECONNECT_MS);
    socket.onmessage = ({ data }) => {
      const { kind, content } = decodeMessage(new Uint8Array(data));
      if (kind === STATE_VECTOR) return send(UPDATE, Y.encodeStateAsUpdate(doc, content));
      Y.applyUpdate(doc, content, origin);
      setSynced();
    };
  };
  doc.on('update', (update, from) => {
    if (from !== origin) send(UPDATE, update);
  });
  open();
  return { doc, synced: () => synced, isConnected: () => socket.readyState === WebSocket.OPEN };
}
