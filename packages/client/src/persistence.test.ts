import { afterEach, expect, test, vi } from 'vitest';
import { Persistence } from './persistence.js';

afterEach(() => vi.unstubAllGlobals());

function stubStorage(storage: unknown): void {
  vi.stubGlobal('navigator', { storage });
}

test('[API] looking asks nobody, and asking is remembered', async () => {
  const asked: string[] = [];
  const answer = (what: string, isPersisted: boolean) => async () => {
    asked.push(what);
    return isPersisted;
  };
  stubStorage({ persisted: answer('persisted', false), persist: answer('persist', true) });
  const persistence = new Persistence();
  expect(persistence.isPersisted).toBeNull();
  await persistence.look();
  expect(persistence.isPersisted).toBe(false);
  expect(asked).toEqual(['persisted']);
  expect(await persistence.ask()).toBe(true);
  expect(persistence.isPersisted).toBe(true);
});

test('[API] where a browser has no such thing, or fails, it is not known and not promised', async () => {
  const fails = async (): Promise<boolean> => {
    throw new TypeError('an opaque origin');
  };
  for (const storage of [undefined, { persisted: fails, persist: fails }]) {
    stubStorage(storage);
    const persistence = new Persistence();
    await persistence.look();
    expect(persistence.isPersisted).toBeNull();
    expect(await persistence.ask()).toBe(false);
  }
});
