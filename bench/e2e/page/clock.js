const PINGS = 60;

export function now() {
  return performance.timeOrigin + performance.now();
}

/**
 * How far the driver's clock is ahead of this page's, from the exchange with the shortest round trip.
 *
 * The error is at most half that round trip, which is given beside it.
 */
export async function measureClock() {
  const socket = new WebSocket(`ws://${location.host}/clock`);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  let best = { roundTripMs: Number.POSITIVE_INFINITY, aheadMs: 0 };
  for (let i = 0; i < PINGS; i++) {
    const sentMs = now();
    const theirsMs = await new Promise((resolve) => {
      socket.onmessage = ({ data }) => resolve(Number(data));
      socket.send('');
    });
    const roundTripMs = now() - sentMs;
    if (roundTripMs < best.roundTripMs) best = { roundTripMs, aheadMs: theirsMs - (sentMs + roundTripMs / 2) };
  }
  socket.close();
  return best;
}
