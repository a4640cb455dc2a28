import { expect, test } from 'vitest';
import { needs } from '../support/engines/abilities.js';
import { chromiumPage } from '../support/engines/chromium.js';
import type { Tab } from '../support/engines/engine.js';
import type { Person } from '../support/person.js';
import { makeRandom } from '../support/random.js';
import { setStage, waitUntilEqual } from '../support/stage.js';
import { missingFrom, Writer } from '../support/writer.js';

const stage = setStage();
const isLong = process.env.MANGROVE_TEST_LONG !== undefined;
/** Chromium alone can be told to crash. */
const ENDS = needs('devtools').isLacking ? (['close'] as const) : (['close', 'crash'] as const);

const TABS = 4;
const EDITS_PER_TAB = isLong ? 2_000 : 120;
/** How long a tab goes on until one of the four ends. */
const LIFE_MS = isLong ? { min: 500, max: 6_000 } : { min: 300, max: 1_200 };
const EVERY_MS = 10;
const SEED = 20_817;
const TEST_MS_MAX = isLong ? 1_800_000 : 300_000;

interface Life {
  readonly person: Person;
  readonly writer: Writer;
}

test(
  `four tabs write ${EDITS_PER_TAB} edits each while tabs are closed and crash at random: none is lost, none is there twice`,
  async () => {
    const random = makeRandom(SEED);
    const between = (min: number, max: number): number => min + random.below(max - min);
    const anna = await stage.arrive('Anna');
    const ben = await stage.arrive('Ben');
    await Promise.all([anna.waitUntilInSync(), ben.waitUntilInSync()]);
    const written = new Array<number>(TABS).fill(0);
    const writers: Writer[] = [];
    const ends = { close: 0, crash: 0 };

    const begin = async (tab: number, life: number, page?: Tab): Promise<Life> => {
      const person = anna.inTab(page ?? (await anna.openTab()));
      const writer = await Writer.start(person, `t${tab}l${life}w`, EVERY_MS);
      writers.push(writer);
      return { person, writer };
    };
    const total = (tab: number): number => (written[tab] as number) + (lives[tab] as Life).writer.written.size;
    const lives: Life[] = [await begin(0, 0, anna.page)];
    for (let tab = 1; tab < TABS; tab++) lives.push(await begin(tab, 0));

    for (let life = 1; lives.some((_, tab) => total(tab) < EDITS_PER_TAB); life++) {
      await new Promise((resolve) => setTimeout(resolve, between(LIFE_MS.min, LIFE_MS.max)));
      const tab = between(0, TABS);
      const { person, writer } = lives[tab] as Life;
      const how = ENDS[between(0, ENDS.length)] as (typeof ENDS)[number];
      ends[how]++;
      if (how === 'close') await person.page.close();
      else await crash(person.page);
      written[tab] = (written[tab] as number) + writer.written.size;
      lives[tab] = await begin(tab, life);
    }
    for (const { writer } of lives) await writer.stop();
    const { text } = await waitUntilEqual([ben, ...lives.map(({ person }) => person)], 120_000);

    const living = new Set(lives.map(({ writer }) => writer));
    // Whoever lives has lost nothing at all, whoever has ended nothing that was on its disk.
    const promised = new Set(
      writers.flatMap((writer) => [...(living.has(writer) ? writer.written : writer.disk), ...writer.relay]),
    );
    expect(missingFrom(text, promised), `seed ${SEED}`).toEqual([]);
    const words = text.split(/\s+/).filter((word) => word !== '');
    expect(words.length, `seed ${SEED}: words that are there twice`).toBe(new Set(words).size);
    expect(ends.close + ends.crash).toBeGreaterThan(1);
  },
  TEST_MS_MAX,
);

async function crash(tab: Tab): Promise<void> {
  const page = chromiumPage(tab);
  const session = await page.context().newCDPSession(page);
  const crashed = new Promise((resolve) => page.once('crash', resolve));
  session.send('Page.crash').catch(() => {});
  await crashed;
  await page.close();
}
