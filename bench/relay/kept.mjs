import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fromRoot } from '../../scripts/lib/paths.mjs';
import { describeTree } from '../support/machine.mjs';

/**
 * What a run has finished, a line a part, so that a run that was interrupted goes on where it stopped: as long as settings, packages, Node and this
 * bench are what they were.
 */
export class Kept {
  #file;
  #partsByKey = new Map();

  constructor(settings) {
    const sources = [fromRoot('bench/relay'), fromRoot('bench/package-lock.json')].flatMap(filesUnder);
    const of = [settings, describeTree(), process.version, ...sources.map((file) => digest(readFileSync(file)))];
    this.#file = fromRoot('bench/.cache/relay', `${digest(JSON.stringify(of)).slice(0, 12)}.jsonl`);
    if (!existsSync(this.#file)) return;
    for (const line of readFileSync(this.#file, 'utf8').split('\n').filter(Boolean)) {
      const { key, found } = JSON.parse(line);
      this.#partsByKey.set(key, found);
    }
  }

  find(part) {
    return this.#partsByKey.get(JSON.stringify(part));
  }

  /** What is kept of `part`, else what `work` finds, which is then kept. */
  async once(part, work) {
    const key = JSON.stringify(part);
    const before = this.#partsByKey.get(key);
    if (before !== undefined) return before;
    const found = await work();
    mkdirSync(dirname(this.#file), { recursive: true });
    appendFileSync(this.#file, `${JSON.stringify({ key, found })}\n`);
    this.#partsByKey.set(key, found);
    return found;
  }

  forget() {
    rmSync(this.#file, { force: true });
    this.#partsByKey.clear();
  }
}

function filesUnder(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true })
    .map((name) => `${path}/${name}`)
    .filter((file) => statSync(file).isFile())
    .sort();
}

const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
