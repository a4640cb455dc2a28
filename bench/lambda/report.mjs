import { treeInWords } from '../support/machine.mjs';
import { WORKLOADS } from './workloads.mjs';

const number = (value, digits = 0) =>
  value.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: digits });

export function render({ machine, tree, settings, inputBytes, rows }) {
  const { node, platform, cores, memoryGiB, loadBefore, loadAfter } = machine;
  const names = Object.keys(WORKLOADS);
  const lines = [
    '# Custom merges',
    '',
    'What a merge by a lambda costs: cold, each time, and beside the same engine that counts nothing. `npm run bench:lambda`.',
    '',
    `${node}, ${platform}, ${cores} cores, ${memoryGiB} GiB, load ${loadBefore} before and ${loadAfter} after; ${treeInWords(tree)}.`,
    '',
    `**Method.** One process of Node. Contestants take turns; a figure is the best of ${settings.rounds} batches of ${settings.merges} merges, state restored before each as in the product.`,
    'Outputs of both variants of a language are compared outside of the measured regions. *Cold* is a fresh process, from reading the file to the first result of `f2`, without starting Node itself; the best of',
    `${settings.colds}. *Making* an engine is done when the package is built; for Rust when the lambda is prepared. It is one figure, of code that is not warm.`,
    `Workloads: ${names.map((name) => `\`${name}\` is ${WORKLOADS[name].what} (${number(inputBytes[name])} bytes)`).join(', ')}.`,
    '',
    `| | bytes | gzipped | making ms | cold ms | ${names.map((name) => `${name} µs`).join(' | ')} | ${names.map((name) => `${name} fuel`).join(' | ')} |`,
    `| --- |${' ---: |'.repeat(4 + 2 * names.length)}`,
    ...rows.map((row) => {
      const fuel = row.name.includes('metered') ? names.map((name) => number(row.fuel[name])) : names.map(() => '');
      const cells = [
        number(row.bytes),
        number(row.gzipBytes),
        number(row.makeMs),
        number(row.coldMs, 1),
        ...names.map((name) => number(row.us[name])),
        ...fuel,
      ];
      return `| ${row.name} | ${cells.join(' | ')} |`;
    }),
    '',
  ];
  return lines.join('\n');
}
