import { expect, test } from 'vitest';
import { describeEntry } from './set-aside.ts';

const facts = { id: 'ab'.repeat(32), replica: '0123456789abcdef', writtenAtMs: 1, sinceMs: null, bytes: 2_048 };

test('what is set aside is told by what it is of and why, in plain words', () => {
  expect(describeEntry({ ...facts, kind: 'document', document: 'note', code: 'UNDECODABLE' })).toBe(
    'Of the text: cannot be read · 2.0 KiB · said to be of 0123…',
  );
  expect(describeEntry({ ...facts, kind: 'unknown', replica: null, writtenAtMs: null, code: 'STORAGE_DAMAGED' })).toBe(
    'Of something: damaged on this disk · 2.0 KiB',
  );
  expect(describeEntry({ ...facts, kind: 'record', collection: 'records', record: 'a', code: 'NEW' })).toContain('NEW');
});
