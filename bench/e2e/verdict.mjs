/** Less is better in all of them. */
const MEASURES = [
  { what: 'Key to model, p50', unit: ' ms', digits: 1, read: ({ latencyMs }) => latencyMs.p50 },
  { what: 'Key to model, p99', unit: ' ms', digits: 1, read: ({ latencyMs }) => latencyMs.p99 },
  { what: 'Bytes per key', unit: '', digits: 0, read: ({ bytesPerKey }) => bytesPerKey.total },
  { what: 'Rejoining', unit: ' ms', digits: 0, read: ({ rejoin }) => rejoin.convergedMs },
  { what: 'Bytes up when rejoining', unit: '', digits: 0, read: ({ rejoin }) => rejoin.bytesUp },
];

/**
 * Who is first in each measure and where Mangrove stands, in sentences made from the figures; what is behind the differences is
 * said once and holds for every run.
 */
export function renderVerdict({ contestants }) {
  return [
    MEASURES.map((measure) => `- ${sentence(measure, contestants)}`).join('\n'),
    [
      'What to make of it. The peers were measured as they come: nothing of theirs was on a disk, at either end, and nothing was signed. In',
      "Mangrove a key is signed and on A's disk before it leaves, on the relay's disk before it is passed on, and verified and on B's disk before it",
      'is shown. That is three disks in a row and a signature of 64 bytes each way, which nobody has for nothing: where only the',
      'price of a key is asked, a system that promises nothing about it sends it sooner and in fewer bytes. What Mangrove takes beyond that is its own,',
      'and the breakdowns above show where it is. y-websocket and Hocuspocus can be given stores; what that costs was not measured here.',
      'Raw Yjs is the floor of the model they all share, and no product: it forgets everything when its process ends.',
    ].join('\n'),
  ];
}

function sentence({ what, unit, digits, read }, contestants) {
  const value = (contestant) => read(contestant).median;
  const text = (contestant) => `${value(contestant).toFixed(digits)}${unit}`;
  const ranked = [...contestants].sort((a, b) => value(a) - value(b));
  const [first, ...others] = ranked;
  const rest = others.map((other) => `${other.name} ${text(other)} (${(value(other) / value(first)).toFixed(1)}×)`);
  return `${what}: ${first.name} is first with ${text(first)}${rest.length > 0 ? `; then ${rest.join(', ')}` : ''}.`;
}
