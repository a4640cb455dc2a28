import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fromRoot } from '../../scripts/lib/paths.mjs';

/**
 * Prints the report, and writes the files when the run was whole: nothing less moves what is committed.
 *
 * @param {{ report: string, isWhole: boolean, files: Record<string, string> }} results `files`: content by path under bench/results
 */
export async function publishResults({ report, isWhole, files }) {
  console.log(`\n${report}`);
  if (!isWhole) {
    console.log('Not a whole run: bench/results stays as it is.');
    return;
  }
  for (const [path, content] of Object.entries(files)) {
    const file = fromRoot('bench/results', path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
  }
}

/** Three digits after the point: below that everything here is noise. */
export const toThousandths = (value) => Math.round(value * 1_000) / 1_000;

/** Four significant digits, for figures of very different size. */
export const toFourDigits = (value) => (Number.isInteger(value) ? value : Number(value.toPrecision(4)));

/** The same value with every number in it rounded by `round`. */
export function rounded(value, round) {
  if (typeof value === 'number') return round(value);
  if (Array.isArray(value)) return value.map((item) => rounded(item, round));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, rounded(item, round)]));
}

export function svgFiles(folder, plots) {
  return Object.fromEntries(Object.entries(plots).map(([name, svg]) => [`${folder}/${name}.svg`, svg]));
}
