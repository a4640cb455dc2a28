const WITHIN_MS = 30_000;
const LOOK_EVERY_MS = 25;

export interface UntilOptions {
  readonly withinMs?: number | undefined;
  readonly everyMs?: number;
  /** How things stand, for the message of a wait that ended in vain. */
  readonly explain?: () => string | Promise<string>;
}

/** Waits for a condition by looking again and again; rejects with what was waited for when it stays out. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  { withinMs = WITHIN_MS, everyMs = LOOK_EVERY_MS, explain }: UntilOptions = {},
): Promise<void> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    if (await isSo()) return;
    if (Date.now() > deadline) {
      const how = explain === undefined ? '' : `; ${await explain()}`;
      throw new Error(`waited ${withinMs} ms in vain for ${what}${how}`);
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
