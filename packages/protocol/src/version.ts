import { concatBytes, equalBytes, utf8ToBytes } from './bytes.js';
import { compressBody, type Deflate, decompressBody } from './compression.js';
import { isMangroveError, MangroveError } from './errors.js';
import type { Hash } from './hash.js';
import { idToBytes, type KeyId } from './ids.js';
import { defaultLimits } from './limits.js';
import type { Value } from './value.js';

/** Where versions are kept, as records of the room [VS1]. No application can open a collection of these names. */
export const VERSIONS = 'mangrove/versions';
export const VERSION_PARTS = 'mangrove/version-parts';

/** In base64 and with its quotes a part is below `valueBytesMax`. */
export const VERSION_PART_BYTES = 45_000;
const PARTS_MAX = Math.ceil((defaultLimits.bodyBytesMax + 16) / VERSION_PART_BYTES);
const DOMAIN = utf8ToBytes('mangrove:version:1');
const FORM = { plain: 0, compressed: 1 } as const;

/** What is known of a version without reading it. */
export interface VersionRow {
  /** When the state was what it is, in ms. */
  readonly at: number;
  /** Of the state. */
  readonly bytes: number;
  readonly hash: Uint8Array;
  readonly kind: 'named' | 'automatic';
  readonly name: string | null;
  readonly parts: number;
}

/** The prefix of the ids of a key's versions, and of their parts. */
export const versionPrefix = (keyId: KeyId): string => `${keyId}/`;
export const versionPartId = (keyId: KeyId, id: string, part: number): string =>
  `${versionPrefix(keyId)}${id}/${part.toString(16).padStart(4, '0')}`;

/** A name of its own for each version; names sort by time. */
export function makeVersionId(atMs: number, random: { u32(): number }): string {
  return Math.floor(atMs).toString(16).padStart(12, '0') + random.u32().toString(16).padStart(8, '0');
}

/** A state as it is stored. Throws `BODY_TOO_LARGE`. */
export function packVersion(
  hash: Hash,
  keyId: KeyId,
  state: Uint8Array,
  deflate: Deflate,
): { readonly row: Pick<VersionRow, 'bytes' | 'hash' | 'parts'>; readonly parts: readonly Uint8Array[] } {
  const { bodyBytesMax } = defaultLimits;
  if (state.length > bodyBytesMax) throw new MangroveError('BODY_TOO_LARGE', { bodyBytes: state.length, bodyBytesMax });
  const compressed = compressBody(state, deflate);
  const form = compressed === undefined ? FORM.plain : FORM.compressed;
  const stored = concatBytes(Uint8Array.of(form), compressed ?? state);
  const parts = Array.from({ length: Math.ceil(stored.length / VERSION_PART_BYTES) }, (_, i) =>
    stored.slice(i * VERSION_PART_BYTES, (i + 1) * VERSION_PART_BYTES),
  );
  return { row: { bytes: state.length, hash: hashState(hash, keyId, state), parts: parts.length }, parts };
}

/** The inverse; whoever wrote the parts may have been somebody else than who wrote the row. Throws `VERSION_UNAVAILABLE` [VS3]. */
export function unpackVersion(
  hash: Hash,
  keyId: KeyId,
  id: string,
  row: VersionRow,
  parts: readonly (Value | undefined)[],
): Uint8Array {
  const unavailable = (reason: string): MangroveError => new MangroveError('VERSION_UNAVAILABLE', { id, reason });
  const bytes = parts.map((part) => {
    if (part === undefined) throw unavailable('a part of it has not come yet');
    if (!(part instanceof Uint8Array) || part.length > VERSION_PART_BYTES) throw unavailable('a part of it is spoiled');
    return part;
  });
  const stored = concatBytes(...bytes);
  const state = readState(stored);
  if (state === undefined || !equalBytes(hashState(hash, keyId, state), row.hash))
    throw unavailable('its parts are not what was saved');
  return state;
}

/** Undefined for what is no row of a version: a member may write anything there. */
export function valueToVersionRow(value: Value | undefined): VersionRow | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { at, bytes, hash, kind, name, parts } = value as Readonly<Record<string, Value>>;
  const isSound =
    isCount(at, 8.64e15) &&
    isCount(bytes, defaultLimits.bodyBytesMax) &&
    isCount(parts, PARTS_MAX) &&
    parts > 0 &&
    hash instanceof Uint8Array &&
    hash.length === 32 &&
    (kind === 'named' || kind === 'automatic') &&
    (name === null || typeof name === 'string');
  return isSound ? { at, bytes, hash, kind, name, parts } : undefined;
}

export const versionRowToValue = ({ at, bytes, hash, kind, name, parts }: VersionRow): Value => ({
  at,
  bytes,
  hash,
  kind,
  name,
  parts,
});

function hashState(hash: Hash, keyId: KeyId, state: Uint8Array): Uint8Array {
  return hash(concatBytes(DOMAIN, idToBytes(keyId), state));
}

function readState(stored: Uint8Array): Uint8Array | undefined {
  const rest = stored.subarray(1);
  if (stored[0] === FORM.plain) return rest.slice();
  if (stored[0] !== FORM.compressed) return undefined;
  try {
    return decompressBody(rest);
  } catch (error) {
    if (isMangroveError(error)) return undefined;
    throw error;
  }
}

const isCount = (value: unknown, max: number): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max;
