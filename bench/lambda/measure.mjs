import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { conflictToBytes } from '../../packages/lambda/dist/conflict.js';
import { CONTESTANTS } from './contestants.mjs';
import { WORKLOADS } from './workloads.mjs';

const COLD = fileURLToPath(new URL('cold.mjs', import.meta.url));

/**
 * Contestants take turns in each round; a batch is one region of `merges` merges, and a figure the best batch: what is left when nothing else
 * ran. Results are compared outside of the regions, with the metered one of the same language.
 */
export async function measure({ rounds, merges, colds }) {
  const folder = mkdtempSync(join(tmpdir(), 'mangrove-bench-lambda-'));
  try {
    const rows = [];
    for (const [name, contestant] of Object.entries(CONTESTANTS)) {
      const startMs = performance.now();
      const engine = contestant.makeEngine();
      const makeMs = performance.now() - startMs;
      const file = join(folder, `${rows.length}.wasm`);
      writeFileSync(file, engine);
      const guest = await contestant.start(engine);
      rows.push({
        name,
        file,
        guest,
        makeMs,
        bytes: engine.length,
        gzipBytes: gzipSync(engine, { level: 9 }).length,
        us: {},
        fuel: {},
      });
    }
    measureMerges(rows, rounds, merges);
    for (const row of rows) {
      const times = Array.from({ length: colds }, () =>
        Number(execFileSync(process.execPath, [COLD, row.name, row.file])),
      );
      row.coldMs = Math.min(...times);
    }
    return {
      settings: { rounds, merges, colds },
      inputBytes: inputSizes(),
      rows: rows.map(({ file: _, guest: __, ...row }) => row),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function measureMerges(rows, rounds, merges) {
  for (const [workload, { siblings }] of Object.entries(WORKLOADS)) {
    const input = conflictToBytes({ collection: 'c', id: 'i', siblings });
    const results = rows.map(({ guest }) => guest.run(input));
    for (const [i, row] of rows.entries()) {
      const [outcome, metered] = [results[i], results[i - (i % 2)]];
      if (!outcome.ok || Buffer.compare(outcome.bytes, metered.bytes) !== 0)
        throw new Error(`${row.name} has another result`);
      row.fuel[workload] = outcome.fuel;
      row.us[workload] = Number.POSITIVE_INFINITY;
    }
    for (let round = 0; round < rounds; round += 1) {
      for (const row of rows) {
        const startMs = performance.now();
        for (let i = 0; i < merges; i += 1) row.guest.run(input);
        const us = ((performance.now() - startMs) * 1_000) / merges;
        row.us[workload] = Math.min(row.us[workload], us);
      }
    }
  }
}

function inputSizes() {
  const sizeOf = (siblings) => conflictToBytes({ collection: 'c', id: 'i', siblings }).length;
  return Object.fromEntries(Object.entries(WORKLOADS).map(([name, { siblings }]) => [name, sizeOf(siblings)]));
}
