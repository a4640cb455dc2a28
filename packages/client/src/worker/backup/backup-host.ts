import type { ErrorFacts } from '@mangrove/protocol';
import type { Environment } from '../../environment.js';
import type { TabNotice } from '../../tabs/room-channel.js';
import type { RuntimeOptions } from '../runtime-options.js';

/** What backing up and restoring need of an open room. */
export interface BackupHost {
  readonly env: Environment;
  readonly options: RuntimeOptions;
  /** When everything that the page handed over before is on disk. */
  idle(): Promise<void>;
  /** Whether the tab that wrote the row has told of it. */
  isKnown(row: number): boolean;
  /** To this tab and to all others, in the same words. */
  tell(notice: TabNotice): void;
  fault(error: ErrorFacts): void;
}

/** A room for as long as something is restored into it: one that is open on the page, or one that is opened for this alone. */
export interface BorrowedRoom {
  readonly host: BackupHost;
  release(): Promise<void>;
  /** The same under another identity: the one that it had is used elsewhere [CX7]. */
  renewed(): Promise<BorrowedRoom>;
}
