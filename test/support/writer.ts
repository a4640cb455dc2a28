import type { Page } from 'playwright-core';
import type { Person } from './person.js';
import { until } from './until.js';

declare global {
  /** One for each writer in a page. */
  var writers: Record<string, { isOn: boolean }> | undefined;
  var tellRung: (mark: string, rung: 'written' | 'disk' | 'relay', word: string) => void;
}

const pagesThatTell = new WeakSet<Page>();
const writersByMark = new Map<string, Writer>();

/**
 * Somebody writing one word after another until told to stop, who notes of each word how far it has come. The notes are kept
 * outside of the browser, so they outlive the tab: what is in them was promised.
 */
export class Writer {
  readonly written = new Set<string>();
  readonly disk = new Set<string>();
  readonly relay = new Set<string>();
  readonly #page: Page;
  readonly #mark: string;

  static async start(person: Person, mark: string, everyMs = 25): Promise<Writer> {
    const { page } = person;
    const writer = new Writer(page, mark);
    writersByMark.set(mark, writer);
    if (!pagesThatTell.has(page)) {
      pagesThatTell.add(page);
      await page.exposeFunction('tellRung', (of: string, rung: 'written' | 'disk' | 'relay', word: string) => {
        writersByMark.get(of)?.[rung].add(word);
      });
    }
    await page.evaluate(
      ({ mark, everyMs }) => {
        const { note } = mangrove;
        const content = note.ydoc.getText('content');
        const writer = { isOn: true };
        globalThis.writers = { ...globalThis.writers, [mark]: writer };
        let count = 0;
        const write = (): void => {
          if (!writer.isOn) return;
          const word = `${mark}${++count}`;
          content.insert(content.length, `${word} `);
          tellRung(mark, 'written', word);
          for (const rung of ['disk', 'relay'] as const)
            note.reached(rung).then(
              () => tellRung(mark, rung, word),
              () => {},
            );
          setTimeout(write, everyMs);
        };
        write();
      },
      { mark, everyMs },
    );
    return writer;
  }

  private constructor(page: Page, mark: string) {
    this.#page = page;
    this.#mark = mark;
  }

  /** Waits until so many more words have come so far. */
  async until(rung: 'written' | 'disk' | 'relay', more: number): Promise<void> {
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
