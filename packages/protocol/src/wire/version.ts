/**
 * The version of the wire, one line of history a version. Both sides must speak the same one; the relay's `welcome` says which.
 *
 * 1 - welcome, hello, admitted; cursor, vector and Merkle catch-up; push, ack, refused; heads, presence, reports; stubs, parts on
 *     demand, credit.
 * 2 - probe.
 */
export const PROTOCOL_VERSION = 2;
