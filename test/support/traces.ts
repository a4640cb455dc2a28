import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { makeRandom, type Random } from './random.js';

/** At this UTF-16 index of the text delete so many code units, then insert. */
export type Patch = readonly [index: number, deleteCount: number, insert: string];

export interface SequentialTrace {
  /** Which of the two it is, for the output of a test. */
  readonly source: string;
  readonly endContent: string;
  /** One entry an edit. */
  readonly edits: readonly Patch[];
}

export interface TraceTransaction {
  readonly agent: 0 | 1;
  /** How many transactions of the other agent this one had seen; of its own it had seen all before. */
  readonly seen: number;
  /** Applied in order; indices refer to the text that its author saw. */
  readonly patches: readonly Patch[];
}

export interface ConcurrentTrace {
  readonly source: string;
  readonly endContent: string;
  /** Each after all that it had seen. */
  readonly transactions: readonly TraceTransaction[];
}

interface RecordedTransaction {
  readonly parents: readonly number[];
  readonly agent: number;
  readonly patches: readonly Patch[];
}

const FOLDER = process.env.MANGROVE_TRACES ?? fileURLToPath(new URL('../../../shared/traces', import.meta.url));

/** A recorded trace of one author; where the recordings are not, a generated one of the same kind. */
export function loadSequentialTrace(name: string): SequentialTrace {
  const recorded = readRecorded(name);
  if (recorded === undefined) return generateSequential(1, 20_000);
  const { txns, endContent } = recorded as { txns: { patches: Patch[] }[]; endContent: string };
  const edits = txns.flatMap(({ patches }) => patches);
  assertBasicPlane(name, edits);
  return { source: `recorded trace ${name}`, endContent, edits };
}

/** A recorded trace of two authors with its causal graph; where the recordings are not, a generated one. */
export function loadConcurrentTrace(name: string): ConcurrentTrace {
  const recorded = readRecorded(name);
  if (recorded === undefined) return generateConcurrent(1, 4_000);
  const { txns, endContent } = recorded as { txns: RecordedTransaction[]; endContent: string };
  assertBasicPlane(
    name,
    txns.flatMap(({ patches }) => patches),
  );
  return { source: `recorded trace ${name}`, endContent, transactions: countSeen(txns) };
}

function readRecorded(name: string): unknown {
  const file = join(FOLDER, `${name}.json.gz`);
  return existsSync(file) ? JSON.parse(gunzipSync(readFileSync(file)).toString()) : undefined;
}

/** The recordings count code points and Yjs counts UTF-16 code units; without characters of two units they are the same. */
function assertBasicPlane(name: string, patches: readonly Patch[]): void {
  if (patches.some(([, , insert]) => /[\ud800-\udfff]/.test(insert)))
    throw new Error(`${name} has characters of two UTF-16 units; its positions would have to be converted`);
}

/** From parents to what was seen: with two agents, each of whom types one thing after another, a number says it all. */
function countSeen(txns: readonly RecordedTransaction[]): TraceTransaction[] {
  const vectors: [number, number][] = [];
  return txns.map(({ parents, agent, patches }) => {
    if (agent !== 0 && agent !== 1) throw new Error(`a trace of more than two agents: ${agent}`);
    const vector: [number, number] = [0, 0];
    for (const parent of parents) {
      const [first, second] = vectors[parent] as [number, number];
      vector[0] = Math.max(vector[0], first);
      vector[1] = Math.max(vector[1], second);
    }
    const seen = vector[1 - agent] as number;
    vector[agent]++;
    vectors.push(vector);
    return { agent, seen, patches };
  });
}

const WORDS = 'tide root mud salt leaf bay crab ebb silt reef heron dusk river naïve 潮 🦀 🌿'.split(' ');

/** Bursts of typing, corrections, jumps and pastes of one author, as a person would make them. */
function generateSequential(seed: number, editCount: number): SequentialTrace {
  const writer = new GeneratedWriter(makeRandom(seed));
  const edits: Patch[] = [];
  while (edits.length < editCount) edits.push(...writer.burst());
  return { source: `generated trace, seed ${seed}`, endContent: writer.text, edits };
}

/** What the first author writes first: everything of the second stands after it. */
const MARKER = '\n----\n';

/**
 * Two authors, each in their own half of the text, so that they never insert at one place; each sees what the other wrote after a
 * delay, as on a real network.
 */
function generateConcurrent(seed: number, transactionCount: number): ConcurrentTrace {
  const random = makeRandom(seed);
  const writers = [new GeneratedWriter(random), new GeneratedWriter(random)] as const;
  const transactions: TraceTransaction[] = [{ agent: 0, seen: 0, patches: [[0, 0, MARKER]] }];
  /** For each author, when each transaction was made and how long their half was after it. */
  const moments: readonly [Moment[], Moment[]] = [[{ atMs: 0, length: 0 }], []];
  const seen: [number, number] = [0, 0];
  let nowMs = 0;
  while (transactions.length < transactionCount) {
    const agent = random.below(2) as 0 | 1;
    const others = moments[1 - agent] as Moment[];
    nowMs += random.below(300);
    while (seen[agent] < others.length && (others[seen[agent]] as Moment).atMs + LATENCY_MS <= nowMs) seen[agent]++;
    if (agent === 1 && seen[1] === 0) continue;
    const before = agent === 0 ? 0 : (others[seen[1] - 1] as Moment).length + MARKER.length;
    for (const [index, count, insert] of writers[agent].burst()) {
      transactions.push({ agent, seen: seen[agent], patches: [[before + index, count, insert]] });
      moments[agent].push({ atMs: nowMs, length: writers[agent].text.length });
      nowMs += 40;
    }
  }
  const endContent = writers[0].text + MARKER + writers[1].text;
  return { source: `generated trace, seed ${seed}`, endContent, transactions };
}

const LATENCY_MS = 1_000;

interface Moment {
  readonly atMs: number;
  readonly length: number;
}

/** Somebody writing at one place for a while, then at another. */
class GeneratedWriter {
  text = '';
  readonly #random: Random;
  #cursor = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Some edits at one place. Each is part of `text` when it is given. */
  *burst(): Generator<Patch> {
    const random = this.#random;
    if (random.below(6) === 0) this.#jump();
    const word = WORDS[random.below(WORDS.length)] as string;
    const kind = random.below(10);
    if (kind === 0) yield this.#insert(`${WORDS.join(' ')}\n`);
    else if (kind < 3) for (let i = 0; i < 5 && this.#cursor > 0; i++) yield this.#deleteBefore();
    else for (const character of `${word} `) yield this.#insert(character);
  }

  /** Never between the two units of a character. */
  #jump(): void {
    const words = this.text.split(' ');
    this.#cursor = words.slice(0, this.#random.below(words.length + 1)).join(' ').length;
  }

  #insert(insert: string): Patch {
    const index = this.#cursor;
    this.text = this.text.slice(0, index) + insert + this.text.slice(index);
    this.#cursor += insert.length;
    return [index, 0, insert];
  }

  #deleteBefore(): Patch {
    const end = this.#cursor;
    const units = /[\udc00-\udfff]/.test(this.text[end - 1] as string) ? 2 : 1;
    this.#cursor -= units;
    this.text = this.text.slice(0, this.#cursor) + this.text.slice(end);
    return [this.#cursor, units, ''];
  }
}
