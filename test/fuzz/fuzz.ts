import { Finding, randomOfCase, Tally } from './case.js';
import { fuzzDecoder } from './decoders.js';
import { fuzzProof } from './proofs.js';
import { fuzzRelayLink } from './relay-link.js';
import { fuzzReplicaLink } from './replica-link.js';
import { fuzzSteps } from './steps.js';

export interface FuzzOptions {
  /** How many mutated frames are given to decoders, steps and links. */
  readonly frames: number;
  readonly proofs: number;
  readonly seed: number;
  /** Where to begin, and how many cases: one alone to look at it. */
  readonly from?: number;
  readonly cases?: number;
  readonly onCase: (number: number) => void;
  readonly onProgress: (frames: number, findings: number) => void;
}

export interface FuzzReport {
  readonly frames: number;
  readonly proofs: number;
  readonly cases: number;
  readonly findings: readonly FuzzFinding[];
  readonly tally: Readonly<Record<string, number>>;
}

/** One kind of finding, by its first case. */
export interface FuzzFinding {
  readonly number: number;
  readonly text: string;
  count: number;
}

const FINDINGS_MAX = 20;
const PROGRESS_FRAMES = 10_000;

/** Cases until so many frames and proofs were made. A number stands for the same case whatever came before it. */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const { seed, onCase, onProgress, from = 0, cases = Number.POSITIVE_INFINITY } = options;
  const tally = new Tally();
  const findings = new Map<string, FuzzFinding>();
  let frames = 0;
  let proofs = 0;
  let told = 0;
  let number = from;
  for (; number - from < cases && (frames < options.frames || proofs < options.proofs); number++) {
    onCase(number);
    try {
      const made = await runCase(seed, number, tally);
      frames += made.frames;
      proofs += made.proofs;
    } catch (error) {
      const finding = error instanceof Finding ? error : new Finding('the fuzzer itself', [], 'threw', error);
      const known = findings.get(finding.kind);
      if (known === undefined) findings.set(finding.kind, { number, text: finding.toText(), count: 1 });
      else known.count++;
      if (findings.size >= FINDINGS_MAX) break;
    }
    if (frames - told >= PROGRESS_FRAMES) {
      told = frames;
      onProgress(frames, findings.size);
    }
  }
  return { frames, proofs, cases: number - from, findings: [...findings.values()], tally: tally.toObject() };
}

/** Of a hundred cases not one is a life of a link, with tens of frames; that is about a quarter of all frames. */
async function runCase(seed: number, number: number, tally: Tally): Promise<{ frames: number; proofs: number }> {
  const random = randomOfCase(seed, number);
  const draw = random.below(300);
  if (draw === 0) return { frames: await fuzzRelayLink(random, tally), proofs: 0 };
  if (draw === 1) return { frames: await fuzzReplicaLink(random, tally), proofs: 0 };
  if (draw === 2) return { frames: fuzzSteps(random, tally), proofs: 0 };
  if (draw < 134) {
    fuzzProof(random, tally);
    return { frames: 0, proofs: 1 };
  }
  fuzzDecoder(random, tally);
  return { frames: 1, proofs: 0 };
}
