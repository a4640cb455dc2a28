import { expect, test } from 'vitest';
import type { Person } from '../support/person.js';
import { setStage } from '../support/stage.js';
import { until } from '../support/until.js';
import { startStopwatch } from '../support/stopwatch.js';
import { loadSequentialTrace, type Patch } from '../support/traces.js';

const stage = setStage();
const trace = loadSequentialTrace('automerge-paper');

/** Not the one in the editor: drawing a long text anew for each of so many edits would be most of the time, and none of it ours. */
const PAPER = 'paper';

/** Edits that go to the page at once, and how many of them are made before the page looks after anything else. */
const BATCH = 20_000;
const BURST = 500;

test(`[E2E2] a whole paper is typed (${trace.source}), reloaded and opened elsewhere, byte for byte`, async () => {
  const stopwatch = startStopwatch();
  const anna = await stage.arrive('Anna');
  await anna.waitUntilInSync();
  stopwatch.lap('open');

  await typeInto(anna, trace.edits);
  stopwatch.lap(`type ${trace.edits.length} edits`);
  expect(await hasText(anna, trace.endContent), 'the text that was typed').toBe(true);
  await anna.page.evaluate(() => mangrove.room.reached('relay'));
  stopwatch.lap('reach the relay');
  await anna.waitUntilInSync();

  await anna.reload();
  expect(await hasText(anna, trace.endContent), 'the text after a reload').toBe(true);
  stopwatch.lap('reload');

  const ben = await stage.arrive('Ben');
  await until(
    'Ben to be in sync with Anna',
    async () => {
      // What she typed may be merged meanwhile, which is another root.
      const [here, there] = [await anna.status(), await ben.status()];
      return [here, there].every(({ sync }) => sync === 'in-sync') && here.root === there.root;
    },
    { withinMs: 30_000 },
  );
  expect(await hasText(ben, trace.endContent), 'the text elsewhere').toBe(true);
  stopwatch.lap('open elsewhere');
  expect((await ben.status()).quarantined).toBe(0);
  stopwatch.report(trace.source);
}, 300_000);

/** Each edit is a transaction of its own, as a key that is pressed. */
async function typeInto(person: Person, edits: readonly Patch[]): Promise<void> {
  for (let i = 0; i < edits.length; i += BATCH) {
    await person.page.evaluate(
      async ({ name, edits, burst }) => {
        const note = mangrove.room.document(name);
        await note.ready;
        const content = note.ydoc.getText('content');
        for (const [i, [index, deleteCount, insert]] of edits.entries()) {
          note.ydoc.transact(() => {
            if (deleteCount > 0) content.delete(index, deleteCount);
            if (insert !== '') content.insert(index, insert);
          });
          if (i % burst === 0) await new Promise((resolve) => setTimeout(resolve));
        }
      },
      { name: PAPER, edits: edits.slice(i, i + BATCH), burst: BURST },
    );
  }
}

function hasText(person: Person, text: string): Promise<boolean> {
  return person.page.evaluate(
    async ({ name, text }) => {
      const note = mangrove.room.document(name);
      await note.ready;
      return note.ydoc.getText('content').toString() === text;
    },
    { name: PAPER, text },
  );
}
