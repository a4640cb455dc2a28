import { HocuspocusProvider } from '@hocuspocus/provider';
import * as Y from 'yjs';

export function connect({ url, room }) {
  const doc = new Y.Doc();
  let isConnected = false;
  const provider = new HocuspocusProvider({
    url,
    name: room,
    document: doc,
    onStatus: ({ status }) => {
      isConnected = status === 'connected';
    },
  });
  const synced = new Promise((resolve) => provider.on('synced', resolve));
  return { doc, synced: () => synced, isConnected: () => isConnected };
}
