import {
  assert,
  type Certificate,
  certificateMessages,
  HeadPace,
  type HeadStatement,
  type Hello,
  type LinkConfig,
  type Presence,
  type RelayEffect,
  type RelayEvent,
  type ReplicaId,
  type VersionVector,
} from '@mangrove/protocol';
import { RoomAllowances } from './allowance.js';
import { Beginning } from './beginning.js';
import { bytesOfPush } from './announcer.js';
import type { Push } from './commit-host.js';
import { RoomPeers } from './federation/room-peers.js';
import type { Fleet } from './fleet/fleet.js';
import type { SharedHost, SharedRoom } from './fleet/shared-room.js';
import { type Access, authenticate, readWelcoming } from './admission.js';
import { type Answer, Link, type LinkHost, RETRY } from './link.js';
import { answerLink } from './link-answers.js';
import type { OpenedRoom } from './opened-room.js';
import type { Connection, RelayPorts } from './ports.js';
import type { RememberedLink } from './remembered.js';
import { isPeer, Present } from './present.js';
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
  readonly #bridges: RoomPeers;
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
      tellPeers: (statements: readonly HeadStatement[]) => present.tellPeers(statements),
    };
    this.#headPace = new HeadPace(pace, ports.limits);
    this.#bridges = new RoomPeers(this, present);
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
    if (!isPeer(link)) this.#writers.enter(link.replica, link);
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
    this.#bridges.look();
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
    this.#bridges.close();
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
        this.#present.joined(link, effect.replica);
        this.#bridges.look();
        return undefined;
      case 'broadcast':
        return this.#broadcast(link, effect.message);
      case 'accept-push':
        return this.#acceptPush(link, effect);
      case 'join':
        return this.#join(link, effect);
      case 'read-log':
      case 'keep-part':
      case 'read-beyond':
      case 'answer-diff':
      case 'read-parts':
      case 'read-position':
      case 'finish-beyond':
      case 'read-introduction':
        return answerLink(this.#room(), link, this.ports, effect);
      case 'keep-shown':
        return this.#keepShown(link, effect);
      case 'accept-head':
        return this.#acceptHead(link, effect);
      case 'check-reported':
        return this.#checkReported(link, effect);
    }
  }

  left(link: Link): void {
    this.#links.delete(link);
    if (link.replica !== undefined) this.#writers.left(link.replica, link);
    this.opened?.shared?.left(link);
    this.#present.left(link);
    if (isPeer(link)) this.#bridges.peerLeft();
    else this.#bridges.look();
  }

  /** Everybody who takes commits; who is still catching up reads them from the log. */
  announce(event: RelayEvent): void {
    tellAll(this.#present.links, event, this.ports.counters);
    if (event.kind === 'committed' && event.deltas.length > 0) this.#bridges.news();
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
    if (access.peerKey !== undefined) return this.#admitPeer(link, replica, access, opened);
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

  /** [FD5] It writes nothing of its own, so it needs no certificate and takes nobody's place. */
  async #admitPeer(link: Link, replica: ReplicaId, access: Access, opened: OpenedRoom): Promise<RelayEvent> {
    link.access = access;
    link.shown.widen(this.ports.limits.certificatesMax);
    const end = (await opened.standing()).position.offset;
    const present = this.#present.enter(link, replica, this.ports.limits.peersToldMax);
    this.#bridges.peerCame(access.peerKey as Uint8Array);
    this.ports.counters.add('connections_admitted');
    const [rights, ahead] = [access.rights, { deltas: 0, bytes: 0 }];
    const nothing = { certificate: undefined, after: undefined, lastSeq: 0, lastId: undefined };
    return { kind: 'authenticated', replica, rights, present, isPeer: true, ...nothing, end, ahead };
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
    return isPeer(link) || this.#writers.takes(replica, link);
  }

  #broadcast(link: Link, message: Presence): undefined {
    if (!isPeer(link)) this.#present.presence(message, link);
    else {
      const stands = this.#present.hear(message, link);
      if (stands !== undefined) this.#room().adopt(stands).catch(this.ports.report);
    }
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

  /** [SY18] Its stub was verified, or vouched for by its author's connection, and so was each part. */
  async #join(link: Link, { trieKey }: EffectOf<'join'>): Promise<undefined> {
    const joined = await this.#room().joined(trieKey);
    if (joined === undefined) return;
    const { delta, isAuthors } = joined;
    const from = isAuthors && delta.replica === link.replica ? 'author' : 'others';
    this.#commit(link, { deltas: [{ delta, verify: false, from }], refusals: [], bytes: 0 });
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

  async #acceptHead(link: Link, { statement }: EffectOf<'accept-head'>): Promise<RelayEvent | undefined> {
    const room = this.#room();
    const { replica } = statement;
    if (link.shown.get(replica) !== undefined && (await room.isHeadProven(statement, link.shown)))
      await this.#issue(link.shown.take([replica]), undefined);
    const outcome = await room.keepHead(statement);
    if (outcome === 'bad-signature' && !isPeer(link))
      return { kind: 'malformed', code: 'SIGNATURE_INVALID', facts: { replica } };
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
