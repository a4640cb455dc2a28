import {
  bodyOfDelta,
  bytesToDelta,
  bytesToRelayMessage,
  defaultLimits,
  deriveRoomId,
  FLAG,
  FrameJoiner,
  hasFlag,
  LinkMemory,
} from '@mangrove/protocol';
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { hash } from '../support/keys.js';
import type { Person } from '../support/person.js';
import { setStage, waitUntilEqual } from '../support/stage.js';
import { startStopwatch } from '../support/stopwatch.js';
import { type ConcurrentTrace, loadConcurrentTrace, type Patch } from '../support/traces.js';
import { until } from '../support/until.js';
import { WebSocketReader } from '../support/web-socket-reader.js';

const stage = setStage();
const trace = loadConcurrentTrace('friendsforever');

/** In the editor each of so many edits is drawn twice, which is most of the time and none of it ours: so there in a long run only. */
const DOCUMENT = process.env.MANGROVE_TEST_LONG === undefined ? 'conversation' : 'note';

test(`[E2E2] two people replay a conversation (${trace.source}), each seeing exactly what its author saw`, async () => {
  const stopwatch = startStopwatch();
  const people = await Promise.all([stage.arrive('Anna'), stage.arrive('Ben')]);
  await Promise.all(people.map((person) => person.waitUntilInSync()));
  const clientIdOf = new Map<Person, number>();
  for (const person of people) clientIdOf.set(person, await person.page.evaluate(openDocument, DOCUMENT));
  // In one place both wrote after a word that is gone: there Yjs puts the lower clientID first, and so did the recording.
  people.sort((a, b) => (clientIdOf.get(a) as number) - (clientIdOf.get(b) as number));
  const script = writeScript(trace, people.map((person) => clientIdOf.get(person)) as [number, number]);
  const inboxes = people.map((person) => new Inbox(person));
  await Promise.all(people.map((person) => reconnect(person)));
  stopwatch.lap('open');

  for (const inbox of inboxes) inbox.hold();
  await Promise.all(script.map((runs, agent) => perform(people, inboxes, runs, agent)));
  stopwatch.lap(`replay ${trace.transactions.length} transactions in ${script[0].length + script[1].length} runs`);

  for (const person of people) person.network.release('down');
  await waitUntilEqual(people);
  stopwatch.lap('settle');
  for (const { page } of people)
    expect((await page.evaluate(readDocument, DOCUMENT)) === trace.endContent, 'the recorded end').toBe(true);
  // A new connection would have begun a stream of its own, past the boundaries.
  expect(people.map((person) => person.network.connections)).toEqual([2, 2]);
  stopwatch.report(trace.source);
}, 300_000);

/** Transactions that one author made while seeing the same of the other. */
interface Run {
  /** How many transactions of the other this author sees meanwhile. */
  readonly seen: number;
  /** The text that the author sees before the run, by a replay that knows nothing of Mangrove. */
  readonly before: string;
  readonly transactions: (readonly Patch[])[];
  /** How many own transactions there are after the run. */
  end: number;
  /** Whether the other is to see something up to its end and nothing after it. */
  isCut: boolean;
  /** What all own updates up to here amount to. */
  amount: Amount;
}

/** How much of an author's work some updates carry: it grows with every transaction that writes anything. */
interface Amount {
  readonly inserted: number;
  readonly deleted: number;
}

/**
 * Replays the trace with two bare documents and cuts each author's part where they or the other saw something new: a run is
 * made at one go, and the other will see all of it or nothing.
 */
function writeScript({ transactions }: ConcurrentTrace, clientIds: readonly [number, number]): readonly [Run[], Run[]] {
  const cuts = [new Set<number>(), new Set<number>()] as const;
  for (const { agent, seen } of transactions) cuts[1 - agent]?.add(seen);
  const documents = clientIds.map((clientId) => Object.assign(new Y.Doc(), { clientID: clientId }));
  const updates: [Uint8Array[], Uint8Array[]] = [[], []];
  const amounts: [Amount, Amount] = [NOTHING, NOTHING];
  const delivered: [number, number] = [0, 0];
  const script: [Run[], Run[]] = [[], []];
  for (const { agent, seen, patches } of transactions) {
    const ydoc = documents[agent] as Y.Doc;
    const content = ydoc.getText('content');
    const others = updates[1 - agent] as Uint8Array[];
    for (; delivered[agent] < seen; delivered[agent]++) Y.applyUpdate(ydoc, others[delivered[agent]] as Uint8Array);
    let run = script[agent].at(-1);
    if (run === undefined || run.seen !== seen || run.isCut) {
      run = {
        seen,
        before: content.toString(),
        transactions: [],
        end: updates[agent].length,
        isCut: false,
        amount: NOTHING,
      };
      script[agent].push(run);
    }
    const update = updateOf(ydoc, () => applyPatches(content, patches));
    updates[agent].push(update);
    amounts[agent] = add(amounts[agent], amountOf(update));
    run.transactions.push(patches);
    run.end++;
    run.isCut = cuts[agent].has(run.end);
    run.amount = amounts[agent];
  }
  return script;
}

/** Plays one author's runs, each after what it needs of the other has been let through and nothing else. */
async function perform(people: readonly Person[], inboxes: readonly Inbox[], runs: readonly Run[], agent: number) {
  const { page } = people[agent] as Person;
  const [own, others] = [inboxes[agent], inboxes[1 - agent]] as [Inbox, Inbox];
  await own.letThrough(runs[0]?.seen ?? 0);
  for (const [i, { before, transactions, end, isCut, amount }] of runs.entries()) {
    const saw = await page.evaluate(playRun, { name: DOCUMENT, before, transactions });
    expect(saw === before, `what agent ${agent} saw before transaction ${end - transactions.length}`).toBe(true);
    // What comes next may be seen from now on, while the run itself is on its way.
    const next = own.letThrough(runs[i + 1]?.seen ?? 0);
    // Before anything more is written it waits, whole and closed, on the other's side: there the next delta begins.
    if (isCut) await others.arrival(end, amount);
    await next;
  }
}

/** In the page, as what follows: gives the clientID under which this page writes. */
async function openDocument(name: string): Promise<number> {
  const note = mangrove.room.document(name);
  await note.ready;
  return note.ydoc.clientID;
}

function readDocument(name: string): string {
  return mangrove.room.document(name).ydoc.getText('content').toString();
}

/** Waits for what is to be seen, and writes in the same turn. Gives what was seen. */
async function playRun(run: {
  name: string;
  before: string;
  transactions: readonly (readonly Patch[])[];
}): Promise<string> {
  const { before, transactions } = run;
  const { ydoc } = mangrove.room.document(run.name);
  const content = ydoc.getText('content');
  const deadline = performance.now() + 10_000;
  while (content.toString() !== before && performance.now() < deadline)
    await new Promise<void>((resolve) => {
      ydoc.once('update', () => resolve());
      setTimeout(resolve, 500);
    });
  const saw = content.toString();
  for (const patches of transactions)
    ydoc.transact(() => {
      for (const [index, deleteCount, insert] of patches) {
        if (deleteCount > 0) content.delete(index, deleteCount);
        if (insert !== '') content.insert(index, insert);
      }
    });
  return saw;
}

const WAIT_MS_MAX = 30_000;

/** What waits for one person on their network, and where in the stream the other's runs end. */
class Inbox {
  readonly #person: Person;
  readonly #roomId = deriveRoomId(hash, stage.room, { history: 'current', encrypted: false });
  #reader = new WebSocketReader();
  #joiner = new FrameJoiner(defaultLimits);
  #memory = new LinkMemory();
  #amount = NOTHING;
  #end = 0;
  readonly #ends = new Map<number, number>([[0, 0]]);
  readonly #met = new Set<string>();
  readonly #waiting: (() => void)[] = [];

  constructor(person: Person) {
    this.#person = person;
    let connection = 0;
    person.network.tap = (direction, chunk, ofConnection) => {
      if (direction !== 'down') return;
      if (ofConnection !== connection) {
        connection = ofConnection;
        this.#reader = new WebSocketReader();
        this.#joiner = new FrameJoiner(defaultLimits);
        this.#memory = new LinkMemory();
      }
      for (const { isBinary, payload, end } of this.#reader.read(chunk)) if (isBinary) this.#take(payload, end);
    };
  }

  hold(): void {
    this.#person.network.hold('down');
  }

  /** Lets the other's first transactions through, as many as these, and nothing that came after them. */
  async letThrough(transactions: number): Promise<void> {
    await this.#until(`transaction ${transactions} for ${this.#person.name}`, () => this.#ends.has(transactions));
    this.#person.network.releaseTo('down', this.#ends.get(transactions) as number);
  }

  /** Waits until the other's transactions up to this one have come, whole. */
  async arrival(transactions: number, amount: Amount): Promise<void> {
    await this.#until(`transaction ${transactions} of the other`, () => isEqual(this.#amount, amount));
    this.#ends.set(transactions, this.#end);
    this.#wake();
  }

  #take(frame: Uint8Array, end: number): void {
    const bytes = this.#joiner.add(frame);
    if (bytes === undefined) return;
    const message = bytesToRelayMessage(bytes, this.#memory);
    if (message.kind !== 'deltas') return;
    for (const deltaBytes of message.deltas) {
      const delta = bytesToDelta(hash, this.#roomId, deltaBytes);
      if (this.#met.has(delta.id)) continue;
      this.#met.add(delta.id);
      // A checkpoint says once more what had come before.
      if (!hasFlag(delta, FLAG.checkpoint)) this.#amount = add(this.#amount, amountOf(bodyOfDelta(delta).payload));
    }
    this.#end = end;
    this.#wake();
  }

  /** Without looking again and again: there are thousands of runs, and each would wait for the next look. */
  async #until(what: string, isSo: () => boolean): Promise<void> {
    const deadline = Date.now() + WAIT_MS_MAX;
    while (!isSo()) {
      if (Date.now() > deadline) throw new Error(`waited in vain for ${what}; ${await this.#explain()}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, WAIT_MS_MAX);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  async #explain(): Promise<string> {
    const { connections } = this.#person.network;
    return JSON.stringify({ arrived: this.#amount, connections, status: await this.#person.status() });
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

const NOTHING: Amount = { inserted: 0, deleted: 0 };

function amountOf(update: Uint8Array): Amount {
  const { structs, ds } = Y.decodeUpdate(update);
  const inserted = structs.reduce((sum, struct) => sum + struct.length, 0);
  const deleted = [...ds.clients.values()].flat().reduce((sum, { len }) => sum + len, 0);
  return { inserted, deleted };
}

const add = (a: Amount, b: Amount): Amount => ({
  inserted: a.inserted + b.inserted,
  deleted: a.deleted + b.deleted,
});

const isEqual = (a: Amount, b: Amount): boolean => a.inserted === b.inserted && a.deleted === b.deleted;

function applyPatches(content: Y.Text, patches: readonly Patch[]): void {
  content.doc?.transact(() => {
    for (const [index, deleteCount, insert] of patches) {
      if (deleteCount > 0) content.delete(index, deleteCount);
      if (insert !== '') content.insert(index, insert);
    }
  });
}

function updateOf(ydoc: Y.Doc, write: () => void): Uint8Array {
  let update: Uint8Array | undefined;
  const take = (made: Uint8Array): void => {
    update = made;
  };
  ydoc.on('update', take);
  write();
  ydoc.off('update', take);
  return update ?? Y.encodeStateAsUpdate(new Y.Doc());
}

/** A connection that the test has read along from its beginning. */
async function reconnect(person: Person): Promise<void> {
  person.network.cut();
  person.network.heal();
  await person.waitForStatus('connected again', ({ connection }) => connection === 'connected');
  await until('the second connection', () => person.network.connections >= 2);
  await person.waitUntilInSync();
}
