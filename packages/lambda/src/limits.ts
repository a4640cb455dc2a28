/** What a merge may take. All of them are part of the lambda id: another limit is another lambda [LB7]. */
export interface LambdaLimits {
  /** Of one merge; an instruction is about one. 2e8 take 0.2 s at worst, and leave fifty times what merges of some kilobytes need. */
  readonly fuel: number;
  /** Of loading the source and making the snapshot; not of a merge. */
  readonly loadFuel: number;
  /** Of the stack, weighted. From 768 KiB on, Chromium's own stack ends first; 256 KiB leave a factor of two. */
  readonly depthBytes: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly codeBytes: number;
}

export const defaultLambdaLimits: LambdaLimits = {
  fuel: 200_000_000,
  loadFuel: 500_000_000,
  depthBytes: 256 * 1024,
  inputBytes: 256 * 1024,
  outputBytes: 256 * 1024,
  codeBytes: 1024 * 1024,
};

/** Counters are 32 bits wide and must not pass below −2^31 in one step. */
export const FUEL_MAX = 2 ** 30;
export const DEPTH_BYTES_MAX = 512 * 1024;

/** 16 MiB. Engines are metered with it at build time, so it is no option. */
export const MEMORY_PAGES_MAX = 256;
