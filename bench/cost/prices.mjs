/** Cloudflare's list prices of the Workers Paid plan in November 2026, in dollars; what the plan includes each month is not taken off. */
export const PRICES = {
  workerRequest: 0.3e-6,
  /** Of an object: a request, an alarm, or twenty messages that come over its sockets. Those that it sends cost nothing. */
  objectRequest: 0.15e-6,
  messagesPerRequest: 20,
  gigabyteSecond: 12.5e-6,
  /** What an object is counted with, whatever it uses. */
  objectGigabytes: 0.128,
  rowRead: 0.001e-6,
  rowWritten: 1e-6,
  gigabyteMonth: 0.2,
};

export const SOURCE = 'https://developers.cloudflare.com/durable-objects/platform/pricing/';

const HOUR_MS = 3_600_000;

/** What an hour costs: so many people in rooms as large as the one that was measured. */
export function costOf(measured, people, prices = PRICES) {
  const rooms = people / measured.people;
  const scale = (people * HOUR_MS) / measured.keyEveryMs / measured.keys;
  const rows = [
    ['connections', people, people * (prices.workerRequest + prices.objectRequest)],
    [
      'messages to the rooms',
      measured.messages * scale,
      (measured.messages * scale * prices.objectRequest) / prices.messagesPerRequest,
    ],
    ['alarms', measured.alarms * scale, measured.alarms * scale * prices.objectRequest],
    ['rows written', measured.rowsWritten * scale, measured.rowsWritten * scale * prices.rowWritten],
    ['rows read', measured.rowsRead * scale, measured.rowsRead * scale * prices.rowRead],
    [
      'GB-seconds, if no object ever sleeps',
      rooms * 3_600 * prices.objectGigabytes,
      rooms * 3_600 * prices.objectGigabytes * prices.gigabyteSecond,
    ],
    [
      'GB kept for a month',
      (measured.keptBytes * scale) / 1e9,
      ((measured.keptBytes * scale) / 1e9) * prices.gigabyteMonth,
    ],
  ];
  return { rows, total: rows.reduce((sum, [, , dollars]) => sum + dollars, 0) };
}
