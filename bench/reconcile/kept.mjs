import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fromRoot } from '../../scripts/lib/paths.mjs';

/** What every cell depends on. */
const COMMON = ['cell.mjs', 'claim.mjs', 'workload.mjs', '../package-lock.json'];

/**
 * What a run has finished, in a file of its settings, a line a part, so that a run that was interrupted goes on where it stopped. A part
 * counts as long as the sources that it names are what they were; a whole run that has been published leaves nothing behind.
 */
export class Kept {
  #file;
  #partsByKey = new Map();

  constructor(settings) {
    this.#file = fromRoot('bench/.cache/reconcile', `${digest(JSON.stringify(settings)).slice(0, 12)}.jsonl`);
    if (!existsSync(this.#file)) return;
    for (const line of readFileSync(this.#file, 'utf8').split('\n').filter(Boolean)) {
      const { key, part } = JSON.parse(line);
      this.#partsByKey.set(key, part);
    }
  }

  find(asked, sources) {
    return this.#partsByKey.get(keyOf(asked, sources));
  }

  /** The kept answer to `asked`, else that of `work`, which is then kept. */
  async once(asked, sources, work) {
    const key = keyOf(asked, sources);
    const found = this.#partsByKey.get(key);
    if (found !== undefined) return found;
    const part = await work();
    mkdirSync(dirname(this.#file), { recursive: true });
    appendFileSync(this.#file, `${JSON.stringify({ key, part })}\n`);
    this.#partsByKey.set(key, part);
    return part;
  }

  forget() {
    rmSync(this.#file, { force: true });
    this.#partsByKey.clear();
  }
}

function keyOf(asked, sources) {
  const files = [...COMMON, ...sources].flatMap((path) => filesUnder(fromRoot('bench/reconcile', path)));
  const contents = files.map((file) => `${file.slice(fromRoot().length)} ${digest(readFileSync(file))}`);
  return digest(JSON.stringify([process.version, asked, contents]));
}

function filesUnder(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true })
    .map((name) => join(path, name))
    .filter((file) => /\.ts$/.test(file) && !/\.test\.ts$/.test(file))
    .sort();
}

const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
