import { expect, test } from 'vitest';
import { Liveness } from './liveness.js';

test('[SY15] a silent relay is asked after 10 s and given up 5 s later; any word of it begins anew', () => {
  const liveness = new Liveness(0);
  expect(liveness.look(9_999)).toBe('wait');
  expect(liveness.look(10_000)).toBe('ping');
  expect(liveness.look(15_000)).toBe('wait');
  liveness.heard(15_000);
  expect(liveness.look(15_001)).toBe('wait');
  expect(liveness.look(25_000)).toBe('ping');
  expect(liveness.look(30_001)).toBe('give-up');
});

test('[SY15] where the platform says that it is offline, the answer has 1.5 s', () => {
  const liveness = new Liveness(0);
  liveness.doubted(100);
  expect(liveness.look(1_600)).toBe('wait');
  expect(liveness.look(1_601)).toBe('give-up');
  liveness.heard(1_700);
  expect(liveness.look(11_700)).toBe('ping');
  expect(liveness.look(16_000)).toBe('wait');
});

test('[SY15] a tab that was frozen for an hour asks before it gives up', () => {
  const liveness = new Liveness(0);
  expect(liveness.look(3_600_000)).toBe('ping');
  liveness.heard(3_600_050);
  expect(liveness.look(3_602_500)).toBe('wait');
});
