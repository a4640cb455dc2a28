import * as encoding from 'lib0/encoding';

const STRING = 4;
const BEHIND = 0x80;
const BEFORE = 0x40;

/**
 * A well-formed Yjs update of a text that is slow to apply: after a run of `pieces`, as many that say only what they stand before, so that Yjs walks over
 * the run for each of them. Time grows with the square of `pieces`; bytes are about 24 for each, and compress well.
 */
export function slowUpdate(clientId: number, pieces: number, { root = 'content', clock = 0 } = {}): Uint8Array {
  const encoder = encoding.createEncoder();
  const write = (...numbers: number[]): void => {
    for (const number of numbers) encoding.writeVarUint(encoder, number);
  };
  write(1, 2 * pieces, clientId, clock);
  for (let i = 0; i < pieces; i++) {
    encoding.writeUint8(encoder, i === 0 ? STRING : STRING | BEHIND);
    if (i === 0) {
      write(1);
      encoding.writeVarString(encoder, root);
    } else {
      write(clientId, clock + i - 1);
    }
    encoding.writeVarString(encoder, 'a');
  }
  for (let i = 0; i < pieces; i++) {
    encoding.writeUint8(encoder, STRING | BEFORE);
    write(clientId, clock + pieces - 1 - i);
    encoding.writeVarString(encoder, 'b');
  }
  write(0);
  return encoding.toUint8Array(encoder);
}
