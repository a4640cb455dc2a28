import { getHeapStatistics } from 'node:v8';

const CPU_MS_MAX = 1_000;

/**
 * Runs one piece of work and says what was wrong with how it was done: over a second of the processor, or more memory than its
 * input accounts for. Time is the process's own, so that a busy machine makes nothing slow.
 */
export function gauge<Result>(bytesIn: number, allowed: Allowance, work: () => Result): Gauged<Result> {
  const before = getHeapStatistics();
  const startMs = performance.now();
  const result = work();
  return { result, fault: slow(startMs) ?? large(before, bytesIn, allowed) };
}

export async function gaugeAsync<Result>(
  bytesIn: number,
  allowed: Allowance,
  work: () => Promise<Result>,
): Promise<Gauged<Result>> {
  const before = getHeapStatistics();
  const startMs = performance.now();
  const result = await work();
  return { result, fault: slow(startMs) ?? large(before, bytesIn, allowed) };
}

/** Bytes of memory that any input may take, and for each byte that came in. */
export interface Allowance {
  readonly base: number;
  readonly perByte: number;
}

interface Gauged<Result> {
  readonly result: Result;
  readonly fault: string | undefined;
}

const SAMPLE_EVERY_MS = 200;
let sample = { atMs: performance.now(), cpu: process.cpuUsage() };

/**
 * Asking for the processor's time takes longer than most cases, so it is asked for now and then; what was used before the case began
 * is at most the time that had passed.
 */
function slow(startMs: number): string | undefined {
  const endMs = performance.now();
  if (endMs - startMs <= CPU_MS_MAX && endMs - sample.atMs < SAMPLE_EVERY_MS) return undefined;
  const { user, system } = process.cpuUsage(sample.cpu);
  const cpuMs = (user + system) / 1_000 - Math.max(0, startMs - sample.atMs);
  sample = { atMs: endMs, cpu: process.cpuUsage() };
  return cpuMs > CPU_MS_MAX ? `took ${Math.round(cpuMs)} ms of the processor` : undefined;
}

/** A collection in between makes it less than it was, never more. */
function large(before: ReturnType<typeof getHeapStatistics>, bytesIn: number, allowed: Allowance): string | undefined {
  const after = getHeapStatistics();
  const bytes =
    Math.max(0, after.used_heap_size - before.used_heap_size) +
    Math.max(0, after.external_memory - before.external_memory);
  const bytesMax = allowed.base + allowed.perByte * bytesIn;
  return bytes > bytesMax ? `took ${bytes} bytes of memory for ${bytesIn} that came in` : undefined;
}
