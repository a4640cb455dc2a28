import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/**
 * Why the file cannot be an LMDB database, or undefined when it looks like one or is not there.
 *
 * The library ends the process with a segmentation fault when it opens a file whose first two pages are damaged (measured
 * with lmdb 3.5.6), so they are looked at before it does. Layout of `MDB_page` and `MDB_meta` in mdb.c, on 64-bit platforms.
 */
export function faultOfLmdbFile(file: string): string | undefined {
  const is64Bit = process.arch !== 'arm' && process.arch !== 'ia32';
  if (!is64Bit) return undefined;
  const fd = openIfThere(file);
  if (fd === undefined) return undefined;
  try {
    const { size } = fstatSync(fd);
    // An empty file is what a first start leaves that was cut off early.
    if (size === 0) return undefined;
    const first = readMeta(fd, 0);
    if (!isMeta(first)) return 'the file is no LMDB database of this version';
    const pageBytes = first.pageBytes;
    const second = readMeta(fd, pageBytes);
    if (!isMeta(second) || second.pageBytes !== pageBytes) return 'the second page of the database is damaged';
    const newest = second.transaction > first.transaction ? second : first;
    const isCut = newest.roots.some((root) => root !== NO_PAGE && (Number(root) + 1) * pageBytes > size);
    return isCut ? 'the database was cut off' : undefined;
  } finally {
    closeSync(fd);
  }
}

interface Meta {
  readonly magic: number;
  readonly version: number;
  readonly pageBytes: number;
  readonly roots: readonly bigint[];
  readonly transaction: bigint;
}

const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const META_BYTES = 160;
const NO_PAGE = 0xffff_ffff_ffff_ffffn;

function isMeta(meta: Meta | undefined): meta is Meta {
  return meta !== undefined && meta.magic === MAGIC && meta.version === DATA_VERSION;
}

/** Numbers are in the byte order of the machine, so typed arrays read them as they are. */
function readMeta(fd: number, offset: number): Meta | undefined {
  const page = new ArrayBuffer(META_BYTES);
  if (readSync(fd, new Uint8Array(page), 0, META_BYTES, offset) < META_BYTES) return undefined;
  const u32 = new Uint32Array(page) as Record<number, number>;
  const u64 = new BigUint64Array(page) as Record<number, bigint>;
  return {
    magic: u32[6] as number,
    version: u32[7] as number,
    pageBytes: u32[12] as number,
    roots: [u64[11] as bigint, u64[17] as bigint],
    transaction: u64[19] as bigint,
  };
}

function openIfThere(file: string): number | undefined {
  try {
    return openSync(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
