import { publishResults, rounded, svgFiles, toFourDigits } from '../support/publish.mjs';
import { renderPlots } from './plots.mjs';
import { renderReport } from './report.mjs';
import { summarizeRun } from './results.mjs';

export function publish(run) {
  const results = rounded(summarizeRun(run), toFourDigits);
  const report = renderReport(results);
  const files = {
    'browser/results.json': `${JSON.stringify(results, null, 1)}\n`,
    'browser/README.md': report,
    ...svgFiles('browser', renderPlots(results)),
  };
  return publishResults({ report, isWhole: run.settings.isWhole, files });
}
