import type { FuzzReport } from '../../test/fuzz/fuzz.js';

export interface FuzzDeath {
  readonly how: string;
  readonly number: number | undefined;
  readonly lastWords: string;
}

export interface FuzzOutcome {
  readonly report?: FuzzReport;
  readonly rssBytes?: number;
  readonly death?: FuzzDeath;
}

export function runFuzzChild(options: {
  readonly args: readonly string[];
  readonly onProgress?: (progress: { readonly frames: number; readonly findings: number }) => void;
}): Promise<FuzzOutcome>;
