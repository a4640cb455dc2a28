/** What can go wrong in operation, as typed errors. Codes are permanent: tests and applications compare them. */

/** The plain form of an error, as it crosses a worker boundary or the wire. */
export interface ErrorFacts {
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy: string;
  readonly retryable: boolean;
  readonly facts: Readonly<Record<string, unknown>>;
}

interface ErrorEntry {
  readonly wire: number;
  readonly retryable: boolean;
  readonly message: string;
  readonly remedy: string;
}

/** `{name}` in a text is filled from the facts. Wire numbers are permanent and never reused. */
const ERRORS = {
  FRAME_TOO_LARGE: {
    wire: 1,
    retryable: false,
    message: 'A frame of {frameBytes} bytes is over the limit of {frameBytesMax}.',
    remedy: 'Send larger messages in parts, or raise limits.frameBytesMax on the client and the relay.',
  },
  BODY_TOO_LARGE: {
    wire: 2,
    retryable: false,
    message: 'A body of {bodyBytes} bytes is over the limit of {bodyBytesMax}.',
    remedy: 'Keep large binary data outside the document.',
  },
  VALUE_TOO_LARGE: {
    wire: 3,
    retryable: false,
    message: 'A record value of {valueBytes} bytes is over the limit of {valueBytesMax}.',
    remedy: 'Split the record, or keep large binary data outside of it.',
  },
  VALUE_INVALID: {
    wire: 4,
    retryable: false,
    message: 'A record value cannot be stored: {reason}.',
    remedy: 'Use JSON values, Uint8Array, Date, bigint and Map only.',
  },
  NAME_INVALID: {
    wire: 5,
    retryable: false,
    message: 'The name of a {what} is not valid: {reason}.',
    remedy: 'Names are strings of 1 to 512 UTF-8 bytes without lone surrogates; a room is not named “.” or “..”.',
  },
  FRAME_MALFORMED: {
    wire: 6,
    retryable: false,
    message: 'A frame could not be decoded: {reason}.',
    remedy: 'Check that both sides run compatible versions and that nothing rewrites the connection.',
  },
  DELTA_MALFORMED: {
    wire: 7,
    retryable: false,
    message: 'A delta could not be decoded: {reason}.',
    remedy: 'The author runs a faulty or hostile client; nothing was changed.',
  },
  SIGNATURE_INVALID: {
    wire: 8,
    retryable: false,
    message: 'A signature of replica {replica} does not verify.',
    remedy: 'The delta was altered or forged; it is quarantined and nothing was changed.',
  },
  DELTA_REPLAYED: {
    wire: 9,
    retryable: false,
    message: 'This delta was already received.',
    remedy: 'Nothing to do: a replay changes nothing.',
  },
  WRONG_ROOM: {
    wire: 10,
    retryable: false,
    message: 'A delta belongs to another room.',
    remedy: 'Send each delta to the room it was made for.',
  },
  DOT_REUSED: {
    wire: 11,
    retryable: false,
    message: 'A copy of replica {replica} writes too.',
    remedy: 'The profile was copied or restored; this copy takes a new identity and seals what was unsent again.',
  },
  CLOCK_AHEAD: {
    wire: 12,
    retryable: true,
    message: 'A stamp lies {aheadMs} ms ahead of the clock; {clockAheadMsMax} ms are allowed.',
    remedy: 'Set the clock of the device that is ahead. Nothing is lost; it goes on when the time has come.',
  },
  VERSION_UNSUPPORTED: {
    wire: 13,
    retryable: false,
    message: 'The other side speaks protocol version {version}; this one speaks {supported}.',
    remedy: 'Reload the page, or update the older of the two.',
  },
  UNAUTHORIZED: {
    wire: 14,
    retryable: false,
    message: 'The relay does not allow this: {reason}.',
    remedy: 'Ask for access, or supply a token with the right it needs.',
  },
  STORAGE_FULL: {
    wire: 15,
    retryable: true,
    message: 'The storage quota is used up.',
    remedy: 'Free space on the device; writing resumes by itself.',
  },
  STORAGE_UNAVAILABLE: {
    wire: 16,
    retryable: true,
    message: 'The storage cannot be used: {reason}.',
    remedy: 'Allow site data for this page, or close other tabs that hold an older version, and reload.',
  },
  NO_RELAY: {
    wire: 17,
    retryable: false,
    message: 'This client was created without a relay.',
    remedy: 'Pass `relay` to createClient, or await a rung up to `disk`.',
  },
  NO_SEQUENCER: {
    wire: 18,
    retryable: true,
    message: 'The sequencer of the room cannot be reached.',
    remedy: 'Try again when the room is connected.',
  },
  STALE_REPLICA: {
    wire: 19,
    retryable: true,
    message: 'This replica is staler than its threshold allows.',
    remedy: 'Wait for the room to sync, or relax the threshold.',
  },
  VERSION_MISMATCH: {
    wire: 20,
    retryable: false,
    message: 'The record has changed since the given version.',
    remedy: 'Read it again and retry with its present version.',
  },
  ROOM_CONFIG_MISMATCH: {
    wire: 21,
    retryable: false,
    message: 'The room was created with another configuration.',
    remedy: 'Open it with the `history` and `encryptionKey` options it was created with.',
  },
  ROOM_OPTIONS_CONFLICT: {
    wire: 22,
    retryable: false,
    message: 'The room {room} is already open with other options.',
    remedy: 'Close it first, or pass the same options.',
  },
  NOT_SUPPORTED: {
    wire: 23,
    retryable: false,
    message: '{feature} is not supported by this version.',
    remedy: 'Leave the option out, or update when it is there.',
  },
  CLOSED: {
    wire: 24,
    retryable: false,
    message: 'The {what} is closed.',
    remedy: 'Open it again before using it.',
  },
  UNCERTIFIED: {
    wire: 25,
    retryable: true,
    message: 'Replica {replica} has no certificate in this room.',
    remedy: 'Its certificate comes with the next connection to a relay that knows it.',
  },
  UNDECODABLE: {
    wire: 26,
    retryable: false,
    message: 'The content of a delta of replica {replica} cannot be used: {reason}.',
    remedy: 'It is quarantined; everything else is unaffected.',
  },
  ABORTED: {
    wire: 27,
    retryable: false,
    message: 'The wait was aborted by its signal.',
    remedy: 'Nothing to do: only the waiting ended, the write goes on.',
  },
  INTERNAL: {
    wire: 28,
    retryable: true,
    message: 'An internal fault: {reason}.',
    remedy: 'Reload; if it comes back, report it with this message.',
  },
  OPTION_INVALID: {
    wire: 29,
    retryable: false,
    message: 'The option {option} is not valid: {reason}.',
    remedy: 'Correct the option; the guide says what it takes.',
  },
  CHECKPOINT_WRONG: {
    wire: 30,
    retryable: false,
    message: 'A checkpoint of replica {replica} is not what it covers: {reason}.',
    remedy: 'It is quarantined, and what it covered is still read; a checkpoint with the right content answers it.',
  },
  STORAGE_DAMAGED: {
    wire: 31,
    retryable: true,
    message:
      'Rows on this device were damaged: {unreadable} could not be read and were dropped, {contradicting} contradicted themselves.',
    remedy: 'What a relay or another replica has comes back by itself. If it happens again, look at the disk.',
  },
  BASE_UNKNOWN: {
    wire: 32,
    retryable: true,
    message: 'Something was told by its difference from what the other side does not remember.',
    remedy: 'Nothing to do: it is told again, whole.',
  },
  UNDER_FLOOR: {
    wire: 33,
    retryable: false,
    message: 'A delta of replica {replica} lies under a floor of the room.',
    remedy: 'Nothing is lost: its author seals the content again, and for others it is in the trash.',
  },
  CONTEXT_TOO_LARGE: {
    wire: 34,
    retryable: true,
    message: 'The key has {entries} writers that no floor has collected; {entriesMax} are allowed.',
    remedy: 'Write again with this version, which names as many of them as fit.',
  },
  WITNESS_INVALID: {
    wire: 35,
    retryable: false,
    message: 'A floor of replica {replica} relies on a statement that replica {witness} never signed.',
    remedy: 'Look at who writes with that replica; what it took is in the trash.',
  },
  NOT_IN_TRASH: {
    wire: 36,
    retryable: false,
    message: 'It is not in the trash.',
    remedy: 'List it again.',
  },
  STORAGE_LOST: {
    wire: 37,
    retryable: false,
    message: 'The storage of this device was lost. Writes that were in it alone: {writes}.',
    remedy: 'What a relay or another replica has comes back by itself. Keep this tab open until the room is in sync.',
  },
  BACKUP_CUT: {
    wire: 40,
    retryable: false,
    message: 'The backup ends early, after {deltas} deltas.',
    remedy: 'What is whole was restored. Restore another backup, or one that begins after the mark in the facts.',
  },
  BACKUP_DAMAGED: {
    wire: 41,
    retryable: false,
    message: 'The backup is not as it was written: {reason}.',
    remedy:
      'What came before that was restored. Restore another backup, or one that begins after the mark in the facts.',
  },
  VERSION_UNAVAILABLE: {
    wire: 42,
    retryable: true,
    message: 'The version {id} cannot be read: {reason}.',
    remedy: 'Try again when the room is in sync. One that was deleted, or that only history had, does not come back.',
  },
  STORAGE_NEWER: {
    wire: 43,
    retryable: false,
    message: 'A newer version of this app has the storage of this device now.',
    remedy:
      'Reload this tab when the room is in sync: what it has written is safe then, and the newer version shows it.',
  },
  DELTA_LOST: {
    wire: 44,
    retryable: false,
    message: 'The disk of this device has lost {writes} writes that no relay had.',
    remedy:
      'What a page still shows of a document is written anew. Write the rest again; if it comes back, look at the disk.',
  },
  UPDATE_TOO_COSTLY: {
    wire: 45,
    retryable: false,
    message: 'An edit of replica {replica} was set aside: {reason}.',
    remedy: 'Everything else is unaffected. Look at who writes with that replica; room.quarantine exports the edit.',
  },
  ROOM_NOT_BEGUN: {
    wire: 46,
    retryable: true,
    message: 'Nobody who may write has opened this room yet.',
    remedy: 'Nothing to do: it is tried again, and goes on when somebody who may write has been there.',
  },
  COVERED_UNSEEN: {
    wire: 47,
    retryable: false,
    message: 'A write of replica {replica} was covered by one whose writer cannot have seen it.',
    remedy: 'Nothing is lost: it is sealed again and stands beside the other.',
  },
  RATE_LIMITED: {
    wire: 48,
    retryable: true,
    message: 'The relay takes no more {what} of this {scope} for {retryAfterMs} ms.',
    remedy: 'Nothing is lost: what was written waits on this device and is sent by itself when the time has come.',
  },
  QUOTA_EXCEEDED: {
    wire: 49,
    retryable: true,
    message: 'The room is full at the relay: it has {used} of {max} {what}.',
    remedy:
      'Nothing is lost: it waits on this device and is tried again now and then. Delete something, or ask the operator for more room.',
  },
  TOKEN_EXPIRED: {
    wire: 50,
    retryable: true,
    message: 'The token, or the ticket, does not count any more: {reason}.',
    remedy: 'It is tried again with a fresh one: pass a function as `token`, which fetches one for each connection.',
  },
  ENGINE_UNAVAILABLE: {
    wire: 56,
    retryable: true,
    message: 'The engine of the fleet cannot be reached: {reason}.',
    remedy: 'Nothing is lost: relays go on by themselves when it can be reached again. Look whether it runs.',
  },
  ENGINE_UNSUITABLE: {
    wire: 57,
    retryable: false,
    message: 'The engine of the fleet cannot be relied on: {reason}.',
    remedy: 'Give the fleet a server that keeps what it acknowledges; the guide says what it asks for.',
  },
  ENGINE_REFUSED: {
    wire: 58,
    retryable: false,
    message: 'The engine of the fleet does not take this: {reason}.',
    remedy: 'Raise the limit of the engine that it names.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

const codeByWire: ReadonlyMap<number, ErrorCode> = new Map(
  (Object.keys(ERRORS) as ErrorCode[]).map((code) => [ERRORS[code].wire, code]),
);

/** An error of operation. Compare `code`, not the class: codes survive realms, workers and the wire. */
export class MangroveError extends Error implements ErrorFacts {
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly retryable: boolean;
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, facts: Readonly<Record<string, unknown>> = {}, options?: { cause?: unknown }) {
    const entry: ErrorEntry = ERRORS[code];
    super(fill(entry.message, facts), options);
    this.name = 'MangroveError';
    this.code = code;
    this.remedy = entry.remedy;
    this.retryable = entry.retryable;
    this.facts = facts;
  }
}

/** The plain form, safe for `postMessage` and JSON. */
export function errorToFacts(error: unknown): ErrorFacts {
  if (isMangroveError(error)) {
    const { code, message, remedy, retryable, facts } = error;
    return { code, message, remedy, retryable, facts };
  }
  const reason = error instanceof Error ? error.message : String(error);
  return errorToFacts(new MangroveError('INTERNAL', { reason }, { cause: error }));
}

export function errorFromFacts(plain: ErrorFacts): MangroveError {
  return new MangroveError(Object.hasOwn(ERRORS, plain.code) ? plain.code : 'INTERNAL', plain.facts);
}

export function isMangroveError(error: unknown): error is MangroveError {
  return error instanceof Error && error.name === 'MangroveError' && 'code' in error;
}

/** Undefined where it throws a `MangroveError`, as it does over rows that cannot be read. */
export function attempt<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (isMangroveError(error)) return undefined;
    throw error;
  }
}

export function errorCodeToWire(code: ErrorCode): number {
  return ERRORS[code].wire;
}

/** A number from a newer peer becomes `INTERNAL`: it can be shown, not acted on. */
export function errorCodeFromWire(wire: number): ErrorCode {
  return codeByWire.get(wire) ?? 'INTERNAL';
}

function fill(text: string, facts: Readonly<Record<string, unknown>>): string {
  return text.replace(/\{(\w+)\}/g, (_, name: string) => (name in facts ? String(facts[name]) : 'unknown'));
}
