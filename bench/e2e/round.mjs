import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openProfile } from '../support/chromium.mjs';
import { sleep, within } from '../support/clock.mjs';
import { startServer } from '../support/server-process.mjs';
import { TcpProxy } from '../support/tcp-proxy.mjs';
import { Person } from './person.mjs';
import { measureRejoin } from './phases/rejoin.mjs';
import { measureTyping } from './phases/typing.mjs';

/** One contestant from nothing: a fresh server, two fresh profiles, an empty room. */
export async function runRound({ contestant, round, settings, site, dataFolder }) {
  const closing = [];
  const closeLater = (close) => closing.unshift(close);
  try {
    const relayFolder = await mkdtemp(join(dataFolder, 'server-'));
    closeLater(() => rm(relayFolder, { recursive: true, force: true }));
    const server = await startServer(contestant.server, [relayFolder]);
    closeLater(() => server.stop());
    const room = `bench-${round + 1}`;

    const people = [];
    for (const [i, name] of ['A', 'B'].entries()) {
      const proxy = await TcpProxy.listen(server.port);
      // From the first byte on: what is told on a link is told by what was told there before.
      proxy.taps = [];
      closeLater(() => proxy.close());
      const profile = await openProfile(dataFolder);
      closeLater(() => profile.close());
      const person = new Person(name, profile, proxy);
      await person.open(site.url, { contestant: contestant.id, room, seed: 1_000 * (round + 1) + i });
      people.push(person);
    }
    const [a, b] = people;

    await warmUp(a, b, settings);
    for (const person of people) await person.setClock();
    const context = { a, b, contestant, room, settings };
    const typing = await measureTyping(context);
    const rejoin = await measureRejoin(context);
    const clocks = people.map(({ clock }) => clock);
    return { typing, rejoin, clocks, chromium: await a.profile.version() };
  } finally {
    for (const close of closing) await close();
  }
}

/** Both have typed and seen the other type before anything is measured. */
async function warmUp(a, b, { warmUpKeys, keyEveryMs }) {
  for (const [writer, reader] of [
    [a, b],
    [b, a],
  ]) {
    const before = await writer.call('length');
    const arrived = reader.call('waitForLength', before + warmUpKeys);
    await writer.call('type', { count: warmUpKeys, everyMs: keyEveryMs });
    await within(20_000, `warming up ${reader.name}`, arrived);
  }
  await sleep(1_000);
}
