import type { Tab } from './engines/engine.js';
import type { Person } from './person.js';
import { until } from './until.js';

declare global {
  /** One for each writer in a page. */
  var writers: Record<string, { isOn: boolean }> | undefined;
}

type Rung = 'written' | 'disk' | 'relay';

/**
 * Somebody writing one word after another until told to stop, who notes of each word how far it has come. The notes are kept
 * outside of the browser, so they outlive the tab: what is in them was promised.
 */
export class Writer {
  readonly written = new Set<string>();
  readonly disk = new Set<string>();
  readonly relay = new Set<string>();
  readonly #page: Tab;
  readonly #mark: string;

  static async start({ page, notebook }: Person, mark: string, everyMs = 25): Promise<Writer> {
    const writer = new Writer(page, mark);
    notebook.listen(mark, ([rung, word]) => writer[rung as Rung].add(word as string));
    await page.evaluate(
      async ({ mark, everyMs, address }) => {
        const notes = new WebSocket(address);
        await new Promise((resolve, reject) => {
          notes.onopen = resolve;
          notes.onerror = reject;
        });
        const tell = (rung: string, word: string): void => notes.send(JSON.stringify([mark, rung, word]));
        const { note } = mangrove;
        const content = note.ydoc.getText('content');
        const writer = { isOn: true };
        globalThis.writers = { ...globalThis.writers, [mark]: writer };
        let count = 0;
        let dueMs = performance.now();
        const write = (): void => {
          if (!writer.isOn) return;
          // Who is late has no time left, and in WebKit a page that has none leaves none to its workers either.
          const lateMs = performance.now() - dueMs;
          const word = `${mark}${++count}`;
          content.insert(content.length, `${word} `);
          tell('written', word);
          for (const rung of ['disk', 'relay'] as const)
            note.reached(rung).then(
              () => tell(rung, word),
              () => {},
            );
          const pauseMs = everyMs + 2 * lateMs;
          dueMs = performance.now() + pauseMs;
          setTimeout(write, pauseMs);
        };
        write();
      },
      { mark, everyMs, address: notebook.address },
    );
    return writer;
  }

  private constructor(page: Tab, mark: string) {
    this.#page = page;
    this.#mark = mark;
  }

  /** Waits until so many more words have come so far. */
  async until(rung: Rung, more: number): Promise<void> {
    const enough = this[rung].size + more;
    await until(`${more} more words of ${this.#mark} at ${rung}`, () => this[rung].size >= enough, {
      explain: () => `${this.written.size} written, ${this.disk.size} on disk, ${this.relay.size} at the relay`,
    });
  }

  async stop(): Promise<void> {
    await this.#page.evaluate((mark) => {
      const writer = globalThis.writers?.[mark];
      if (writer !== undefined) writer.isOn = false;
    }, this.#mark);
  }
}

/** Those of the words that are not in the text. */
export function missingFrom(text: string, words: ReadonlySet<string>): string[] {
  const there = new Set(text.split(/\s+/));
  return [...words].filter((word) => !there.has(word));
}
