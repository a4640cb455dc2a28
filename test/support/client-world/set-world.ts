import type { Limits } from '@mangrove/protocol';
import { afterEach, beforeEach, expect } from 'vitest';
import { ClientWorld } from './world.js';

/** A fresh world before each test of a file. After it the world ends, and nothing has reached what would be a page's error handler. */
export function setWorld(begin: (fresh: ClientWorld) => void, limits: Partial<Limits> = {}): void {
  let world: ClientWorld;
  beforeEach(() => {
    world = new ClientWorld(1, limits);
    begin(world);
  });
  afterEach(async () => {
    await world.close();
    expect(world.bugs).toEqual([]);
  });
}
