import { expect, test } from 'vitest';
import { needs } from '../support/engines/abilities.js';
import { chromiumPage } from '../support/engines/chromium.js';
import type { Session, Tab } from '../support/engines/engine.js';
import { openPlainChromium } from '../support/engines/plain-chromium.js';
import { rendererOf } from '../../scripts/lib/renderers.mjs';
import type { Person } from '../support/person.js';
import { setStage, waitUntilEqual } from '../support/stage.js';
import { until } from '../support/until.js';

const stage = setStage();
const { isLacking, why } = needs('devtools');
const isLong = process.env.MANGROVE_TEST_LONG !== undefined;
const whyShort = isLong
  ? why
  : ' [long run only: it may take as long as the browser lets a frozen tab hold up the database]';

/** Five asks, a second apart, and what it takes to connect on a busy machine. */
const TAKEN_OVER_MS_MAX = 20_000;
/** Chromium ends a transaction of a process that stands still when others have waited for it for a minute, one after the other. */
const HELD_UP_MS_MAX = 250_000;

interface Frost {
  /** Undefined: a browser under a driver's defaults, in which every page is visible. */
  readonly open?: () => Promise<Session>;
  /** Resolves to what thaws it. */
  freeze(tab: Tab): Promise<() => Promise<void>>;
}

const FROSTS: Readonly<Record<string, Frost>> = {
  /** As it freezes tabs in the background. */
  'by the browser': {
    open: openPlainChromium,
    freeze: async (tab) => {
      const page = chromiumPage(tab);
      const session = await page.context().newCDPSession(page);
      const set = (state: 'frozen' | 'active') => session.send('Page.setWebLifecycleState', { state });
      await set('frozen');
      return async () => void (await set('active'));
    },
  },
  /** As it stops a process, wherever that is. */
  'by the system': {
    freeze: async (tab) => {
      const pid = await rendererOf(tab);
      process.kill(pid, 'SIGSTOP');
      return async () => void process.kill(pid, 'SIGCONT');
    },
  },
};

for (const [how, frost] of Object.entries(FROSTS)) {
  test.skipIf(isLacking)(
    `[JS10] the owner's tab is frozen ${how}: another goes on, and when it thaws nothing is lost or twice${why}`,
    async () => {
      const { first, second } = await openTwoTabs(frost);
      const ben = await stage.arrive('Ben');
      await ben.waitUntilInSync();
      const thaw = await frost.freeze(first.page);
      try {
        await second.write('Written meanwhile. ');
        await ben.waitForText('Written meanwhile. ', TAKEN_OVER_MS_MAX);
        await ben.write('Ben answers. ');
        await second.waitForText('Written meanwhile. Ben answers. ', TAKEN_OVER_MS_MAX);
        expect(first.network.connections).toBe(2);
      } finally {
        await thaw();
      }
      await first.waitForText('Written meanwhile. Ben answers. ');
      await first.write('Thawed. ');
      const { text } = await waitUntilEqual([first, second, ben]);
      expect(text).toBe('Written meanwhile. Ben answers. Thawed. ');
      for (const tab of [first, second]) expect((await tab.status()).lastError).toBe(null);
      expect(Object.keys((await stage.relay.version(stage.room))?.vector ?? {})).toHaveLength(2);
    },
  );

  test.skipIf(isLacking || !isLong)(
    `[JS9] the owner's tab is frozen ${how} while it writes: nothing of it is lost or twice when it thaws${whyShort}`,
    async () => {
      const { first, second } = await openTwoTabs(frost);
      const ben = await stage.arrive('Ben');
      await ben.waitUntilInSync();
      await startBurst(first);
      await untilWritten(first, 50);
      const thaw = await frost.freeze(first.page);
      try {
        await ben.write('Ben is here. ');
        await until('the other tab to see Ben', async () => (await second.text()).includes('Ben is here. '), {
          withinMs: HELD_UP_MS_MAX,
          explain: async () => JSON.stringify(await second.status()),
        });
      } finally {
        await thaw();
      }
      await untilWritten(first, 50);
      const written = await endBurst(first);
      const { text } = await waitUntilEqual([first, second, ben]);
      expect(text.match(/a\d+/g)?.sort()).toEqual([...written].sort());
    },
  );
}

/** The first owns the replica; where there is a front, the second is in it. */
async function openTwoTabs({ open }: Frost): Promise<{ first: Person; second: Person }> {
  const first = await stage.arrive('Anna', open === undefined ? {} : { session: await open() });
  await first.waitUntilInSync();
  const firstPage = first.page;
  const second = first.inTab(await first.openTab());
  first.page = firstPage;
  await second.waitUntilInSync();
  return { first, second };
}

declare global {
  var burst: { readonly written: string[]; isOn: boolean } | undefined;
}

/** Word after word as fast as the disk takes them: a hidden page has no timers to write by, and a frozen one keeps no socket. */
function startBurst({ page }: Person): Promise<void> {
  return page.evaluate(() => {
    const { note } = mangrove;
    const content = note.ydoc.getText('content');
    const burst = { written: [] as string[], isOn: true };
    globalThis.burst = burst;
    const write = async (): Promise<void> => {
      while (burst.isOn) {
        const word = `a${burst.written.length + 1}`;
        burst.written.push(word);
        content.insert(content.length, `${word} `);
        await note.reached('disk');
      }
    };
    void write();
  });
}

async function untilWritten({ page }: Person, more: number): Promise<void> {
  const count = (): Promise<number> => page.evaluate(() => globalThis.burst?.written.length ?? 0);
  const enough = (await count()) + more;
  await until(`${more} more words`, async () => (await count()) >= enough);
}

function endBurst({ page }: Person): Promise<readonly string[]> {
  return page.evaluate(() => {
    const { burst } = globalThis;
    if (burst === undefined) return [];
    burst.isOn = false;
    return burst.written;
  });
}
