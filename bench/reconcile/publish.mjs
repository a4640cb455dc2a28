import { publishResults, rounded, svgFiles, toThousandths } from '../support/publish.mjs';
import { renderPlots } from './plots.mjs';
import { renderReport } from './report.mjs';

export function publish(results, { isWhole }) {
  const kept = rounded(results, toThousandths);
  const report = renderReport(kept);
  const files = {
    'reconcile/results.json': `${JSON.stringify(kept, null, 1)}\n`,
    'reconcile/README.md': report,
    ...svgFiles('reconcile', renderPlots(kept)),
  };
  return publishResults({ report, isWhole, files });
}
