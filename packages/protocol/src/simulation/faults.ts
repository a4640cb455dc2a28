import type { Delta } from '../delta.js';
import { msAhead } from '../hlc.js';
import { idToBytes } from '../ids.js';
import type { FaultKind } from './options.js';
import type { SimRelay } from './relay.js';
import type { SimReplica } from './replica.js';
import type { Cast } from './cast.js';
import { holeRelay, holeReplica } from './holes.js';

const REPEATED = 3;
const REPEATED_BYTES_MAX = 1_000;
const YEAR_MS = 365 * 24 * 3_600_000;

/** Plans one fault after the other until the world heals. */
export function planFaults(world: Cast): void {
  const { faults, faultEveryMs } = world.options;
  if (faults.length === 0) return;
  const next = () => {
    world.loop.after(world.random.between(faultEveryMs / 2, faultEveryMs * 2), () => {
      if (world.isHealing) return;
      strike(world, world.random.pick(faults));
      next();
    });
  };
  next();
}

/** Lets something befall a world now. */
export function strike(world: Cast, fault: FaultKind): void {
  const replica = world.random.pick(world.replicas);
  const relay = world.random.pick(world.relays);
  world.count(`fault ${fault}`);
  world.trace.add('fault', fault, replica.index, relay.index);
  strikes[fault](world, replica, relay);
}

const strikes: Record<FaultKind, (world: Cast, replica: SimReplica, relay: SimRelay) => void> = {
  disconnect: (_, replica) => replica.connection?.break(),
  partition,
  'replica-crash': crashReplica,
  takeover: (_, replica) => {
    if (replica.isUp) replica.takeover();
  },
  'clock-jump': jumpClock,
  'slow-reader': (world, replica) => {
    const side = world.random.pick(['replica', 'replica', 'relay'] as const);
    world.slow(replica.index, side, world.loop.nowMs + world.random.between(500, 4_000));
  },
  'copied-profile': copyProfile,
  'relay-withholds': withhold,
  'relay-two-histories': forkRelay,
  'switch-relay': (_, replica) => replica.switchRelay(),
  'relay-crash': (world, _, relay) => restartRelay(world, relay, () => {}),
  'relay-restore': (world, _, relay) => restoreRelay(world, relay),
  'relay-wipe': (world, _, relay) => restartRelay(world, relay, () => relay.wipe()),
  death: killReplica,
  'relay-hole': (world, _, relay) => holeRelay(world, relay),
  'replica-hole': (world, replica) => holeReplica(world, replica),
  'relay-repeats': (world, _, relay) => repeat(world, relay),
};

function partition(world: Cast, replica: SimReplica): void {
  const { random } = world;
  const untilMs = world.loop.nowMs + random.between(50, 5_000);
  const sides = random.pick([['replica'], ['relay'], ['replica', 'relay']] as const);
  for (const side of sides) world.block(replica.index, side, untilMs);
}

function crashReplica(world: Cast, replica: SimReplica): void {
  if (!replica.isUp) return;
  replica.crash();
  world.loop.after(world.random.between(0, 2_000), () => {
    if (!replica.isUp && !replica.isDead) replica.start();
  });
}

function jumpClock(world: Cast, replica: SimReplica): void {
  const { clockJumpMsMax } = world.options;
  const jumpMs = world.random.between(-clockJumpMsMax, clockJumpMsMax);
  // A clock that jumps by years has one wrong battery, not several in a row.
  replica.skewMs = Math.abs(jumpMs) > YEAR_MS ? jumpMs : replica.skewMs + jumpMs;
}

/** Once in a world: a second copy would be a copy of a copy. */
function copyProfile(world: Cast, replica: SimReplica): void {
  if (world.replicas.length === world.options.replicaCount && replica.isUp) world.copyProfile(replica.index);
}

function withhold(world: Cast, author: SimReplica, relay: SimRelay): void {
  const from = world.random.pick(world.replicas);
  relay.withheld = { author: author.id, from: from.id };
  world.loop.after(world.random.between(500, 5_000), () => {
    relay.withheld = undefined;
  });
}

/** Small ones, which go in one message; and none that it would refuse: who wrote it was never admitted here, or its stamp is too far ahead. */
function repeat(world: Cast, relay: SimRelay): void {
  if (!relay.isUp) return;
  const { clockAheadMsMax } = world.config.limits;
  const mayTake = ({ replica, hlc, body }: Delta) =>
    body.length < REPEATED_BYTES_MAX &&
    relay.tables.table('certificates').get(idToBytes(replica)) !== undefined &&
    msAhead(hlc, relay.nowMs()) <= clockAheadMsMax;
  const past = [...world.ledger.deltas.values()].filter(
    ({ delta, atRelay, withdrawn }) => atRelay && !withdrawn && mayTake(delta),
  );
  for (let i = 0; i < REPEATED && past.length > 0; i++) relay.inject(world.random.pick(past).delta);
}

function forkRelay(world: Cast, _: SimReplica, relay: SimRelay): void {
  if (relay.twin !== undefined) return;
  relay.fork();
  for (const { index, connection } of world.replicas) if (index % 2 === 1) connection?.break();
  world.loop.after(world.random.between(500, 6_000), () => relay.unfork());
}

function restartRelay(world: Cast, relay: SimRelay, meanwhile: () => void): void {
  if (!relay.isUp) return;
  relay.stop();
  meanwhile();
  world.loop.after(world.random.between(0, 1_000), () => relay.start());
}

/** The first time a copy is taken, the second time it is put back. */
function restoreRelay(world: Cast, relay: SimRelay): void {
  if (relay.copy === undefined || world.random.chance(0.3)) relay.takeCopy();
  else restartRelay(world, relay, () => relay.restore());
}

/** Once in a world, and never the last two. */
function killReplica(world: Cast, replica: SimReplica): void {
  if (world.replicas.some(({ isDead }) => isDead) || world.replicas.length < 3) return;
  if (replica.isUp) replica.crash();
  replica.isDead = true;
}
