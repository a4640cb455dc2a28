import type { Cursor, Delta, DeltaId } from '@mangrove/protocol';
import { ProtocolClient } from './protocol-client.js';
import { TestReplica } from './test-replica.js';

const PAUSE_MS = 2;

/**
 * Writers who push one delta after another at a relay that may end at any moment, come back to it, and push again what was not acknowledged:
 * whether that had arrived makes no difference [SY8]. What was acknowledged was promised.
 */
export class Pushers {
  readonly acknowledged: Delta[] = [];
  readonly #unsent: ReadonlyMap<TestReplica, Delta[]>;
  readonly #bodyBytes: number;
  #clients: readonly ProtocolClient[] = [];
  #cursor: Cursor | undefined;
  #pushing: Promise<unknown> = Promise.resolve();
  #isOn = false;

  constructor(count: number, bodyBytes = 8) {
    this.#unsent = new Map(Array.from({ length: count }, () => [new TestReplica('room'), []]));
    this.#bodyBytes = bodyBytes;
  }

  get cursor(): Cursor | undefined {
    return this.#cursor;
  }

  get replicas(): readonly TestReplica[] {
    return [...this.#unsent.keys()];
  }

  /** Resolves when each has been acknowledged something; they go on until `ended`. */
  async begin(url: string): Promise<void> {
    const options = this.#cursor === undefined ? {} : { cursor: this.#cursor };
    this.#clients = await Promise.all(this.replicas.map((writer) => ProtocolClient.connect(url, writer, options)));
    this.#isOn = true;
    this.#pushing = Promise.all(this.#clients.map((client) => this.#push(client)));
    for (const client of this.#clients) await client.next('ack');
  }

  /** The codes with which the relay lets go of them. */
  letGo(): Promise<readonly number[]> {
    return Promise.all(this.#clients.map((client) => client.closed));
  }

  /** To be called when the relay has been ended, or has let go of them. */
  async ended(): Promise<void> {
    this.#isOn = false;
    await this.#pushing;
    for (const client of this.#clients) {
      await client.closed;
      const refused = client.messages.filter(({ kind }) => kind === 'refused' || kind === 'fault');
      if (refused.length > 0) throw new Error(`refused: ${JSON.stringify(refused)}`);
      const waiting = this.#waitingOf(client);
      const seqs = new Set(client.messages.flatMap((message) => (message.kind === 'ack' ? message.seqs : [])));
      this.acknowledged.push(...waiting.filter(({ seq }) => seqs.has(seq)));
      waiting.splice(0, waiting.length, ...waiting.filter(({ seq }) => !seqs.has(seq)));
      this.#cursor = client.cursor();
    }
  }

  /** Those that who reads everything is not told by the relay: a newcomer, unless said otherwise. */
  async missingAt(url: string, replica = new TestReplica('room')): Promise<readonly DeltaId[]> {
    const reader = await ProtocolClient.connect(url, replica);
    await reader.next('caught-up');
    await reader.close();
    return this.acknowledged.map(({ id }) => id).filter((id) => !reader.deltasById.has(id));
  }

  async #push(client: ProtocolClient): Promise<void> {
    const waiting = this.#waitingOf(client);
    client.push(waiting);
    while (this.#isOn && client.closeCode === undefined) {
      const delta = client.replica.draft({ body: this.#body() });
      waiting.push(delta);
      client.push([delta]);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  #waitingOf({ replica }: ProtocolClient): Delta[] {
    return this.#unsent.get(replica) as Delta[];
  }

  #body(): Uint8Array {
    return crypto.getRandomValues(new Uint8Array(this.#bodyBytes));
  }
}
