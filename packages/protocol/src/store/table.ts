/**
 * The tables of a room's store and what a row of each holds. Keys are bytes and sort as bytes. A replica and a relay use the
 * same tables where the idea is the same; the last column says who has it.
 */
export const TABLES = [
  /** name (UTF-8) → bytes; single values such as the root, the clock, the cursor. Both. */
  'meta',
  /** trieKey 64 → delta. The set under the Merkle index [MK1]. Both. */
  'deltas',
  /** slot → Merkle node [MK4]. Both. */
  'nodes',
  /** replica 8 • u64 seq → trieKey, for every delta in the set. Both. */
  'dots',
  /** keyId 16 → the contexts of those siblings that have one. Both. */
  'contexts',
  /**
   * replica 8 → u64 highest contiguous seq held or covered, 0 where the first is missing • u64 how far of that is proved • u64 the hlc
   * there, 0 where it is not known [SY3, FL7]. Both.
   */
  'vector',
  /** replica 8 → certificate. Both. */
  'certificates',
  /** replica 8 → newest head statement. Both. */
  'heads',
  /** u64 ms • trieKey → delta: superseded bytes that are still kept [CX8, CP8]. Both. */
  'retained',
  /** u64 offset → roll 8 • trieKey • u64 bytes of all deltas before it • u64 its own bytes. Relay. */
  'log',
  /** kind u8 • varString collection • id (UTF-8) → keyId. Replica. */
  'names',
  /** keyId 16 • u64 row → journal row. Replica. */
  'journal',
  /** u64 seq → what an own delta that the relay has not acknowledged stands for. Replica. */
  'outbox',
  /** keyId 16 → u64 hlc of this replica's previous standing delta of the key [JS5]. Replica. */
  'previous',
  /** deltaId 32 → reason and delta. Replica. */
  'quarantine',
  /** deltaId 32 → nothing: checkpoints in the set whose content is their signer's word [CP7]. Replica. */
  'vouched',
  /** u8 0 • trieKey → a stub whose parts are being fetched; u8 1 • trieKey • u16 n → its part n [SY18]; and how old and how many; see `room/incoming-rows.ts`. Both. */
  'incoming',
  /** trieKey 64 → nothing: the tombstones in the set, which a floor may collect [FL10]. Both. */
  'tombstones',
  /** floorId 32 • a kind → what a held floor says, in rows that are read few at a time; see `room/floor-rows.ts` [FL3]. Both. */
  'floors',
  /** u8 0 • u64 ms • trieKey → nothing; u8 1 • trieKey → u64 ms • delta: what a floor has swept and had content [FL5]. Both. */
  'trash',
  /** keyId 16 → which of its deltas are not read one by one, in a room that keeps all of them; see `room/past.ts` [FH2, FH4]. Replica. */
  'past',
  /** keyId 16 → the one update that what is past of a document comes to • u32 checksum [FH4]. Replica. */
  'merged',
] as const;

export type Table = (typeof TABLES)[number];
