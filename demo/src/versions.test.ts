import { describe, expect, it } from 'vitest';
import { describeVersion } from './versions.ts';

const atMs = new Date(2026, 4, 6, 7, 8, 9).getTime();
const version = { id: 'v', kind: 'recent', name: null, atMs, replica: 'ab12cd34ef567890', bytes: 1 } as const;

describe('what a version is called', () => {
  it('is its name and when it was saved', () => {
    const named = { ...version, kind: 'named', name: 'Sent to the printer' } as const;
    expect(describeVersion(named, atMs)).toBe(`Sent to the printer · ${new Date(atMs).toLocaleTimeString()}`);
  });

  it('is who edited, where nobody gave it a name', () => {
    expect(describeVersion(version, atMs)).toBe(`Edited by ab12… · ${new Date(atMs).toLocaleTimeString()}`);
  });

  it('is why it was kept, and the day where that is not today', () => {
    const kept = describeVersion({ ...version, kind: 'automatic' }, atMs + 86_400_000);
    expect(kept).toBe(`Before a version was restored · ${new Date(atMs).toLocaleDateString()}`);
  });
});
