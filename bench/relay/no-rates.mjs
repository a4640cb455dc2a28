const NONE = { messages: Number.MAX_VALUE, bytes: Number.MAX_VALUE, deltas: Number.MAX_VALUE };

/** Numbers, as JSON has no infinity. */
export const NO_RATES = { connection: NONE, replica: NONE, room: NONE };
