import { expect, test } from 'vitest';
import { readAddress, roomHref } from './address.ts';

test('the room and the relay of the same origin', () => {
  expect(readAddress('http://h:5173/?room=a%20b%2F')).toEqual({
    room: 'a b/',
    relay: 'ws://h:5173',
    refusedRelay: undefined,
  });
  expect(readAddress('https://h/')).toEqual({ room: 'welcome', relay: 'wss://h', refusedRelay: undefined });
});

test('relay=none is local only', () => {
  expect(readAddress('http://h/?room=r&relay=none').relay).toBeUndefined();
});

test('a loopback relay is taken', () => {
  for (const relay of ['ws://127.0.0.1:1234', 'ws://localhost:9', 'wss://[::1]:9', 'ws://127.9.9.9:1']) {
    expect(readAddress(`http://h/?relay=${encodeURIComponent(relay)}`)).toMatchObject({
      relay,
      refusedRelay: undefined,
    });
  }
});

test('no link sends a room to the relay of a stranger', () => {
  const strangers = [
    'ws://evil.example',
    'ws://127.0.0.1.evil.example',
    'ws://127.0.0.1@evil.example',
    'ws://localhost.evil.example',
    'http://127.0.0.1',
    'javascript:alert(1)',
    '//127.0.0.1',
    'x',
  ];
  for (const relay of strangers) {
    const address = readAddress(`http://h/?relay=${encodeURIComponent(relay)}`);
    expect(address, relay).toMatchObject({ relay: 'ws://h', refusedRelay: relay });
  }
});

test('the link of a room keeps the relay and drops the rest', () => {
  expect(roomHref('http://h/?room=a&relay=none&x=1#k', 'b&c')).toBe('http://h/?room=b%26c&relay=none');
});
