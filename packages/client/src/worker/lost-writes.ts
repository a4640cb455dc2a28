import { giveUpLost, type GivenUp, readGivenUp, type ReplicaId, type RoomRef, type Store } from '@mangrove/protocol';

/** [AE7] Gives up own writes that the disk has lost before any relay had them. `isSo`: whether the relay has nothing that is not here. */
export async function giveUpWrites(
  store: Store,
  room: RoomRef,
  replica: ReplicaId,
  isSo: () => boolean,
): Promise<readonly GivenUp[]> {
  const found = await store.transact((tx) => readGivenUp(tx, room, replica), { mode: 'read' });
  if (found.length === 0 || !isSo()) return [];
  return store.transact((tx) => giveUpLost(tx, room, replica), { mode: 'write', durability: 'strict' });
}
