import { publishResults } from '../support/publish.mjs';
import { renderReport } from './report.mjs';
import { summarizeRun } from './results.mjs';

export function publish(run) {
  const results = summarizeRun(run);
  const report = renderReport(results);
  const files = { 'e2e.json': `${JSON.stringify(results, null, 2)}\n`, 'e2e.md': report };
  return publishResults({ report, isWhole: run.settings.isWhole, files });
}
