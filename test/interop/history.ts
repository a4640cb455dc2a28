import fc from 'fast-check';
import { contextOfHeld, joinContexts } from '../../packages/protocol/src/context.js';
import type { Delta } from '../../packages/protocol/src/delta.js';
import type { ReplicaId } from '../../packages/protocol/src/ids.js';
import { contextOf, makeDelta, record, replicaOf } from './fixture.js';

/**
 * Honest writers, each of whom holds a part of what there is, as an oracle: what a delta supersedes is kept as a set of ids
 * from what its writer held, while the deltas themselves only carry contexts.
 */
export interface Written {
  readonly delta: Delta;
  /** Ids of all that its writer held of the key, or held as superseded, when it wrote; empty for one that adds. */
  readonly past: ReadonlySet<string>;
}

export type HistoryStep =
  | { readonly kind: 'write'; readonly replica: number; readonly key: number; readonly adds: boolean }
  /** `part` picks what comes through: a relay that withholds, a connection that broke. */
  | { readonly kind: 'pull'; readonly from: number; readonly to: number; readonly part: number };

const REPLICAS = 3;
const KEYS = 2;

export const historySteps: fc.Arbitrary<readonly HistoryStep[]> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('write' as const),
      replica: fc.nat(REPLICAS - 1),
      key: fc.nat(KEYS - 1),
      adds: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('pull' as const),
      from: fc.nat(REPLICAS - 1),
      to: fc.nat(REPLICAS - 1),
      part: fc.oneof(fc.constant(0xffff), fc.nat(0xffff)),
    }),
  ),
  { minLength: 1, maxLength: 24 },
);

interface Writer {
  held: Written[];
  clock: number;
  seq: number;
  readonly prevByKey: Map<number, number>;
}

/** `nameReplica` may give two writers one identity, as a copied profile has it; then `past` knows more than contexts do. */
export function makeHistory(steps: readonly HistoryStep[], nameReplica = replicaOf): readonly Written[] {
  const writers = Array.from(
    { length: REPLICAS },
    (): Writer => ({ held: [], clock: 0, seq: 0, prevByKey: new Map() }),
  );
  const all: Written[] = [];
  for (const step of steps) {
    if (step.kind === 'write') {
      const written = write(writers[step.replica] as Writer, step, nameReplica(step.replica));
      all.push(written);
    } else {
      const to = writers[step.to] as Writer;
      const offered = (writers[step.from] as Writer).held.filter((_, i) => (step.part >>> (i % 16)) & 1);
      for (const written of offered) receive(to, written);
    }
  }
  return all;
}

/** What of some deltas none of them supersedes. */
export function siblingsOf(all: readonly Written[]): readonly Written[] {
  const superseded = new Set(all.flatMap(({ past }) => [...past]));
  return all.filter(({ delta }) => !superseded.has(delta.id));
}

function write(writer: Writer, step: HistoryStep & { kind: 'write' }, replica: ReplicaId): Written {
  const name = record(`key ${step.key}`);
  const prev = writer.prevByKey.get(step.key) ?? 0;
  writer.clock += 10;
  writer.seq++;
  const siblings = writer.held.filter(({ delta }) => delta.keyId === makeKeyId(step.key));
  const seen = contextOfHeld(siblings.map(({ delta }) => delta));
  const delta = makeDelta({
    replica,
    name,
    prev,
    seq: writer.seq,
    hlc: writer.clock + step.replica,
    ...(step.adds ? {} : { context: joinContexts([seen, contextOf(prev === 0 ? [] : [[replica, prev]])]) }),
    text: `${step.replica} ${writer.seq}`,
  });
  writer.clock = delta.hlc;
  writer.prevByKey.set(step.key, delta.hlc);
  const past = new Set(step.adds ? [] : siblings.flatMap((sibling) => [sibling.delta.id, ...sibling.past]));
  const written = { delta, past };
  receive(writer, written);
  return written;
}

function receive(writer: Writer, written: Written): void {
  const { held } = writer;
  writer.clock = Math.max(writer.clock, written.delta.hlc);
  if (held.some(({ delta, past }) => delta.id === written.delta.id || past.has(written.delta.id))) return;
  writer.held = [...held.filter(({ delta }) => !written.past.has(delta.id)), written];
}

const keyIds = new Map<number, string>();

function makeKeyId(key: number): string {
  let keyId = keyIds.get(key);
  if (keyId === undefined) {
    keyId = makeDelta({ replica: replicaOf(0), seq: 1, hlc: 1, name: record(`key ${key}`) }).keyId;
    keyIds.set(key, keyId);
  }
  return keyId;
}
