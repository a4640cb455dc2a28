import { WebSocket } from 'ws';
import type { Dial } from '../federation/federation.js';
import { FRAME_BYTES_READ_MAX } from '../link-frames.js';
import { bytesOfSocket } from './node-socket.js';

const HANDSHAKE_MS_MAX = 8_000;
/** A peer that does not answer until the next beat is gone without a word. */
const BEAT_MS = 15_000;

/** Reaches a room at another relay by a WebSocket. */
export const dialBySocket: Dial = (url, room, events) => {
  const socket = new WebSocket(`${url}/parties/relay/${encodeURIComponent(room)}`, {
    perMessageDeflate: false,
    maxPayload: FRAME_BYTES_READ_MAX,
    handshakeTimeout: HANDSHAKE_MS_MAX,
    skipUTF8Validation: true,
  });
  let isAlive = true;
  let isOver = false;
  const over = (code: number, reason: string): void => {
    clearInterval(beat);
    if (isOver) return;
    isOver = true;
    events.closed(code, reason);
  };
  const beat = setInterval(() => {
    if (socket.readyState !== WebSocket.OPEN) return;
    if (!isAlive) socket.terminate();
    isAlive = false;
    socket.ping();
  }, BEAT_MS);
  beat.unref();
  for (const sign of ['pong', 'message']) socket.on(sign, () => (isAlive = true));
  socket.on('message', (data, isBinary) => {
    if (isBinary && !isOver) events.frame(bytesOfSocket(data));
  });
  // It is followed by `close`.
  socket.on('error', (error) => over(1006, error.message));
  socket.on('close', (code, reason) => over(code, reason.toString()));
  return {
    send: (frame) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(frame);
    },
    bufferedBytes: () => socket.bufferedAmount,
    pause: () => {
      if (socket.readyState === WebSocket.OPEN) socket.pause();
    },
    resume: () => {
      if (socket.isPaused) socket.resume();
    },
    close: () => {
      isOver = true;
      clearInterval(beat);
      // Its answer is read like anything else.
      if (socket.isPaused) socket.resume();
      if (socket.readyState === WebSocket.OPEN) socket.close(1000);
      else socket.terminate();
    },
  };
};
