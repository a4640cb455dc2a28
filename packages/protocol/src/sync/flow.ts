import { equalBytes } from '../bytes.js';
import type { Limits } from '../limits.js';
import type { Fetch } from '../room/incoming.js';
import type { Credit, DeltaBytes, Part, Want, Wanted } from '../wire/messages.js';

/** Deltas that are being fetched over one link; with more of them nothing is granted until some are here. */
const FETCHES_MAX = 256;
/** Whatever the other side grants, so much may be on the way to it at once. */
const CREDIT_MAX = 16 * 1024 * 1024;

/** A delta that is being fetched over this link: its parts below `asked` were asked for. */
export interface LinkFetch extends Fetch {
  readonly asked: number;
}

/** Parts in a row that were asked for and are on their way still: from `next` on, before `end`. */
interface Run {
  readonly trieKey: Uint8Array;
  readonly next: number;
  readonly end: number;
}

/** [SY17] How much may be sent, how much is to be granted, and what is being fetched: the same at both ends of a link. */
export interface Flow {
  /** Bytes that may still be sent; below zero when the last message was larger than what was left. */
  readonly credit: number;
  /** Bytes that were committed here and are not granted again yet. */
  readonly due: number;
  /** In the order in which they are fetched. */
  readonly fetches: readonly LinkFetch[];
  /** In the order in which they were asked for. What another link has brought meanwhile is on its way over this one all the same. */
  readonly runs: readonly Run[];
}

/** What a change of the flow leads to. */
export interface FlowStep {
  readonly flow: Flow;
  readonly messages: readonly (Want | Credit)[];
  /** Deltas whose parts are all here. */
  readonly joins: readonly Uint8Array[];
}

export function startFlow(window: number): Flow {
  return { credit: Math.min(window, CREDIT_MAX), due: 0, fetches: [], runs: [] };
}

/** What deltas and stubs take from a window. */
export function bytesOf(entries: readonly DeltaBytes[]): number {
  return entries.reduce((sum, entry) => sum + entry.length, 0);
}

export function spend(flow: Flow, entries: readonly DeltaBytes[]): Flow {
  return entries.length === 0 ? flow : { ...flow, credit: flow.credit - bytesOf(entries) };
}

export function refill(flow: Flow, { bytes }: Credit): Flow {
  return { ...flow, credit: Math.min(flow.credit + bytes, CREDIT_MAX) };
}

/** These bytes of the other's are committed, or refused for good. */
export function committed(flow: Flow, bytes: number): Flow {
  return bytes === 0 ? flow : { ...flow, due: flow.due + bytes };
}

/** What is fetched already is not fetched twice over one link. */
export function addFetches(flow: Flow, fetches: readonly Fetch[]): Flow {
  const fresh = fetches.filter((fetch) => fetchOf(flow, fetch.trieKey) === undefined);
  if (fresh.length === 0) return flow;
  return { ...flow, fetches: [...flow.fetches, ...fresh.map((fetch) => ({ ...fetch, asked: fetch.have }))] };
}

/** A part came, whatever becomes of it: one without bytes ends its run, and one that came before is none. */
export function partCame(flow: Flow, { trieKey, index, bytes }: Part): Flow {
  const at = flow.runs.findIndex((run) => run.next === index && equalBytes(run.trieKey, trieKey));
  const run = flow.runs[at];
  if (run === undefined) return flow;
  const isEnd = bytes.length === 0 || index + 1 === run.end;
  return { ...flow, runs: flow.runs.toSpliced(at, 1, ...(isEnd ? [] : [{ ...run, next: index + 1 }])) };
}

/** The fetch that a part belongs to, when it is the very next one that was asked for. */
export function fetchOfPart(flow: Flow, { trieKey, index }: Part): LinkFetch | undefined {
  const fetch = fetchOf(flow, trieKey);
  return fetch !== undefined && index === fetch.have && index < fetch.asked ? fetch : undefined;
}

/** `have`: how many parts are here now; undefined where the other side has not got it, or nothing is known of it any more. */
export function partKept(flow: Flow, trieKey: Uint8Array, have: number | undefined): Flow {
  const before = fetchOf(flow, trieKey);
  if (before === undefined) return flow;
  // A part that is not what the stub says: over this link no better one will come.
  const isLost = have === undefined || have <= before.have;
  const fetches = flow.fetches.flatMap((fetch) => {
    if (fetch !== before) return [fetch];
    return isLost ? [] : [{ ...fetch, have, asked: Math.max(fetch.asked, have) }];
  });
  return { ...flow, fetches };
}

/** These are here by now, whoever brought them: they are to be joined, which finds them held. */
export function arrived(flow: Flow, trieKeys: readonly Uint8Array[]): Flow {
  const isHere = ({ trieKey }: LinkFetch): boolean => trieKeys.some((other) => equalBytes(other, trieKey));
  if (!flow.fetches.some(isHere)) return flow;
  const here = (fetch: LinkFetch): LinkFetch => ({ ...fetch, have: fetch.parts, asked: fetch.parts });
  return { ...flow, fetches: flow.fetches.map((fetch) => (isHere(fetch) ? here(fetch) : fetch)) };
}

/** After any change: what is complete, what is to be asked for, and what can be granted. */
export function advance(flow: Flow, limits: Limits): FlowStep {
  const joins = flow.fetches.filter(({ have, parts }) => have === parts).map(({ trieKey }) => trieKey);
  const under = joins.length === 0 ? flow.fetches : flow.fetches.filter(({ have, parts }) => have < parts);
  const { fetches, wanted } = ask(under, flow.runs, limits.wantedPartsMax);
  const runs = [
    ...flow.runs,
    ...wanted.map(({ trieKey, from, count }): Run => ({ trieKey, next: from, end: from + count })),
  ];
  const messages: (Want | Credit)[] = wanted.length === 0 ? [] : [{ kind: 'want', wanted }];
  const isGranted = flow.due >= limits.windowBytes / 4 && fetches.length < FETCHES_MAX;
  if (isGranted) messages.push({ kind: 'credit', bytes: flow.due });
  return { flow: { ...flow, fetches, runs, due: isGranted ? 0 : flow.due }, messages, joins };
}

/** Asks when half of what may be on the way has come, so that the other side is never without something to send. */
function ask(
  fetches: readonly LinkFetch[],
  runs: readonly Run[],
  partsMax: number,
): { fetches: readonly LinkFetch[]; wanted: Wanted[] } {
  let room = partsMax - runs.reduce((sum, { next, end }) => sum + end - next, 0);
  const wanted: Wanted[] = [];
  if (room < partsMax / 2) return { fetches, wanted };
  const next = fetches.map((fetch) => {
    const count = Math.min(room, fetch.parts - fetch.asked);
    if (count === 0) return fetch;
    room -= count;
    wanted.push({ trieKey: fetch.trieKey, from: fetch.asked, count });
    return { ...fetch, asked: fetch.asked + count };
  });
  return { fetches: wanted.length === 0 ? fetches : next, wanted };
}

function fetchOf(flow: Flow, trieKey: Uint8Array): LinkFetch | undefined {
  return flow.fetches.find((fetch) => equalBytes(fetch.trieKey, trieKey));
}
