/**
 * States what our own code promises; a failure is a bug of ours, never bad input.
 * The message is a function so that the hot path builds no strings.
 */
export function assert(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message()}`);
}

/** The default of an exhaustive switch: an unhandled case does not compile. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
