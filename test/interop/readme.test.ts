import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readGolden } from './golden.js';
import { readVectors } from './vectors.js';

const page = readFileSync(new URL('./README.md', import.meta.url), 'utf8');
/** What the page goes through field by field, by the name that stands above each block. */
const EXPLAINED: Readonly<Record<string, () => string | undefined>> = {
  told: () => (readVectors('told') as { replica: readonly { bytes: string }[] }).replica[1]?.bytes,
  diff: () => readGolden('diff').everyEntry,
};

/** The bytes that stand before the words of each line. */
function bytesOf(block: string): string {
  return block
    .split('\n')
    .map((line) => {
      const [, bytes = '', times = '1'] = /^((?:[0-9a-f]{2} ?)+)(?:×(\d+))? /.exec(`${line} `) ?? [];
      return bytes.replaceAll(' ', '').repeat(Number(times));
    })
    .join('');
}

test('[SY4, SY21] the messages that are explained field by field are those of the files', () => {
  const blocks = [...page.matchAll(/<!-- bytes: (\w+) -->\n```\n([^`]+)```\n/g)];
  expect(blocks.map(([, name]) => name)).toEqual(Object.keys(EXPLAINED));
  for (const [, name = '', block = ''] of blocks) expect(bytesOf(block), name).toBe(EXPLAINED[name]?.());
});
