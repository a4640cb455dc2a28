import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fromRoot } from '../../scripts/lib/paths.mjs';
import { mustRun, run } from '../../scripts/lib/run.mjs';

const FOLDER = fromRoot('bench/.cache/packed');

/** Packs the built packages and unpacks them again: what is measured has the files that users get, and no others. */
export async function unpackPackages() {
  await rm(FOLDER, { recursive: true, force: true });
  await mkdir(FOLDER, { recursive: true });
  for (const name of ['protocol', 'client']) {
    const folder = await mkdtemp(join(FOLDER, 'unpacking-'));
    // Without its scripts: they build anew what was just built.
    const pack = ['pack', '--ignore-scripts', '--loglevel=error', '--pack-destination', folder];
    await mustRun('npm pack', run('npm', pack, { quiet: true, cwd: fromRoot('packages', name) }));
    const [tarball] = await readdir(folder);
    await mustRun('tar', run('tar', ['-xzf', join(folder, tarball), '-C', folder], { quiet: true }));
    await rename(join(folder, 'package'), join(FOLDER, name));
    await rm(folder, { recursive: true });
  }
  return FOLDER;
}
