import { MangroveError } from '../errors.js';
import type { RoomConfig } from '../ids.js';
import { Random } from './random.js';

/** What can befall a world, one at a time, while it runs. */
export const FAULTS = [
  /** The connection of a replica breaks. */
  'disconnect',
  /** One or both directions stall; a long stall ends the connection. */
  'partition',
  /** A replica stops and starts again with what its disk kept. */
  'replica-crash',
  /** Another tab takes the replica over while a seal may be under way. */
  'takeover',
  /** A replica's wall clock jumps. */
  'clock-jump',
  /** One side of a replica's connections takes in a message, waits, and takes in the next. */
  'slow-reader',
  /** Another device starts with a copy of a replica's disk, key included, once. */
  'copied-profile',
  /** A relay keeps the deltas of one replica from another for a while. */
  'relay-withholds',
  /** A relay shows two histories under one name and key for a while, and then forgets one of them. */
  'relay-two-histories',
  /** A replica goes on at another relay. */
  'switch-relay',
  /** A relay stops and starts again with what it had committed. */
  'relay-crash',
  /** A relay starts again from an old copy of its disk, under the same store id. */
  'relay-restore',
  /** A relay starts again with an empty disk and a new store id. */
  'relay-wipe',
  /** A replica is gone for good, once. What a relay had acknowledged must live on. */
  'death',
  /** A tenth of the deltas on a relay's disk are gone, behind its back. */
  'relay-hole',
  /** The same on a replica's disk, of what every relay has too. */
  'replica-hole',
  /** A relay takes and tells again what it had once, whatever became of it since. */
  'relay-repeats',
] as const;

export type FaultKind = (typeof FAULTS)[number];

export interface WorldOptions {
  readonly seed: number;
  readonly history: RoomConfig['history'];
  readonly replicaCount: number;
  readonly relayCount: number;
  /** Edits over all replicas, and the ratio of them that are of documents. */
  readonly editCount: number;
  readonly documentRatio: number;
  readonly keyCount: number;
  /** The ratio of a record's edits that delete it. */
  readonly deleteRatio: number;
  readonly editEveryMs: number;
  /** The chance of a message to end its connection, with everything on the way. */
  readonly dropRatio: number;
  /** The chance of a message to come twice. */
  readonly duplicateRatio: number;
  /** What a replica has sent over an ended connection may still arrive, after what it sends over the next. */
  readonly reorder: boolean;
  /** The chance of a message to arrive with one bit changed, as no transport should let it. */
  readonly flipRatio: number;
  readonly latencyMsMax: number;
  readonly clockSkewMsMax: number;
  readonly clockJumpMsMax: number;
  /** Relays keep their clocks better than most. */
  readonly relaySkewMsMax: number;
  /** `barriers`: only seals and a timer are strict, everything else is lost in a power cut up to the last of them. */
  readonly disk: 'strict' | 'barriers';
  /** From 17 on, of which each part of a message is one byte. */
  readonly frameBytesMax: number;
  /** What may wait on the way to one replica; a relay lets go of who is slower. */
  readonly sendBufferBytesMax: number;
  /** What each side lets the other send before it has committed it. */
  readonly windowBytes: number;
  /** The ratio of a document's edits whose bodies have several parts. */
  readonly bulkRatio: number;
  /** How a relay catches up a replica that has no cursor. */
  readonly newcomers: 'log' | 'vector';
  /** From which weight of its tail on a document is merged. */
  readonly checkpointTailBytesMin: number;
  /** What is worth a floor, and how much one collects. */
  readonly floorTombstonesMin: number;
  readonly floorContextEntriesMin: number;
  readonly floorCollectMax: number;
  /** Floors do not wait for who was not heard of for so long. */
  readonly replicaExpiryMs: number;
  readonly trashMs: number;
  /** A relay keeps the bytes of what is superseded for so long, and its log. */
  readonly retainSupersededMs: number;
  /** How long a relay keeps head statements from those who do not wait for them. */
  readonly headRestMs: number;
  readonly faults: readonly FaultKind[];
  readonly faultEveryMs: number;
  /** False where somebody misbehaves on purpose: the test says what must hold then, instead of the oracles. */
  readonly isWatched: boolean;
}

const NEVER = 1e9;
const DAY_MS = 24 * 3_600_000;

export const defaultOptions: WorldOptions = {
  seed: 1,
  history: 'current',
  replicaCount: 3,
  relayCount: 1,
  editCount: 40,
  documentRatio: 0.5,
  keyCount: 4,
  deleteRatio: 0.2,
  editEveryMs: 40,
  dropRatio: 0,
  duplicateRatio: 0,
  reorder: false,
  flipRatio: 0,
  latencyMsMax: 50,
  clockSkewMsMax: 0,
  clockJumpMsMax: 0,
  relaySkewMsMax: 0,
  disk: 'strict',
  frameBytesMax: 262_144,
  sendBufferBytesMax: 16 * 1024 * 1024,
  windowBytes: 2 * 1024 * 1024,
  bulkRatio: 0,
  newcomers: 'log',
  checkpointTailBytesMin: 16_384,
  floorTombstonesMin: NEVER,
  floorContextEntriesMin: NEVER,
  floorCollectMax: 8_192,
  replicaExpiryMs: 90 * DAY_MS,
  trashMs: 30 * DAY_MS,
  retainSupersededMs: 7 * DAY_MS,
  headRestMs: 500,
  faults: [],
  faultEveryMs: 400,
  isWatched: true,
};

/** Of a frame this small each part of a message is one byte. */
const ONE_BYTE_PARTS = 17;
const RATIO = [0, 1] as const;

/** Outside of these there is no world, or one that never comes to its end. */
const BOUNDS: Partial<Record<keyof WorldOptions, readonly [min: number, max: number]>> = {
  replicaCount: [1, 1_000],
  relayCount: [1, 100],
  keyCount: [1, 1_000_000],
  frameBytesMax: [ONE_BYTE_PARTS, defaultOptions.frameBytesMax],
  documentRatio: RATIO,
  deleteRatio: RATIO,
  dropRatio: RATIO,
  duplicateRatio: RATIO,
  flipRatio: RATIO,
  bulkRatio: RATIO,
};

/** A mistyped option would make another world than its author meant. Throws `OPTION_INVALID` for a name, a fault or a value that there is not. */
export function assertOptions(options: Partial<WorldOptions>): void {
  for (const [option, value] of Object.entries(options)) {
    if (!Object.hasOwn(defaultOptions, option))
      throw new MangroveError('OPTION_INVALID', {
        option,
        reason: `there are ${Object.keys(defaultOptions).join(', ')}`,
      });
    const wanted = defaultOptions[option as keyof WorldOptions];
    if (typeof value !== typeof wanted || Array.isArray(value) !== Array.isArray(wanted))
      throw new MangroveError('OPTION_INVALID', {
        option,
        reason: `it takes ${kindOf(wanted)}, not ${kindOf(value)}`,
      });
  }
  for (const [option, [min, max]] of Object.entries(BOUNDS)) {
    const value = options[option as keyof WorldOptions] as number | undefined;
    if (value !== undefined && !(value >= min && value <= max))
      throw new MangroveError('OPTION_INVALID', { option, reason: `it is ${value}, and goes from ${min} to ${max}` });
  }
  for (const fault of options.faults ?? []) assertFault('faults', fault);
}

/** Throws `OPTION_INVALID`. */
export function assertFault(option: string, fault: string): void {
  if (!FAULTS.some((known) => known === fault))
    throw new MangroveError('OPTION_INVALID', { option, reason: `${fault} is none of ${FAULTS.join(', ')}` });
}

const kindOf = (value: unknown): string => (Array.isArray(value) ? 'list' : typeof value);

const YEAR_MS = 365 * DAY_MS;

/** A configuration drawn from the seed, so that a run over many seeds is a run over many kinds of worlds. */
export function mixedOptions(seed: number): WorldOptions {
  const random = new Random(seed * 2 + 1);
  const relayCount = random.chance(0.25) ? 2 : 1;
  const mayRollBack = random.chance(0.35);
  const documentRatio = random.pick([0, 0.3, 0.5, 0.8, 1]);
  const frameBytesMax = random.pick([ONE_BYTE_PARTS, 256, 2_048, 262_144]);
  const bulkRatio = frameBytesMax === ONE_BYTE_PARTS ? 0 : random.pick([0, 0, 0, 0, 0.1, 0.3]);
  const flipRatio = random.chance(0.2) ? random.pick([0.01, 0.05]) : 0;
  // A relay that loses what it acknowledged, and its author gone: nobody could keep that promise.
  const mayDie = !mayRollBack && flipRatio === 0 && random.chance(0.3);
  const faults = FAULTS.filter((fault) => {
    if (fault === 'switch-relay') return relayCount > 1;
    if (fault === 'relay-restore' || fault === 'relay-wipe' || fault === 'relay-two-histories')
      return mayRollBack && random.chance(0.6);
    if (fault === 'death') return mayDie;
    // Of one relay that forgets nothing, as elsewhere a copy could not notice in time.
    if (fault === 'copied-profile') return relayCount === 1 && !mayRollBack && flipRatio === 0 && random.chance(0.5);
    // Where a relay may roll back beside it, nobody could bring it back.
    if (fault === 'replica-hole') return !mayRollBack && random.chance(0.3);
    // A relay that loses what it acknowledged, as above.
    if (fault === 'relay-hole') return !mayDie && random.chance(0.2);
    // Of records, as what is said of a document stands until it is merged; and so never beside copied profiles.
    if (fault === 'relay-repeats') return documentRatio < 1 && random.chance(0.5);
    return random.chance(0.5);
  });
  return {
    ...defaultOptions,
    seed,
    replicaCount: random.pick([2, 3, 3, 4]),
    relayCount,
    editCount: random.pick([6, 12, 20, 20, 30, 60]),
    documentRatio,
    keyCount: random.pick([1, 2, 4, 8]),
    editEveryMs: random.pick([2, 20, 60, 150]),
    dropRatio: random.pick([0, 0, 0.01, 0.04]),
    duplicateRatio: random.pick([0, 0, 0.05, 0.2]),
    reorder: random.chance(0.5),
    flipRatio,
    latencyMsMax: random.pick([1, 20, 100, 800]),
    clockSkewMsMax: random.pick([0, 50, 5_000, 120_000]),
    clockJumpMsMax: random.pick([1_000, 20_000, 600_000, 20 * YEAR_MS]),
    relaySkewMsMax: random.pick([0, 0, 1_000, 200_000]),
    disk: random.pick(['strict', 'barriers']),
    frameBytesMax,
    // As everywhere, a buffer holds more than one message, and a body of many bytes goes in frames of some size.
    sendBufferBytesMax: bulkRatio > 0 ? 16 * 1024 * 1024 : random.pick([8_192, 65_536, 16 * 1024 * 1024]),
    windowBytes: random.pick([300, 5_000, 2 * 1024 * 1024]),
    bulkRatio,
    newcomers: random.pick(['log', 'vector']),
    checkpointTailBytesMin: random.pick([200, 600, 2_000, 1e9]),
    faults: random.chance(0.15) ? [] : faults,
    faultEveryMs: random.pick([150, 400, 1_500]),
    deleteRatio: random.pick([0.2, 0.4, 0.6]),
    floorTombstonesMin: random.pick([1, 1, 1, NEVER]),
    floorContextEntriesMin: random.pick([1, 3, NEVER, NEVER]),
    floorCollectMax: random.pick([1, 8_192, 8_192]),
    replicaExpiryMs: random.pick([1_500, 90 * DAY_MS]),
    trashMs: random.pick([1_000, 30 * DAY_MS]),
    retainSupersededMs: random.pick([3_000, 7 * DAY_MS]),
    history: random.pick(['current', 'current', 'current', 'full']),
  };
}
