import { errorToFacts, type ErrorFacts, type MangroveError } from '@mangrove/protocol';
import type { Environment } from '../environment.js';
import type { Database } from '../stores/database.js';
import { failureOf, type Place, refugeFrom, storageStatus } from '../stores/places.js';
import type { RoomStatus } from '../types.js';

/** A database that rooms are opened in. */
export interface Opened {
  readonly database: Database;
  readonly place: Place;
  readonly storage: RoomStatus['storage'];
  /** Why it is not the one that it should be. */
  readonly failure: ErrorFacts | undefined;
  /** Where rooms may have been kept meanwhile, when the site's own database did not open. */
  readonly rescued: Database | undefined;
  /** The one before it, which opens and cannot be relied on: what nobody has carried along may be read there. */
  readonly left: Place | undefined;
}

/** The database of a client: the one it has, and where its rooms go when that fails. Nothing goes back to one that has failed. */
export class Databases {
  readonly #env: Environment;
  readonly #name: string;
  /** The rooms of the failed one are to be opened in the next one. */
  readonly #moved: () => void;
  #current: Promise<Opened> | undefined;
  #hadRows = false;
  #isEnded = false;

  constructor(env: Environment, name: string, moved: () => void) {
    this.#env = env;
    this.#name = name;
    this.#moved = moved;
  }

  current(): Promise<Opened> {
    this.#current ??= this.#open('main', undefined, undefined);
    return this.#current;
  }

  /** Whether a room that could not be opened there is to be opened in the next one. */
  async failed(opened: Opened, error: unknown): Promise<boolean> {
    if ((await this.current()) !== opened) return true;
    if (failureOf(error) === undefined || opened.place === 'memory' || this.#isEnded) return false;
    this.#move(opened, error);
    return true;
  }

  /** Opens the one that was left once more, for what is still there to be read. */
  openLeft(place: Place): Promise<Database> {
    return this.#env.openDatabase(this.#name, place, () => {});
  }

  async shutDown(deleteData: boolean): Promise<void> {
    this.#isEnded = true;
    const opened = await this.#current;
    if (deleteData) await (opened ?? (await this.current())).database.deleteAll();
    else await opened?.database.close();
    await opened?.rescued?.close();
    if (deleteData) await this.#env.deleteElsewhere(this.#name, opened?.place ?? 'main');
    this.#current = undefined;
    this.#isEnded = false;
  }

  #move(from: Opened, error: unknown): void {
    if (this.#isEnded) return;
    this.#hadRows ||= from.place !== 'memory';
    const failure = errorToFacts(error);
    const reason = failureOf(error) ?? 'lost';
    const left = reason === 'broken' ? from.place : from.left;
    this.#current = this.#open(refugeFrom(from.place, reason, this.#env.hasBuckets), failure, left);
    // What fails for want of room fails once more when it is closed, which nobody needs to wait for.
    from.database.close().catch(() => {});
    from.rescued?.close().catch(() => {});
    this.#moved();
  }

  async #open(place: Place, failure: ErrorFacts | undefined, left: Place | undefined): Promise<Opened> {
    let opened: Opened | undefined;
    const onLost = (error: MangroveError): void => {
      // Lost before anybody has it: whoever uses it first finds out.
      if (opened !== undefined) this.#move(opened, error);
    };
    try {
      const database = await this.#env.openDatabase(this.#name, place, onLost);
      const rescued = place === 'main' ? await this.#env.openRescued(this.#name) : undefined;
      opened = { database, place, storage: storageStatus(place, this.#hadRows), failure, rescued, left };
      return opened;
    } catch (error) {
      const reason = failureOf(error);
      if (place === 'memory' || reason === undefined) throw error;
      return this.#open(refugeFrom(place, reason, this.#env.hasBuckets), errorToFacts(error), left);
    }
  }
}
