const ms = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));
const kib = (value) => `${(value / 1_024).toFixed(0)} KiB`;
const mib = (value) => `${(value / 2 ** 20).toFixed(1)} MiB`;
const perSecond = (value) => Math.round(value).toLocaleString('en');

/** Whose figure every other of a table is a multiple of. */
export const DOCUMENT_FLOOR = 'yjs';
export const RECORD_FLOOR = 'raw-strict';

/** They keep less than anybody may: they are to compare with, not to lose to. */
export const FLOORS = new Set(['yjs', 'yjs-worker-log', 'raw-relaxed', 'raw-strict']);

/**
 * What is compared, in the order of the tables. `read` gives a figure of a contestant over rounds, or undefined where it has none. More is
 * better where it says so. `goal`: Mangrove's figure over that of `floor` at most, or at least; `goalAbsolute` in the measure's own unit.
 */
export const documentMeasures = [
  {
    id: 'edit',
    what: 'an edit until it returns, p50',
    unit: 'ms',
    show: ms,
    read: (c) => c.typing?.returned.p50,
    goal: 1.5,
  },
  { id: 'edit-p95', what: 'an edit until it returns, p95', unit: 'ms', show: ms, read: (c) => c.typing?.returned.p95 },
  { id: 'edit-task', what: 'an edit with its promises, p50', unit: 'ms', show: ms, read: (c) => c.typing?.task.p50 },
  {
    id: 'edit-cpu',
    what: 'main-thread CPU an edit',
    unit: 'ms',
    show: ms,
    read: (c) => c.typing?.cpuMsPerEdit,
    goal: 1.3,
  },
  { id: 'burst', what: '1,000 edits in one task', unit: 'ms', show: ms, read: (c) => c.typing?.burstTaskMs, goal: 1.5 },
  {
    id: 'burst-disk',
    what: '… the last on disk',
    unit: 'ms',
    show: ms,
    read: (c) => c.typing?.burstDiskMs,
    goalAbsolute: 100,
  },
  {
    id: 'disk',
    what: 'a typed edit on disk, p50',
    unit: 'ms',
    show: ms,
    read: (c) => c.typing?.disk?.p50,
    goalAbsolute: 2.5,
  },
  {
    id: 'disk-p99',
    what: 'a typed edit on disk, p99',
    unit: 'ms',
    show: ms,
    read: (c) => c.typing?.disk?.p99,
    goalAbsolute: 6,
  },
  { id: 'cold', what: 'cold open, text readable', unit: 'ms', show: ms, read: (c) => c.cold?.readableMs, goal: 1.2 },
  { id: 'warm', what: 'warm open, text readable', unit: 'ms', show: ms, read: (c) => c.warm?.readableMs, goal: 1.2 },
  { id: 'stored', what: 'keys and values stored', unit: '', show: kib, read: (c) => c.stored?.bytes, goal: 1.3 },
  { id: 'memory', what: 'memory after opening', unit: '', show: mib, read: (c) => c.memory?.bytes, goal: 1.1 },
];

export const recordMeasures = [
  { id: 'one-by-one', what: 'one by one, on disk, p50', unit: 'ms', show: ms, read: (c) => c.oneByOne?.p50, goal: 2 },
  { id: 'one-by-one-p99', what: 'one by one, on disk, p99', unit: 'ms', show: ms, read: (c) => c.oneByOne?.p99 },
  {
    id: 'at-once',
    what: 'at once, a call each, records a second',
    unit: '/s',
    show: perSecond,
    isMoreBetter: true,
    read: (c) => c.atOncePerSecond,
  },
  {
    id: 'bulk',
    what: 'at once, one call, records a second',
    unit: '/s',
    show: perSecond,
    isMoreBetter: true,
    read: (c) => c.bulkPerSecond,
  },
  { id: 'list-cold', what: 'opened and all listed', unit: 'ms', show: ms, read: (c) => c.read?.openAndListMs },
  { id: 'list', what: 'all listed again', unit: 'ms', show: ms, read: (c) => c.read?.listMs },
  { id: 'get', what: 'one read, p50', unit: 'ms', show: ms, read: (c) => c.read?.get.p50 },
  { id: 'get-p99', what: 'one read, p99', unit: 'ms', show: ms, read: (c) => c.read?.get.p99 },
];
