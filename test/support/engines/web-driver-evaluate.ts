/**
 * A function that is run in a page by way of WebDriver. What takes long is started, looked after and asked for later: the protocol
 * has one call under way in a browser, and others want to be heard meanwhile.
 */
import { randomUUID } from 'node:crypto';

const LOOK_EVERY_MS = 20;

export type Execute = (kind: 'async' | 'sync', script: string, args: readonly unknown[]) => Promise<unknown>;

type Outcome = { readonly value: string } | { readonly error: string };

export async function evaluateInPage(execute: Execute, run: unknown, argument: unknown): Promise<unknown> {
  const id = randomUUID();
  const script = `(${START})(${run}, (${DECODE})(arguments[0]), ${ENCODE}, arguments[1], arguments[2]);`;
  let outcome = (await execute('async', script, [encode(argument), id])) as Outcome | null;
  while (outcome === null) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    outcome = (await execute('sync', `return (${TAKE})(arguments[0]);`, [id])) as Outcome | null;
  }
  if ('error' in outcome) throw new Error(outcome.error);
  return decode(outcome.value);
}

declare global {
  var evaluations: Map<string, Outcome | null> | undefined;
}

/** As the others do: JSON has no word for these. */
function encode(value: unknown): string {
  return JSON.stringify([value], (_key, value: unknown) => {
    if (value === undefined) return { $: 'undefined' };
    if (typeof value === 'number' && !Number.isFinite(value)) return { $: String(value) };
    return value;
  });
}

function decode(text: string): unknown {
  const revive = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(revive);
    if (typeof value !== 'object' || value === null) return value;
    const word = (value as { $?: unknown }).$;
    if (word === 'undefined') return undefined;
    if (typeof word === 'string') return Number(word);
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revive(inner)]));
  };
  return (revive(JSON.parse(text)) as unknown[])[0];
}

function start(
  run: (argument: unknown) => unknown,
  argument: unknown,
  encode: (value: unknown) => string,
  id: string,
  done: (outcome: Outcome | null) => void,
): void {
  globalThis.evaluations ??= new Map();
  const { evaluations } = globalThis;
  evaluations.set(id, null);
  let isAnswered = false;
  const settle = (outcome: Outcome): void => {
    if (isAnswered) evaluations.set(id, outcome);
    else evaluations.delete(id);
    if (!isAnswered) done(outcome);
    isAnswered = true;
  };
  const tell = (error: unknown): string =>
    error instanceof Error ? `${error.name}: ${error.message}\n${error.stack}` : String(error);
  (async () => run(argument))().then(
    (value) => settle({ value: encode(value) }),
    (error: unknown) => settle({ error: tell(error) }),
  );
  setTimeout(() => {
    if (isAnswered) return;
    isAnswered = true;
    done(null);
  }, 50);
}

/** Null while it is under way. */
function take(id: string): Outcome | null {
  const outcome = globalThis.evaluations?.get(id);
  if (outcome === undefined) return { error: 'the page was left while this was under way in it' };
  if (outcome !== null) globalThis.evaluations?.delete(id);
  return outcome;
}

const [START, TAKE, ENCODE, DECODE] = [start, take, encode, decode].map(String);
