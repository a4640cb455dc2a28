import type { LinkConfig } from '../sync/state.js';
import type { WorldCrypto } from './crypto.js';
import type { Ledger } from './ledger.js';
import type { EventLoop } from './loop.js';
import type { Connection } from './network.js';
import type { WorldOptions } from './options.js';
import type { Random } from './random.js';
import type { Trace } from './trace.js';

/** What a replica and a relay know of the world they are in. */
export interface Scene {
  readonly options: WorldOptions;
  readonly random: Random;
  readonly loop: EventLoop;
  readonly trace: Trace;
  readonly ledger: Ledger;
  readonly config: LinkConfig;
  readonly room: LinkConfig['room'];
  readonly crypto: WorldCrypto;
  /** What a right clock shows. */
  readonly wallMs: number;
  /** Undefined when nobody answers. */
  connect(replica: number): Connection | undefined;
  count(what: string, by?: number): void;
  /** Something that must not happen in a world without attackers. */
  alarm(what: string): void;
}
