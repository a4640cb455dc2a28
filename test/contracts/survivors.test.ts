import { expect, test } from 'vitest';
import { judge } from '../support/faults/survivors.js';

test('what survives whole is no damage, however much of what was never promised is missing or there', () => {
  const whole = { lost: [], holes: [], torn: [] };
  expect(judge([1, 2], { numbers: [1, 2, 3], twins: [1, 2, 3] })).toEqual(whole);
  expect(judge([], { numbers: [], twins: [] })).toEqual(whole);
});

test('what was promised and is not there, or in one place only, is lost', () => {
  expect(judge([1, 2, 3], { numbers: [1, 2], twins: [1] })).toEqual({ lost: [2, 3], holes: [], torn: [2] });
});

test('what is missing before something later is a hole, and what is there twice is torn', () => {
  expect(judge([], { numbers: [1, 4, 4], twins: [1, 4] })).toEqual({ lost: [], holes: [2, 3], torn: [4] });
});
