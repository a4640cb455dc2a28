import {
  assert,
  type Certificate,
  certificateMessages,
  HeadPace,
  type HeadStatement,
  type Hello,
  type LinkConfig,
  planFor,
  readIntroduction,
  readLogPage,
  readPosition,
  type RelayEffect,
  type RelayEvent,
  type ReplicaId,
  type VersionVector,
} from '@mangrove/protocol';
import { RoomAllowances } from './allowance.js';
import { Beginning } from './beginning.js';
import { bytesOfPush } from './announcer.js';
import type { Push } from './commit-host.js';
import type { Fleet } from './fleet/fleet.js';
import type { SharedHost, SharedRoom } from './fleet/shared-room.js';
import { authenticate, readWelcoming } from './admission.js';
import { type Answer, Link, type LinkHost, RETRY } from './link.js';
import type { OpenedRoom } from './opened-room.js';
import type { Connection, RelayPorts } from './ports.js';
import type { RememberedLink } from './remembered.js';
import { Present } from './present.js';
import { dueMs, sweepLinks, tellAll } from './watch.js';
import { Writers } from './writers.js';

export interface RoomVersion {
  readonly offset: number;
  readonly vector: VersionVector;
  readonly root: Uint8Array;
}

type EffectOf<Kind extends RelayEffect['kind']> = Extract<RelayEffect, { kind: Kind }>;

/**
 * One room of a relay: runs the sync step for each of its connections and does what the steps ask for. It knows no runtime: sockets,
 * disk, keys and clock come in as ports.
 */
export class RelayRoom implements LinkHost, SharedHost {
  readonly name: string;
  readonly ports: RelayPorts;
  readonly allowances: RoomAllowances;
  readonly #links = new Set<Link>();
  readonly #present: Present;
  readonly #writers = new Writers<Link>();
  #linkCount = 0;
  readonly #headPace: HeadPace;
  readonly #beginning: Beginning;
  #isClosing = false;

  private constructor(name: string, ports: RelayPorts, fleet: Fleet | undefined) {
    this.name = name;
    this.ports = ports;
    this.allowances = new RoomAllowances(ports);
    this.#beginning = new Beginning(name, this, fleet);
    const present = new Present(fleet?.peersOf(this.#beginning.log, ports));
    this.#present = present;
    const pace = {
      get connected() {
        return present.size;
      },
      later: ports.later,
      tell: (of: (replica: ReplicaId) => readonly HeadStatement[]) => present.tellHeads(of),
    };
    this.#headPace = new HeadPace(pace, ports.limits);
  }

  /** Makes nothing: a room begins with the first hello that is admitted. Throws `NAME_INVALID`. */
  static async open(name: string, ports: RelayPorts, fleet?: Fleet): Promise<RelayRoom> {
    const room = new RelayRoom(name, ports, fleet);
    await room.#beginning.restore();
    return room;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** Whether anybody was ever admitted. */
  get exists(): boolean {
    return this.#beginning.opened !== undefined;
  }

  get linkCount(): number {
    return this.#links.size;
  }

  connect(connection: Connection): Link {
    this.ports.counters.add('connections_opened');
    const link = new Link(this, connection, ++this.#linkCount);
    this.#links.add(link);
    link.deliver({ kind: 'opened' });
    if (this.#isClosing) link.shut(RETRY.goingAway, 'the relay is stopping');
    else if (this.#links.size > this.ports.rates.room.sockets) link.refuse();
    return link;
  }

  /** Goes on with a connection that this room had before it forgot everything but its disk and its sockets. */
  resume(connection: Connection, remembered: RememberedLink): Link {
    const link = new Link(this, connection, remembered.number, remembered);
    this.#linkCount = Math.max(this.#linkCount, link.number);
    this.#links.add(link);
    if (link.replica === undefined) return link;
    this.#writers.enter(link.replica, link);
    this.#present.enter(link, link.replica, 0);
    return link;
  }

  /** Undefined for a room that nobody was ever admitted to. */
  async version(): Promise<RoomVersion | undefined> {
    // In a fleet it may have begun elsewhere meanwhile.
    if (!this.exists) await this.#beginning.restore();
    await this.opened?.shared?.catchUp();
    const standing = await this.opened?.standing();
    return standing && { ...standing.position, vector: standing.vector };
  }

  /** Now and then: lets go of those who may not be here. */
  sweep(): void {
    sweepLinks(this.#links, this.ports);
  }

  /** For who watches over the relay: the connections, and what was opened of the room. */
  get links(): ReadonlySet<Link> {
    return this.#links;
  }

  get opened(): OpenedRoom | undefined {
    return this.#beginning.opened;
  }

  /** When `sweep` has something to do with those who were admitted. */
  get sweepAtMs(): number {
    return dueMs(this.#links, this.ports);
  }

  /** [SY23] For who has forgotten what was still to be told: all that was said of replicas since then. */
  async tellHeadsSince(sinceMs: number): Promise<void> {
    const heads = (await this.#beginning.opened?.headsSince(sinceMs)) ?? [];
    this.#present.tellHeads((replica) => heads.filter((statement) => statement.replica !== replica));
  }

  /** Now and then, also while it is in use. */
  async scrub(): Promise<void> {
    if (!this.#isClosing) await this.#beginning.opened?.scrub();
  }

  /** What was pushed is committed and acknowledged, then every connection is closed. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#beginning.opened?.commits.idle();
    this.letGo('the relay is stopping');
    await this.#beginning.opened?.close();
    await this.#present.peers?.close();
  }

  // What links ask of their room.

  configFor(hello: Hello | undefined): LinkConfig {
    return this.#beginning.configFor(hello);
  }

  run(link: Link, effect: Exclude<RelayEffect, { kind: 'send' | 'close' }>): Answer {
    switch (effect.kind) {
      case 'authenticate':
        return this.#authenticate(link, effect.hello);
      case 'joined':
        return void this.#present.joined(link, effect.replica);
      case 'broadcast':
        return void this.#present.presence(effect.message, link);
      case 'accept-push':
        return this.#acceptPush(link, effect);
      case 'read-log':
        return this.#readLog(effect);
      case 'keep-part':
        return this.#keepPart(effect);
      case 'join':
        return this.#join(link, effect);
      case 'read-beyond':
      case 'answer-diff':
      case 'read-parts':
        return this.#answerRead(link, effect);
      case 'read-position':
        return this.#readPosition();
      case 'finish-beyond':
        return this.#finishBeyond(effect);
      case 'read-introduction':
        return this.#room().read((tx) => readIntroduction(tx, effect.at));
      case 'keep-shown':
        return this.#keepShown(link, effect);
      case 'accept-head':
        return this.#acceptHead(effect);
      case 'check-reported':
        return this.#checkReported(link, effect);
    }
  }

  left(link: Link): void {
    this.#links.delete(link);
    if (link.replica !== undefined) this.#writers.left(link.replica, link);
    this.opened?.shared?.left(link);
    this.#present.left(link);
  }

  /** Everybody who takes commits; who is still catching up reads them from the log. */
  announce(event: RelayEvent): void {
    tellAll(this.#present.links, event, this.ports.counters);
  }

  letGo(reason: string): void {
    for (const link of [...this.#links]) link.shut(RETRY.goingAway, reason);
  }

  /** [SY18] Also to those who are still catching up: what they push is fetched meanwhile. */
  arrived(trieKeys: readonly Uint8Array[]): void {
    for (const link of this.#present.links) if (link.isFetching) link.deliver({ kind: 'arrived', trieKeys });
  }

  async #authenticate(link: Link, hello: Hello): Promise<RelayEvent> {
    const { ports } = this;
    const { room, roomConfig } = this.configFor(hello);
    const { origin } = link.connection;
    const answer = await authenticate(ports, { ...room, name: this.name }, hello, link.challenge, origin);
    if (answer.kind === 'denied') return this.#deny(answer);
    const { replica, rights, access } = answer;
    const opened = await this.#beginning.begin(rights, roomConfig);
    if (opened === undefined) return this.#deny({ kind: 'denied', code: 'ROOM_NOT_BEGUN', facts: {} });
    if (opened.ref.roomId !== hello.roomId)
      return this.#deny({ kind: 'denied', code: 'ROOM_CONFIG_MISMATCH', facts: {} });
    const shared = rights.includes('write') ? opened.shared : undefined;
    const before = await shared?.newest(replica);
    if (rights.includes('write')) await this.#issue([hello.publicKey], link);
    await shared?.enter(replica, link, before);
    const admission = await this.#admit(link, replica, opened, hello, shared);
    if (admission === undefined) return { kind: 'displaced', replica };
    const { welcoming, present } = admission;
    link.access = access;
    ports.counters.add('connections_admitted');
    ports.log.debug({ room: this.name, replica, rights, subject: access.subject, origin }, 'connection admitted');
    const certificate = rights.includes('write') ? welcoming.certificate : undefined;
    return { kind: 'authenticated', replica, rights, present, ...welcoming, certificate };
  }

  #deny(denied: RelayEvent & { kind: 'denied' }): RelayEvent {
    this.ports.counters.add('connections_denied');
    this.ports.log.info({ room: this.name, code: denied.code }, 'connection denied');
    return denied;
  }

  /**
   * [SY24] Undefined where a connection of this replica was opened later; any other one leaves its place. What the newcomer is told of its own deltas is
   * read between two commits, and stays so until it pushes itself. The former one goes when the newcomer is there: to others nobody was away.
   */
  async #admit(link: Link, replica: ReplicaId, opened: OpenedRoom, hello: Hello, shared: SharedRoom | undefined) {
    let displaced: Link | undefined;
    try {
      const welcoming = await opened.commits.alone(async () => {
        if ((await shared?.isNewest(replica, link)) === false) return undefined;
        const place = this.#writers.enter(replica, link);
        if (place === undefined) return undefined;
        displaced = place.before;
        return opened.read((tx) => readWelcoming(tx, this.ports.identity.storeId, replica, hello.cursor));
      });
      return welcoming && { welcoming, present: this.#present.enter(link, replica, this.ports.limits.peersToldMax) };
    } finally {
      if (displaced !== undefined) {
        this.ports.counters.add('connections_displaced');
        displaced.deliver({ kind: 'displaced', replica });
      }
    }
  }

  certified(certificates: readonly Certificate[]): void {
    this.opened?.certificates.noticed();
    this.#tellIssued(certificates, undefined);
  }

  displacedElsewhere(replica: ReplicaId): void {
    this.#writers.displace(replica)?.deliver({ kind: 'displaced', replica });
  }

  headKept(statement: HeadStatement, before: HeadStatement | undefined): void {
    this.#headPace.kept(statement, before);
  }

  async distrust(replica: ReplicaId): Promise<void> {
    await this.opened?.verifier.distrust(replica);
  }

  takes({ link, replica }: Push): boolean {
    return this.#writers.takes(replica, link);
  }

  /** Stubs are kept before the deltas beside them are committed, as the answer to that grants the bytes of both again. */
  async #acceptPush(link: Link, effect: EffectOf<'accept-push'>): Promise<RelayEvent | undefined> {
    const deltas = await this.#room().sift(effect.deltas, link.shown);
    const stubs = await this.#room().sift(effect.stubs, link.shown);
    const proven = [...deltas.proven, ...stubs.proven];
    if (proven.length > 0) await this.#issue(link.shown.take(proven), undefined);
    const kept = stubs.passed.length === 0 ? undefined : await this.#room().keepStubs(stubs.passed, link.replica);
    const refusals = [...deltas.refusals, ...stubs.refusals];
    this.#commit(link, { deltas: deltas.passed, refusals, bytes: effect.bytes });
    return kept && { kind: 'stubs-kept', ...kept };
  }

  #commit(link: Link, push: Pick<Push, 'deltas' | 'refusals' | 'bytes'>): void {
    const replica = link.replica as ReplicaId;
    link.track(this.#room().commits.add({ link, replica, ...push }), bytesOfPush(push));
  }

  #readLog({ after, met }: EffectOf<'read-log'>): Promise<RelayEvent> {
    const { ref } = this.#room();
    return this.#room().read(function* (tx) {
      return { kind: 'log-read', ...(yield* readLogPage(tx, ref, after, met)) };
    });
  }

  async #keepPart({ part }: EffectOf<'keep-part'>): Promise<RelayEvent> {
    return { kind: 'part-kept', trieKey: part.trieKey, have: await this.#room().keepPart(part) };
  }

  /** [SY18] Its stub was verified, or vouched for by its author's connection, and so was each part. */
  async #join(link: Link, { trieKey }: EffectOf<'join'>): Promise<undefined> {
    const joined = await this.#room().joined(trieKey);
    if (joined === undefined) return;
    const { delta, isAuthors } = joined;
    const from = isAuthors && delta.replica === link.replica ? 'author' : 'others';
    this.#commit(link, { deltas: [{ delta, verify: false, from }], refusals: [], bytes: 0 });
  }

  async #answerRead(
    link: Link,
    effect: EffectOf<'read-beyond' | 'answer-diff' | 'read-parts'>,
  ): Promise<RelayEvent | undefined> {
    const { ref } = this.#room();
    await link.committed();
    await link.drained();
    if (effect.kind === 'answer-diff') return this.#room().answerDiff(effect, () => link.isOpen);
    await this.ports.turns.take();
    return this.#room().read(planFor(ref, effect));
  }

  async #readPosition(): Promise<RelayEvent> {
    this.ports.counters.add('probes');
    return { kind: 'position-read', position: await this.#room().read(readPosition) };
  }

  async #finishBeyond({ pulled }: EffectOf<'finish-beyond'>): Promise<RelayEvent> {
    return { kind: 'beyond-done', pulled, ...(await this.#room().standing()) };
  }

  /** [SG4] */
  async #keepShown(link: Link, { certificates }: EffectOf<'keep-shown'>): Promise<RelayEvent | undefined> {
    const publicKeys = certificates.map(({ publicKey }) => publicKey);
    const { issued, left } = await this.#room().certificates.show(link.shown, publicKeys);
    this.#tellIssued(issued, undefined);
    const [replica] = left;
    if (replica === undefined) return undefined;
    const { shownKeysMax } = this.ports.limits;
    return { kind: 'malformed', code: 'UNCERTIFIED', facts: { replica, others: left.length - 1, shownKeysMax } };
  }

  /** Those who are connected have to know a new key before its first delta comes. */
  async #issue(publicKeys: readonly Uint8Array[], except: Link | undefined): Promise<void> {
    this.#tellIssued(await this.#room().certificates.issue(publicKeys), except);
  }

  #tellIssued(certificates: readonly Certificate[], except: Link | undefined): void {
    for (const message of certificateMessages(certificates)) this.#present.forward(message, except);
  }

  async #acceptHead({ statement }: EffectOf<'accept-head'>): Promise<RelayEvent | undefined> {
    const outcome = await this.#room().keepHead(statement);
    const { replica } = statement;
    if (outcome === 'bad-signature') return { kind: 'malformed', code: 'SIGNATURE_INVALID', facts: { replica } };
    if (typeof outcome === 'object') this.#headPace.kept(statement, outcome.before);
    return undefined;
  }

  async #checkReported(link: Link, { trieKey }: EffectOf<'check-reported'>): Promise<undefined> {
    await link.committed();
    await this.#room().checkReported(trieKey);
  }

  #room(): OpenedRoom {
    const { opened } = this.#beginning;
    assert(opened !== undefined, () => 'an effect of a room that nobody was admitted to');
    return opened;
  }
}
