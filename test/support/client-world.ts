// Clients and a relay in one process, with time, disks and networks in the hand of the test.
export { frameOf, messageFromRelay, messageToRelay } from './client-world/frames.js';
export { Profile } from './client-world/profile.js';
export { RelayDisk } from './client-world/relay.js';
export { roomRef } from './client-world/rows.js';
export { setWorld } from './client-world/set-world.js';
export { Tab } from './client-world/tab.js';
export { verifier } from './client-world/verifier.js';
export { ClientWorld } from './client-world/world.js';
