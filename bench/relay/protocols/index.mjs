import { BareClient } from './bare.mjs';
import { HocuspocusClient } from './hocuspocus.mjs';
import { MangroveClient } from './mangrove.mjs';
import { PartyClient, SyncClient } from './sync.mjs';

export const protocols = {
  bare: BareClient,
  sync: SyncClient,
  party: PartyClient,
  hocuspocus: HocuspocusClient,
  mangrove: MangroveClient,
};
