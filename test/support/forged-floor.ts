import {
  commitFloor,
  deriveFloorKeyId,
  EMPTY_CONTEXT,
  FLAG,
  type Floor,
  floorToBytes,
  type Hlc,
  hlcFromMs,
  makeUnsignedDelta,
  readNumber,
  readRoot,
  signDelta,
} from '@mangrove/protocol';
import { type Profile, roomRef } from './client-world.js';

/** Makes the floor part of a profile's set and outbox, as a member who lies would. */
export async function forgeFloor(profile: Profile, floor: Floor, name = 'team'): Promise<void> {
  const { world } = profile;
  const ref = roomRef(name);
  const floorKeyId = deriveFloorKeyId(ref.hash, ref.roomId);
  const { replica, signer } = profile.identity(ref.roomId);
  const store = profile.store(name);
  const { seq, root, epoch } = await store.transact(
    function* (tx) {
      const { root } = yield* readRoot(tx);
      return { seq: (yield* readNumber(tx, 'seq')) + 1, root, epoch: yield* readNumber(tx, 'epoch') };
    },
    { mode: 'read' },
  );
  const hlc = (hlcFromMs(world.nowMs + 1) + 1) as Hlc;
  const unsigned = makeUnsignedDelta(
    ref.hash,
    ref.roomId,
    {
      replica,
      seq,
      keyId: floorKeyId,
      hlc,
      writtenAt: hlc,
      prev: 0 as Hlc,
      context: EMPTY_CONTEXT,
      flags: FLAG.floor,
      nonces: [],
    },
    floorToBytes(floor),
  );
  const delta = signDelta(unsigned, await signer.sign(unsigned.message));
  const draft = { unsigned, root, collected: 0 };
  const taken = await store.transact((tx) => commitFloor(tx, ref, delta, draft, epoch, world.nowMs), {
    mode: 'write',
    durability: 'strict',
  });
  if (taken === undefined) throw new Error('the set has moved while the floor was forged');
}
