import { bytesToDelta } from '../delta.js';
import { errorToFacts, type MangroveError } from '../errors.js';
import type { ReplicaId } from '../ids.js';
import { bytesToStub, isStub } from '../stub.js';
import type { RelayEffect } from '../sync/effect.js';
import type { RelayEvent } from '../sync/event.js';
import { bytesOf } from '../sync/flow.js';
import { greeting, type RelayState } from '../sync/state.js';
import { stepSync } from '../sync/step.js';
import type { DeltaBytes, Message, ReplicaMessage } from '../wire/messages.js';
import { drawHabits, Executor } from './executor.js';
import type { Connection } from './network.js';
import type { SimRelay } from './relay.js';

/** One connection at a relay. */
export class RelayLink {
  /** In the order in which connections were opened. */
  readonly number: number;
  readonly relay: SimRelay;
  readonly connection: Connection;
  readonly executor: Executor<RelayEvent, RelayEffect>;
  state: RelayState;

  constructor(relay: SimRelay, connection: Connection) {
    const { world, random } = relay;
    this.relay = relay;
    this.number = relay.countLink();
    this.connection = connection;
    this.state = greeting(world.config, {
      relayKey: relay.publicKey,
      storeId: relay.storeId,
      challenge: random.bytes(32),
    });
    this.executor = new Executor<RelayEvent, RelayEffect>(
      { step: (event) => this.#step(event), run: (effect, done) => relay.conduct(this, effect, done) },
      drawHabits(random),
    );
    relay.links.add(this);
    this.executor.receive({ kind: 'opened' });
  }

  get replica(): ReplicaId | undefined {
    return 'replica' in this.state ? this.state.replica : undefined;
  }

  message(message: ReplicaMessage): void {
    this.executor.receive({ kind: 'message', message, nowMs: this.relay.nowMs() });
  }

  malformed(error: MangroveError): void {
    const { code, facts } = errorToFacts(error);
    this.executor.receive({ kind: 'malformed', code, facts: facts as Readonly<Record<string, string | number>> });
  }

  send(message: Message): void {
    const { tampers, withheld, world } = this.relay;
    if (message.kind === 'deltas' && withheld?.from === this.replica) {
      const { hash, roomId } = world.room;
      const isShown = (bytes: DeltaBytes) =>
        (isStub(bytes) ? bytesToStub(hash, roomId, bytes) : bytesToDelta(hash, roomId, bytes)).replica !==
        withheld?.author;
      const deltas = message.deltas.filter(isShown);
      this.connection.send('replica', { ...message, deltas });
      // It knows what it has not sent, so that does not count against its credit.
      const bytes = bytesOf(message.deltas) - bytesOf(deltas);
      if (bytes > 0)
        this.executor.receive({ kind: 'message', message: { kind: 'credit', bytes }, nowMs: this.relay.nowMs() });
      return;
    }
    const said = tampers === undefined ? message : tampers(message, this.replica);
    if (said !== undefined) this.connection.send('replica', said);
  }

  /** The replica's side has ended it. */
  closed(): void {
    this.executor.stop();
    this.relay.links.delete(this);
    const { replica } = this;
    if (replica !== undefined)
      this.relay.announce({ kind: 'forward', message: { kind: 'peer', replica, present: false } });
  }

  /** This side ends it, after what it has said. */
  finish(): void {
    this.connection.closeAfterSent();
    this.executor.stop();
    this.relay.links.delete(this);
  }

  /** The process stops, or has to. */
  end(): void {
    this.connection.closeBy('relay');
    this.executor.stop();
    this.relay.links.delete(this);
  }

  #step(event: RelayEvent): readonly RelayEffect[] {
    const { state, effects } = stepSync(this.state, event);
    this.state = state;
    this.relay.world.trace.add('relay', this.relay.index, event.kind, state.kind);
    return effects;
  }
}
