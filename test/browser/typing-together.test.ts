import { expect, test } from 'vitest';
import { setStage, waitUntilEqual } from '../support/stage.js';
import { until } from '../support/until.js';

const stage = setStage();

test('[E2E1] two people type at once: each sees the text and the cursor of the other, and both end equal', async () => {
  const [anna, ben] = await stage.arriveTogether();

  await Promise.all([
    anna.type('Anna writes this line by hand. ', { delayMs: 15 }),
    ben.type('Ben writes this one meanwhile. ', { delayMs: 15 }),
  ]);

  const { text, root } = await waitUntilEqual([anna, ben]);
  expect([...text].sort().join('')).toBe(
    [...'Anna writes this line by hand. Ben writes this one meanwhile. '].sort().join(''),
  );
  for (const [person, other] of [
    [anna, ben],
    [ben, anna],
  ] as const) {
    expect(await person.readEditor()).toBe(text);
    await until(`${person.name} to see the cursor of ${other.name}`, async () =>
      (await person.cursorsOfOthers()).includes(other.name),
    );
    const shown = await person.shownStatus();
    expect(shown).toMatchObject({ connection: 'connected', sync: 'in-sync', pending: 0, root });
  }
  expect(root).toMatch(/^[0-9a-f]{64}$/);
  expect((await stage.relay.version(stage.room))?.root).toBe(root);
});
