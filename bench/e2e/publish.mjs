import { mkdir, writeFile } from 'node:fs/promises';
import { fromRoot } from '../../scripts/lib/paths.mjs';
import { summarizeRun } from './results.mjs';
import { renderReport } from './report.mjs';

const FOLDER = fromRoot('bench/results');

/** Prints the report, and writes it when the run was whole: nothing less moves what is committed. */
export async function publish(run) {
  const results = summarizeRun(run);
  const report = renderReport(results);
  console.log(`\n${report}`);
  if (!run.settings.isWhole) {
    console.log('Not a whole run: bench/results stays as it is.');
    return;
  }
  await mkdir(FOLDER, { recursive: true });
  await writeFile(`${FOLDER}/e2e.json`, `${JSON.stringify(results, null, 2)}\n`);
  await writeFile(`${FOLDER}/e2e.md`, report);
}
