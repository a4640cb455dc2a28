import { mkdir, writeFile } from 'node:fs/promises';
import { fromRoot } from '../../scripts/lib/paths.mjs';
import { renderPlots } from './plots.mjs';
import { renderReport } from './report.mjs';
import { rounded, summarizeRun } from './results.mjs';

const FOLDER = fromRoot('bench/results/browser');

/** Prints the report, and writes it with its plots when the run was whole: nothing less moves what is committed. */
export async function publish(run) {
  const results = rounded(summarizeRun(run));
  const report = renderReport(results);
  console.log(`\n${report}`);
  if (!run.settings.isWhole) {
    console.log('Not a whole run: bench/results stays as it is.');
    return;
  }
  await mkdir(FOLDER, { recursive: true });
  await writeFile(`${FOLDER}/results.json`, `${JSON.stringify(results, null, 1)}\n`);
  await writeFile(`${FOLDER}/README.md`, report);
  for (const [name, svg] of Object.entries(renderPlots(results))) await writeFile(`${FOLDER}/${name}.svg`, svg);
}
