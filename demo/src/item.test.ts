import { expect, test } from 'vitest';
import { describeVersion, shorten, toItem, withItem } from './item.ts';

test('whatever is in the collection has a title', () => {
  expect(toItem({ title: 'Milk', done: true })).toEqual({ title: 'Milk', done: true });
  expect(toItem({ text: 'Milk', done: 'yes' })).toEqual({ title: 'Milk', done: false });
  expect(toItem('Milk')).toEqual({ title: 'Milk', done: false });
  expect(toItem({ n: 1 })).toEqual({ title: '{"n":1}', done: false });
  for (const value of [null, undefined, 7, [1], { n: 1n }, new Uint8Array(2)]) {
    expect(toItem(value).title).toBeTypeOf('string');
  }
});

test('a change keeps the fields that the checklist does not know', () => {
  expect(withItem({ title: 'Milk', owner: 'Ada' }, { done: true })).toEqual({
    title: 'Milk',
    owner: 'Ada',
    done: true,
  });
  expect(withItem('Milk', { done: true })).toEqual({ title: 'Milk', done: true });
});

test('a version that is a delete says so', () => {
  expect(describeVersion(undefined)).toBe('Deleted');
  expect(describeVersion({ title: 'Milk', done: true })).toBe('Milk (done)');
});

test('a long title is shown cut and edited whole', () => {
  const title = 'x'.repeat(60_000);
  expect(shorten(title).length).toBeLessThan(3_000);
  expect(toItem({ title }).title).toBe(title);
});
