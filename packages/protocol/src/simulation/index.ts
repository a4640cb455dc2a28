export { idsToBytes } from './content.js';
export { cheapCrypto, cheapHash, simulatedSign, type WorldCrypto } from './crypto.js';
export type { Transacted } from './disk.js';
export { SimulationFailure } from './failure.js';
export { defaultOptions, FAULTS, type FaultKind, mixedOptions, type WorldOptions } from './options.js';
export { Random } from './random.js';
export { SimRelay } from './relay.js';
export { SimReplica } from './replica.js';
export { createWorld, World } from './world.js';
