import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { fromRoot } from '../../scripts/lib/paths.mjs';
import { seededRandom } from './random.mjs';

/** As the tests find them. */
const FOLDER = process.env.MANGROVE_TRACES ?? fromRoot('../shared/traces');
const NAME = 'automerge-paper';
const GENERATED = 20_000;

/**
 * The edits of a real paper, `[index, deleted, inserted]` in UTF-16 code units, or generated ones where the recording is not.
 *
 * @returns {{ source: string, edits: [number, number, string][] }}
 */
export function readTrace() {
  const file = `${FOLDER}/${NAME}.json.gz`;
  if (!existsSync(file)) return { source: 'generated edits, seed 1', edits: generate(seededRandom(1)) };
  const { txns } = JSON.parse(gunzipSync(readFileSync(file)).toString());
  return { source: `recorded trace ${NAME}`, edits: txns.flatMap(({ patches }) => patches) };
}

/** What a plain string becomes by the edits: what every contestant has to end with. */
export function applyEdits(text, edits) {
  let edited = text;
  for (const [index, deleted, inserted] of edits)
    edited = edited.slice(0, index) + inserted + edited.slice(index + deleted);
  return edited;
}

function generate(random) {
  const edits = [];
  let length = 0;
  let cursor = 0;
  while (edits.length < GENERATED) {
    if (random() < 0.05) cursor = Math.floor(random() * (length + 1));
    if (random() < 0.2 && cursor > 0) {
      cursor--;
      length--;
      edits.push([cursor, 1, '']);
    } else {
      edits.push([cursor, 0, String.fromCharCode(97 + Math.floor(random() * 26))]);
      cursor++;
      length++;
    }
  }
  return edits;
}
