import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';

export function connect({ url, room }) {
  const doc = new Y.Doc();
  const provider = new WebsocketProvider(url, room, doc, { disableBc: true });
  const synced = new Promise((resolve) => provider.once('sync', resolve));
  return { doc, synced: () => synced, isConnected: () => provider.wsconnected };
}
