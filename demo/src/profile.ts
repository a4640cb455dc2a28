/** The person's own name and colour, kept in this browser; and what of other people's is fit to show. */

export interface Profile {
  readonly name: string;
  readonly color: string;
}

/** Equal in lightness: white letters are readable on each, and each is visible on a light and on a dark page. */
export const COLORS = [
  '#c34744',
  '#af5b0b',
  '#8f6b09',
  '#2e8216',
  '#0b7f70',
  '#0f7b95',
  '#2171cd',
  '#7e5dc8',
  '#b6498d',
] as const;

const ANIMALS = [
  'Egret',
  'Heron',
  'Ibis',
  'Kingfisher',
  'Manatee',
  'Mudskipper',
  'Otter',
  'Oyster',
  'Tarpon',
  'Turtle',
];
const NAME_LENGTH_MAX = 40;
const STORAGE_KEY = 'mangrove.profile';

export function loadProfile(): Profile {
  const stored = readStored();
  const profile = {
    name: cleanName(stored?.name) || (ANIMALS[pick(ANIMALS.length)] as string),
    color: isColor(stored?.color) ? stored.color : (COLORS[pick(COLORS.length)] as string),
  };
  saveProfile(profile);
  return profile;
}

export function saveProfile(profile: Profile): void {
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(profile));
  } catch {
    // Storage is denied: the name lasts as long as the page.
  }
}

/** Calls back when another tab of this browser saved another profile. */
export function onProfileElsewhere(callback: (profile: Profile) => void): void {
  addEventListener('storage', (event) => {
    if (event.key === STORAGE_KEY && event.newValue) callback(loadProfile());
  });
}

export function nextColor(color: string): string {
  return COLORS[(COLORS.indexOf(color as (typeof COLORS)[number]) + 1) % COLORS.length] as string;
}

/** The next one that nobody has; undefined where each is taken. */
export function freeColor(color: string, taken: ReadonlySet<string>): string | undefined {
  let free = color;
  for (let i = 0; i < COLORS.length; i++) {
    free = nextColor(free);
    if (!taken.has(free)) return free;
  }
  return undefined;
}

/** No control and no direction characters: a name must not rewrite the text around it. */
export function cleanName(value: unknown): string {
  if (typeof value !== 'string') return '';
  const text = value.slice(0, 4 * NAME_LENGTH_MAX).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
  return [...text.trim()].slice(0, NAME_LENGTH_MAX).join('');
}

/** Exactly a hex colour, as it ends up in a style attribute. */
export function isColor(value: unknown): value is string {
  return typeof value === 'string' && /^#[0-9a-f]{6}$/i.test(value);
}

function readStored(): Partial<Record<keyof Profile, unknown>> | null {
  try {
    return JSON.parse(localStorage.getItem(STORAGE_KEY) ?? 'null');
  } catch {
    return null;
  }
}

function pick(count: number): number {
  return Math.floor(Math.random() * count);
}
