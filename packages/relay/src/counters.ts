/** What a relay counts, by the name under which `/metrics` shows it. */
export const COUNTERS = {
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
  commits_failed: 'Transactions that storage did not take: nothing in them was acknowledged.',
  deltas_committed: 'Deltas that became part of a room.',
  deltas_known: 'Pushed deltas that were known already.',
  deltas_refused: 'Pushed deltas that were refused.',
  deltas_over_quota: 'Of these, those that found no room in their room.',
  deltas_forked: 'Deltas that stand beside another one of the same replica and number.',
  deltas_evicted: 'Reported deltas whose signature did not verify and that were taken out again.',
  deltas_verified: 'Signatures of deltas that were verified.',
  deltas_repaired: 'Deltas that were sent to repair a room, by their authors or by others.',
  deltas_compared: 'Deltas that a comparison of Merkle trees has sent.',
  probes: 'How often a client asked for the position.',
  rows_scrubbed: 'Rows of rooms that were looked through.',
  holes_found: 'Deltas that an index named and that were not there.',
  rows_unreadable: 'Rows that could not be read, or were not what their key says, and were dropped.',
  rows_mended: 'Rows of indexes that said something wrong and were written anew.',
  fleet_entries_appended: 'Entries that this relay has put into the logs of its fleet.',
  fleet_entries_applied: 'Entries of the logs of the fleet that were applied here.',
  fleet_logs_cut: 'Logs that this relay has cut, after it had written the state of the room into the engine.',
  fleet_rooms_taken: 'Rooms that were taken anew from the engine.',
  fleet_rooms_strayed: 'How often another relay of the fleet stood elsewhere in a room after the same entries.',
  frames_sent: 'Frames that were sent.',
  bytes_sent: 'Bytes that were sent in frames.',
} as const;

export type CounterName = keyof typeof COUNTERS;

const TIMES_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const COUNTS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

/** What a relay measures of many, by the name under which `/metrics` shows it. */
export const HISTOGRAMS = {
  commit_seconds: {
    help: 'From the beginning of a transaction that takes pushes until it is on disk.',
    buckets: TIMES_S,
  },
  commit_deltas: { help: 'Deltas that shared one transaction.', buckets: COUNTS },
  push_wait_seconds: { help: 'How long a push has waited for its transaction to begin.', buckets: TIMES_S },
  fleet_append_seconds: { help: 'How long the engine of the fleet took for an entry.', buckets: TIMES_S },
  fanout_connections: { help: 'Connections that something committed was told to.', buckets: [0, ...COUNTS] },
  fanout_seconds: { help: 'How long it took to tell all of them.', buckets: TIMES_S },
} as const;

export type HistogramName = keyof typeof HISTOGRAMS;

/** How much the newest commit counts in what is taken for how long one takes. */
const SMOOTHING = 0.2;

/** What a relay counts, whatever shows it. */
export class Counters {
  readonly #values = new Map<CounterName, number>();
  readonly refusals = new Map<string, number>();
  observer: ((name: HistogramName, value: number) => void) | undefined;
  commitMs = 0;

  add(name: CounterName, by = 1): void {
    this.#values.set(name, this.get(name) + by);
  }

  get(name: CounterName): number {
    return this.#values.get(name) ?? 0;
  }

  refused(code: string): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
  }

  observe(name: HistogramName, value: number): void {
    if (name === 'commit_seconds') this.commitMs += (value * 1_000 - this.commitMs) * SMOOTHING;
    this.observer?.(name, value);
  }
}
