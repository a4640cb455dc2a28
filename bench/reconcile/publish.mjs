import { mkdir, writeFile } from 'node:fs/promises';
import { fromRoot } from '../../scripts/lib/paths.mjs';
import { renderPlots } from './plots.mjs';
import { renderReport } from './report.mjs';

const FOLDER = fromRoot('bench/results/reconcile');

/** Prints the report, and writes it with its plots when the run was whole: nothing less moves what is committed. */
export async function publish(results, { isWhole }) {
  const kept = rounded(results);
  const report = renderReport(kept);
  console.log(`\n${report}`);
  if (!isWhole) {
    console.log('Not a whole run: bench/results stays as it is.');
    return;
  }
  await mkdir(FOLDER, { recursive: true });
  await writeFile(`${FOLDER}/results.json`, `${JSON.stringify(kept, null, 1)}\n`);
  await writeFile(`${FOLDER}/README.md`, report);
  for (const [name, svg] of Object.entries(renderPlots(kept))) await writeFile(`${FOLDER}/${name}.svg`, svg);
}

/** Three digits after the point: below that everything here is noise. */
function rounded(value) {
  if (typeof value === 'number') return Math.round(value * 1_000) / 1_000;
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, rounded(item)]));
}
