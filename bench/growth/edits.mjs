import { existsSync, readFileSync } from 'node:fs';
import { fromRoot } from '../../scripts/lib/paths.mjs';
import { gunzipSync } from 'node:zlib';
import { seededRandom } from '../support/random.mjs';

/** As the tests find them. */
const FOLDER = process.env.MANGROVE_TRACES ?? fromRoot('../shared/traces');
const NAME = 'automerge-paper';
const GENERATED = 20_000;

/** The edits of a real paper, `[index, deleted, inserted]`, or generated ones where the recording is not. */
export function readEdits() {
  const file = `${FOLDER}/${NAME}.json.gz`;
  if (!existsSync(file)) return { source: 'generated edits, seed 1', edits: generate(seededRandom(1)) };
  const { txns } = JSON.parse(gunzipSync(readFileSync(file)).toString());
  return { source: `recorded trace ${NAME}`, edits: txns.flatMap(({ patches }) => patches) };
}

/** The trace again and again, each time over an empty text, which is one edit more. */
export function* repeated(edits, ytext) {
  for (;;) {
    for (const [index, deleted, inserted] of edits)
      yield () => {
        if (deleted > 0) ytext.delete(index, deleted);
        if (inserted.length > 0) ytext.insert(index, inserted);
      };
    yield () => ytext.delete(0, ytext.length);
  }
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
