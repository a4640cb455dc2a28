import { open, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

/** LevelDB's diary for people, and its lock: nothing is read from them. */
const UNREAD = new Set(['LOG', 'LOG.old', 'LOCK']);

/** Turns one bit over, of all that the databases of a profile at rest are made of. Resolves to where. */
export async function flipBit(profileFolder: string, random = Math.random): Promise<string> {
  const folder = join(profileFolder, 'Default', 'IndexedDB');
  const paths = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && !UNREAD.has(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const files = await Promise.all(paths.map(async (path) => ({ path, bytes: (await stat(path)).size })));
  let at = Math.floor(random() * files.reduce((sum, { bytes }) => sum + bytes, 0));
  for (const { path, bytes } of files) {
    if (at < bytes) {
      const bit = Math.floor(random() * 8);
      const file = await open(path, 'r+');
      const buffer = Buffer.alloc(1);
      await file.read(buffer, 0, 1, at);
      buffer.writeUInt8(buffer.readUInt8() ^ (1 << bit));
      await file.write(buffer, 0, 1, at);
      await file.close();
      return `bit ${bit} of byte ${at} of ${bytes} in ${nameOf(path)}`;
    }
    at -= bytes;
  }
  throw new Error(`no database in ${folder}`);
}

/** SQLite's files are named after a hash. */
function nameOf(path: string): string {
  return basename(path).replace(/^[A-Z0-9]{30,}/, 'database');
}
