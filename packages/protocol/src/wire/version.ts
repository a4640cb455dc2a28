/**
 * The version of the wire, one line of history a version. Both sides must speak the same one; the relay's `welcome` says which.
 *
 * 1 - welcome, hello, admitted; cursor, vector and Merkle catch-up; push, ack, refused; heads, presence, reports; stubs, parts on
 *     demand, credit.
 * 2 - probe.
 * 3 - deltas and head statements by their difference from what the link has told before; positions at most once in a while; no byte for
 *     a frame that is whole.
 * 4 - heads: a relay tells the head statements of others together, each by the one before it.
 * 5 - admitted tells the id of the replica's last delta; a connection of the same replica takes the place of the one before.
 */
export const PROTOCOL_VERSION = 5;
