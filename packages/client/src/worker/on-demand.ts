/** What few pages ever need, loaded when it is first asked for: one chunk, as each further one would cut what it shares with the worker into more. */
export { Backups } from './backup/backups.js';
export { salvage } from './salvage/salvage.js';
export { VersionKeeper } from './versions/version-keeper.js';
