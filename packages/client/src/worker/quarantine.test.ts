import { acceptAndLog, type KeyName } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { type ClientWorld, roomRef, setWorld } from '../../../../test/support/client-world.js';
import { forgeRecord } from '../../../../test/support/forged-record.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

test('[SY10, CX8] what is set aside is listed with its reason and exported byte by byte, in all tabs and after a reload', async () => {
  const [profile, victimProfile] = [world.profile(), world.profile()];
  const victim = victimProfile.tab().room();
  await world.agree(victim);
  const names: KeyName[] = ['a', 'b', 'c'].map((id) => ({ kind: 'record', collection: 'todos', id }));
  const forged = names.map((name, i) =>
    forgeRecord(victimProfile.replica('team'), name, 'forged', world.nowMs + i + 1, i + 1),
  );
  const options = { nowMs: world.nowMs, from: 'others', retain: () => false } as const;
  await world.relay.store('team').transact((tx) => acceptAndLog(tx, roomRef(), forged, options), { mode: 'write' });
  const [first, second] = [profile.tab(), profile.tab()];
  const [ann, beside] = [first.room(), second.room()];
  await world.run(Promise.all([ann.ready, beside.ready]));
  await world.until('set aside', () => ann.status.quarantined === 3 && beside.status.quarantined === 3);
  const foundAtMs = world.nowMs;

  const entries = await world.run(ann.quarantine.list());
  expect(entries.map((entry) => ('record' in entry ? entry.record : '')).sort()).toEqual(['a', 'b', 'c']);
  for (const entry of entries) {
    expect(entry).toMatchObject({ code: 'SIGNATURE_INVALID', kind: 'record', collection: 'todos' });
    expect(entry.replica).toBe(victimProfile.replica('team'));
    expect(foundAtMs - (entry.sinceMs ?? 0)).toBeLessThan(60_000);
    const bytes = await world.run(beside.quarantine.export(entry));
    expect(forged.some((delta) => Buffer.compare(delta.bytes, bytes as Uint8Array) === 0)).toBe(true);
    expect(bytes).toHaveLength(entry.bytes);
  }
  const page = await world.run(ann.quarantine.list({ limit: 2 }));
  const rest = await world.run(ann.quarantine.list({ limit: 2, after: page[1] as (typeof page)[number] }));
  expect([...page, ...rest]).toEqual(entries);

  await world.run(first.close());
  await world.run(second.close());
  await world.pass(120_000);
  const again = profile.tab().room();
  await world.run(again.ready);
  expect(again.status.quarantined).toBe(3);
  expect(await world.run(again.quarantine.list())).toEqual(entries);
  expect(await world.run(again.quarantine.export({ id: 'nothing' }))).toBeUndefined();
  await expect(world.run(again.quarantine.list({ limit: 0 }))).rejects.toMatchObject({ code: 'OPTION_INVALID' });
});

test('[AE2] what is left of a row that nobody else has is listed under the name that it was of, and counted', async () => {
  const profile = world.profile();
  const tab = profile.tab({ relays: [] });
  const room = tab.room();
  await world.run(room.collection('todos').put('only here', 1));
  await world.run(tab.close());
  const rows = profile.store('team').tables.table('journal');
  const [[key, row]] = rows.rows({ from: new Uint8Array() }) as [[Uint8Array, Uint8Array]];
  const spoiled = row.map((byte, i) => (i === 5 ? byte ^ 1 : byte));
  rows.put(key, spoiled);
  const again = profile.tab({ relays: [] }).room();
  await world.run(again.ready);
  expect(again.status.quarantined).toBe(1);
  const [entry] = await world.run(again.quarantine.list());
  expect(entry).toMatchObject({ code: 'STORAGE_DAMAGED', kind: 'record', collection: 'todos', record: 'only here' });
  expect(await world.run(again.quarantine.export(entry as { id: string }))).toEqual(spoiled);
});
