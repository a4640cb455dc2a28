import { execFileSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
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

/** The commit of this tree, the last one that changed the packages, and whether they differ from it. */
export function describeTree() {
  const git = (...args) => execFileSync('git', args, { cwd: fromRoot(), encoding: 'utf8' }).trim();
  try {
    const commit = git('rev-parse', '--short=10', 'HEAD');
    const packages = git('log', '-1', '--abbrev=10', '--format=%h', '--', 'packages');
    return { commit, packages, isDirty: git('status', '--short', 'packages') !== '' };
  } catch {
    return { commit: 'unknown', packages: 'unknown', isDirty: true };
  }
}

export function versionOf(name) {
  const file = name.startsWith('@mangrove/')
    ? fromRoot('packages', name.slice('@mangrove/'.length), 'package.json')
    : fromRoot('bench/node_modules', name, 'package.json');
  return JSON.parse(readFileSync(file, 'utf8')).version;
}
