import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ProviderEmitter } from './provider.js';

const errors: unknown[] = [];
beforeEach(() => {
  errors.length = 0;
  vi.stubGlobal('reportError', (error: unknown) => errors.push(error));
});
afterEach(() => {
  vi.unstubAllGlobals();
});

test('[API] listeners hear their event, in the order in which they came, each once', () => {
  const emitter = new ProviderEmitter();
  const heard: string[] = [];
  const first = (isSynced: boolean): void => void heard.push(`first ${isSynced}`);
  emitter.on('sync', first);
  emitter.on('sync', first);
  emitter.on('sync', (isSynced) => heard.push(`second ${isSynced}`));
  emitter.on('status', ({ status }) => heard.push(status));
  emitter.emit('sync', true);
  emitter.emit('status', { status: 'connected' });
  expect(heard).toEqual(['first true', 'second true', 'connected']);
});

test('[API] once hears once; off ends on and once alike', () => {
  const emitter = new ProviderEmitter();
  const heard: string[] = [];
  const listener = (isSynced: boolean): void => void heard.push(`${isSynced}`);
  emitter.once('sync', listener);
  emitter.emit('sync', true);
  emitter.emit('sync', false);
  expect(heard).toEqual(['true']);
  emitter.once('synced', listener);
  emitter.on('sync', listener);
  emitter.off('synced', listener);
  emitter.off('sync', listener);
  emitter.off('sync', listener);
  emitter.emit('synced', true);
  emitter.emit('sync', true);
  expect(heard).toEqual(['true']);
});

test('[API] one listener may wait once for several events, and take each back', () => {
  const emitter = new ProviderEmitter();
  const heard: string[] = [];
  const listener = (isSynced: boolean): void => void heard.push(`${isSynced}`);
  emitter.once('sync', listener);
  emitter.once('synced', listener);
  emitter.off('sync', listener);
  emitter.emit('sync', true);
  expect(heard).toEqual([]);
  emitter.emit('synced', true);
  expect(heard).toEqual(['true']);
});

test('[API] a listener that throws does not keep the others from hearing, and is told', () => {
  const emitter = new ProviderEmitter();
  const heard: boolean[] = [];
  emitter.on('sync', () => {
    throw new Error('mine');
  });
  emitter.on('sync', (isSynced) => heard.push(isSynced));
  emitter.emit('sync', true);
  expect(heard).toEqual([true]);
  expect(errors).toEqual([new Error('mine')]);
});

test('[API] listeners that come or go while an event is told do not change who hears it', () => {
  const emitter = new ProviderEmitter();
  const heard: string[] = [];
  const late = (): void => void heard.push('late');
  const second = (): void => void heard.push('second');
  emitter.on('sync', () => {
    heard.push('first');
    emitter.on('sync', late);
    emitter.off('sync', second);
  });
  emitter.on('sync', second);
  emitter.emit('sync', true);
  expect(heard).toEqual(['first', 'second']);
  emitter.clear();
  emitter.emit('sync', true);
  expect(heard).toEqual(['first', 'second']);
});
