import { describe, expect, it } from 'vitest';
import { COLORS, freeColor } from './profile.ts';

describe('the colour of who came by one that another has', () => {
  it('is the next one that nobody has', () => {
    const taken = new Set<string>([COLORS[0], COLORS[1]]);
    expect(freeColor(COLORS[0], taken)).toBe(COLORS[2]);
  });

  it('stays where each is taken, or a tenth person would change it for ever', () => {
    expect(freeColor(COLORS[0], new Set(COLORS))).toBeUndefined();
  });
});
