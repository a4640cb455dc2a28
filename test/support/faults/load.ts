import type { Tab } from '../engines/engine.js';
import type { Person } from '../person.js';
import { until } from '../until.js';
import type { Found } from './survivors.js';

/** Two documents that no editor shows, and a collection that no list does. */
export type Stream = 'first' | 'second' | 'records';
export const STREAMS: readonly Stream[] = ['first', 'second', 'records'];

export type Rung = 'written' | 'applied' | 'disk' | 'relay';
const RUNGS: readonly Rung[] = ['written', 'applied', 'disk', 'relay'];

declare global {
  var loads: Record<string, { isOn: boolean }> | undefined;
}

/**
 * A tab that writes into some streams, one numbered write after another, until it is told to stop or is gone. Notes of how far each
 * has come are kept outside of the browser: what is in them was promised.
 */
export class Load {
  readonly mark: string;
  readonly streams: readonly Stream[];
  readonly #page: Tab;
  readonly #numbers: Record<string, Set<number>> = {};
  #isOn = true;
  #isOver = false;

  /** The mark is the writes' own: no other load of the room has it. */
  static async start(
    { page, notebook }: Person,
    mark: string,
    streams: readonly Stream[] = STREAMS,
    everyMs = 20,
  ): Promise<Load> {
    const load = new Load(page, mark, streams);
    notebook.listen(
      mark,
      ([stream, rung, n]) => load.at(rung as Rung, stream as Stream).add(Number(n)),
      () => {
        load.#isOver = true;
      },
    );
    await page.evaluate(
      async ({ mark, streams, everyMs, address }) => {
        const notes = new WebSocket(address);
        await new Promise((resolve, reject) => {
          notes.onopen = resolve;
          notes.onerror = reject;
        });
        const { room } = mangrove;
        type Ladder = { reached(rung: 'applied' | 'disk' | 'relay'): Promise<void> };
        const writerInto = async (stream: string): Promise<(n: number) => Ladder | Promise<Ladder>> => {
          if (stream === 'records') {
            const records = room.collection('load');
            return (n) => records.put(`${mark}.${n}`, { mark, n, text: 'x'.repeat(n % 200) });
          }
          const note = room.document(`load/${stream}`);
          await note.ready;
          const { ydoc } = note;
          const texts = [ydoc.getText('content'), ydoc.getText('twin')];
          return (n) => {
            ydoc.transact(() => {
              for (const text of texts) text.insert(text.length, `${mark}.${n} `);
            });
            return note;
          };
        };
        const load = { isOn: true };
        globalThis.loads = { ...globalThis.loads, [mark]: load };
        for (const stream of streams) {
          const write = await writerInto(stream);
          const tell = (rung: string, n: number): void => notes.send(JSON.stringify([mark, stream, rung, `${n}`]));
          let count = 0;
          let dueMs = performance.now();
          const go = async (n: number): Promise<void> => {
            tell('written', n);
            const ladder = await write(n);
            for (const rung of ['applied', 'disk', 'relay'] as const)
              ladder.reached(rung).then(
                () => tell(rung, n),
                () => {},
              );
          };
          const next = (): void => {
            if (!load.isOn) return;
            // Who is late has no time left: a busy machine gets fewer writes.
            const pauseMs = everyMs + 2 * (performance.now() - dueMs);
            go(++count).catch(() => {});
            dueMs = performance.now() + pauseMs;
            setTimeout(next, pauseMs);
          };
          next();
        }
      },
      { mark, streams, everyMs, address: notebook.address },
    );
    return load;
  }

  private constructor(page: Tab, mark: string, streams: readonly Stream[]) {
    this.mark = mark;
    this.streams = streams;
    this.#page = page;
    for (const stream of streams) for (const rung of RUNGS) this.#numbers[`${stream} ${rung}`] = new Set();
  }

  /** Until it was told to stop. */
  get isOn(): boolean {
    return this.#isOn;
  }

  /** The numbers that have come so far. */
  at(rung: Rung, stream: Stream): Set<number> {
    const numbers = this.#numbers[`${stream} ${rung}`];
    if (numbers === undefined) throw new Error(`${this.mark} does not write into ${stream}`);
    return numbers;
  }

  count(rung: Rung): number {
    return this.streams.reduce((sum, stream) => sum + this.at(rung, stream).size, 0);
  }

  /** Waits until so many more writes of each stream have come so far. */
  async until(rung: Rung, more: number): Promise<void> {
    const enough = this.streams.map((stream) => this.at(rung, stream).size + more);
    await until(
      `${more} more of each stream of ${this.mark} at ${rung}`,
      () => this.streams.every((stream, i) => this.at(rung, stream).size >= (enough[i] as number)),
      { explain: () => RUNGS.map((rung) => `${this.count(rung)} ${rung}`).join(', ') },
    );
  }

  async stop(): Promise<void> {
    this.#isOn = false;
    await this.#page.evaluate((mark) => {
      const load = globalThis.loads?.[mark];
      if (load !== undefined) load.isOn = false;
    }, this.mark);
  }

  /** Its page is gone, and every note that it could still send has come. */
  async isGone(): Promise<void> {
    await until(`the notes of ${this.mark} to end`, () => this.#isOver);
  }
}

/** What a tab shows of the writes with a mark, stream by stream. */
export async function readLoad({ page }: Person, mark: string): Promise<Record<Stream, Found>> {
  return await page.evaluate(async (mark) => {
    const { room } = mangrove;
    const numbersIn = (text: string): number[] =>
      text
        .split(' ')
        .filter((word) => word.startsWith(`${mark}.`))
        .map((word) => Number(word.slice(mark.length + 1)));
    const readDocument = async (name: string): Promise<Found> => {
      const note = room.document(name);
      await note.ready;
      const [numbers, twins] = ['content', 'twin'].map((part) => numbersIn(note.ydoc.getText(part).toString()));
      note.close();
      return { numbers: numbers ?? [], twins: twins ?? [] };
    };
    const entries = await room.collection<{ n: number }>('load').entries({ prefix: `${mark}.` });
    return {
      first: await readDocument('load/first'),
      second: await readDocument('load/second'),
      records: {
        numbers: entries.map(([id]) => Number(id.slice(mark.length + 1))),
        twins: entries.map(([, { value }]) => value.n),
      },
    };
  }, mark);
}
