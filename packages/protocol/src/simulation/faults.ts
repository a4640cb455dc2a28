import type { FaultKind } from './options.js';
import type { SimRelay } from './relay.js';
import type { SimReplica } from './replica.js';
import type { Cast } from './cast.js';

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
  'switch-relay': (_, replica) => replica.switchRelay(),
  'relay-crash': (world, _, relay) => restartRelay(world, relay, () => {}),
  'relay-restore': (world, _, relay) => restoreRelay(world, relay),
  'relay-wipe': (world, _, relay) => restartRelay(world, relay, () => relay.wipe()),
  death: killReplica,
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
  replica.skewMs += world.random.between(-clockJumpMsMax, clockJumpMsMax);
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
