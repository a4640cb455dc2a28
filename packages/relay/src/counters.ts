/** What a relay counts, by the name under which `/metrics` shows it. */
const COUNTERS = {
  connections_opened: 'Connections that were accepted.',
  connections_admitted: 'Connections that were admitted to a room.',
  connections_denied: 'Connections that were denied by their proof, token or room configuration.',
  connections_revoked: 'Connections that were closed because they may not be here any more.',
  connections_failed: 'Connections that were closed by a fault of the relay or its storage.',
  connections_displaced: 'Connections that ended because the same replica came over another.',
  connections_slow: 'Connections that were closed because they did not read what they were sent.',
  connections_limited: 'How often a connection was told that it, its replica or its room is over a rate or a number.',
  messages_received: 'Messages that were decoded.',
  messages_malformed: 'Frames that were no message.',
  commits: 'Transactions that took pushes, each behind a strict barrier.',
  deltas_committed: 'Deltas that became part of a room.',
  deltas_known: 'Pushed deltas that were known already.',
  deltas_refused: 'Pushed deltas that were refused.',
  deltas_over_quota: 'Of these, those that found no room in their room.',
  deltas_evicted: 'Reported deltas whose signature did not verify and that were taken out again.',
  deltas_verified: 'Signatures of deltas that were verified.',
  deltas_repaired: 'Deltas that were sent to repair a room, by their authors or by others.',
  deltas_compared: 'Deltas that a comparison of Merkle trees has sent.',
  probes: 'How often a client asked for the position.',
  rows_scrubbed: 'Rows of rooms that were looked through.',
  holes_found: 'Deltas that an index named and that were not there.',
  rows_unreadable: 'Rows that could not be read, or were not what their key says, and were dropped.',
  rows_mended: 'Rows of indexes that said something wrong and were written anew.',
  frames_sent: 'Frames that were sent.',
  bytes_sent: 'Bytes that were sent in frames.',
} as const;

export type CounterName = keyof typeof COUNTERS;

export class Counters {
  readonly #values = new Map<CounterName, number>();

  add(name: CounterName, by = 1): void {
    this.#values.set(name, this.get(name) + by);
  }

  get(name: CounterName): number {
    return this.#values.get(name) ?? 0;
  }

  /** In the text format of Prometheus, with gauges that the caller measures. */
  toText(gauges: Readonly<Record<string, number>>): string {
    const counters = (Object.keys(COUNTERS) as CounterName[]).flatMap((name) => [
      `# HELP mangrove_${name}_total ${COUNTERS[name]}`,
      `# TYPE mangrove_${name}_total counter`,
      `mangrove_${name}_total ${this.get(name)}`,
    ]);
    const measured = Object.entries(gauges).flatMap(([name, value]) => [
      `# TYPE mangrove_${name} gauge`,
      `mangrove_${name} ${value}`,
    ]);
    return `${[...counters, ...measured].join('\n')}\n`;
  }
}
