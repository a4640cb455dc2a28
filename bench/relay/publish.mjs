import { publishResults, rounded, svgFiles, toFourDigits } from '../support/publish.mjs';
import { renderPlots } from './plots.mjs';
import { renderReport } from './report.mjs';
import { summarizeRun } from './results.mjs';

export function publish(run, { isWhole }) {
  const results = rounded(summarizeRun(run), toFourDigits);
  const report = renderReport(results);
  const files = {
    'relay/results.json': `${JSON.stringify(results, null, 1)}\n`,
    'relay/README.md': report,
    ...svgFiles('relay', renderPlots(results)),
  };
  return publishResults({ report, isWhole, files });
}
