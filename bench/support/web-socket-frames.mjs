const CONTINUATION = 0;

/**
 * The messages in a stretch of one direction of a WebSocket that begins and ends between frames.
 *
 * Each has its `payload`, unmasked, and its `framingBytes`. Throws when the stretch ends inside a frame. Without extensions: what
 * is compressed comes out compressed.
 */
export function readFrames(bytes) {
  const messages = [];
  for (let offset = 0; offset < bytes.length; ) {
    const { opcode, payload, framingBytes } = readFrame(bytes, offset);
    offset += framingBytes + payload.length;
    const last = messages.at(-1);
    if (opcode !== CONTINUATION) messages.push({ opcode, payload, framingBytes });
    else if (last) {
      last.payload = Buffer.concat([last.payload, payload]);
      last.framingBytes += framingBytes;
    }
  }
  return messages;
}

function readFrame(bytes, start) {
  let offset = start + 2;
  let length = bytes[start + 1] & 0x7f;
  if (length === 126) {
    length = bytes.readUInt16BE(offset);
    offset += 2;
  } else if (length === 127) {
    length = Number(bytes.readBigUInt64BE(offset));
    offset += 8;
  }
  const isMasked = (bytes[start + 1] & 0x80) !== 0;
  const mask = isMasked ? bytes.subarray(offset, offset + 4) : undefined;
  offset += isMasked ? 4 : 0;
  if (offset + length > bytes.length) throw new Error('The stretch ends inside a frame.');
  const payload = Buffer.from(bytes.subarray(offset, offset + length));
  if (mask) for (let i = 0; i < length; i++) payload[i] ^= mask[i % 4];
  return { opcode: bytes[start] & 0x0f, payload, framingBytes: offset - start };
}
