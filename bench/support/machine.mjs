import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { fromRoot } from '../../scripts/lib/paths.mjs';

/** Magic numbers of statfs(2) that say whether a "disk" is one. */
const FILE_SYSTEMS = new Map([
  [0xef53, 'ext4'],
  [0x01021994, 'tmpfs'],
  [0x794c7630, 'overlay'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
]);

/** What says how to read the figures, and nothing that names the machine. */
export function describeMachine(dataFolder) {
  return {
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    fileSystem: FILE_SYSTEMS.get(statfsSync(dataFolder).type) ?? 'unknown',
  };
}

/** The load of the last minute: what else the machine was doing. */
export function loadNow() {
  return Number(loadavg()[0].toFixed(2));
}

/** The tree of git that the packages are, which is the same whatever they are rebased upon, and whether they differ from it. */
export function describeTree() {
  const git = (...args) => execFileSync('git', args, { cwd: fromRoot(), encoding: 'utf8' }).trim();
  try {
    const packagesTree = git('rev-parse', '--short=10', 'HEAD:packages');
    return { packagesTree, isDirty: git('status', '--short', 'packages') !== '' };
  } catch {
    return { packagesTree: 'unknown', isDirty: true };
  }
}

/** The same as a report says it; older results name commits. */
export function treeInWords({ packagesTree, packages, commit, isDirty }) {
  const changes = isDirty ? ', with changes that are not committed' : '';
  if (packagesTree !== undefined) return `packages of tree ${packagesTree}${changes}`;
  return packages === undefined ? `commit ${commit}${changes}` : `packages as of commit ${packages}${changes}`;
}

/** Of a package of ours, of a peer, or of what the root has. */
export function versionOf(name) {
  const files = name.startsWith('@mangrove/')
    ? [fromRoot('packages', name.slice('@mangrove/'.length), 'package.json')]
    : ['bench/node_modules', 'node_modules'].map((folder) => fromRoot(folder, name, 'package.json'));
  return JSON.parse(readFileSync(files.find(existsSync) ?? files[0], 'utf8')).version;
}
