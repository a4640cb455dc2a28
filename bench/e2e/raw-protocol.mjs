/** The two messages of the raw contestant: one byte that says which, then what Yjs encoded. */
export const STATE_VECTOR = 0;
export const UPDATE = 1;

export function encodeMessage(kind, content) {
  const bytes = new Uint8Array(content.length + 1);
  bytes[0] = kind;
  bytes.set(content, 1);
  return bytes;
}

export function decodeMessage(bytes) {
  return { kind: bytes[0], content: bytes.subarray(1) };
}
