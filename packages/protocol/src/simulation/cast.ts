import type { KeyName } from '../ids.js';
import type { Side } from './network.js';
import type { SimRelay } from './relay.js';
import type { SimReplica } from './replica.js';
import type { Scene } from './scene.js';

/** The world as faults and oracles see it. */
export interface Cast extends Scene {
  readonly replicas: readonly SimReplica[];
  readonly relays: readonly SimRelay[];
  readonly keys: readonly KeyName[];
  readonly isHealing: boolean;
  readonly counts: ReadonlyMap<string, number>;
  copyProfile(index: number): SimReplica;
  merkleRoots(): readonly string[];
  /** A direction of a replica's connections stalls until then. */
  block(replica: number, side: Side, untilMs: number): void;
  /** A side of a replica's connections reads slowly until then. */
  slow(replica: number, side: Side, untilMs: number): void;
}
