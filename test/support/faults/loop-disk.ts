import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../until.js';

const call = promisify(execFile);
const COPIES_MAX = 50;
/** Of the kernel's counters of a block device: writes that are done, sectors written, requests under way. */
const [WRITES, SECTORS, UNDER_WAY] = [4, 6, 8];

/**
 * A file system on an image of a disk, whose power can be cut: what the disk had at one moment is all that there is afterwards. A
 * drive that forgets what is in its own cache is not played: what reached it stays.
 */
export class LoopDisk {
  /** Where its files are, also after a cut. */
  readonly folder: string;
  readonly #home: string;
  #image: string;
  #device: string | undefined;
  #cuts = 0;

  static async create(megabytes = 256): Promise<LoopDisk> {
    const disk = new LoopDisk(await mkdtemp(join(tmpdir(), 'mangrove-disk-')));
    await mkdir(disk.folder);
    await writeFile(disk.#image, '');
    await truncate(disk.#image, megabytes * 1024 * 1024);
    // Nothing is left for the kernel to do later: what is written is what somebody has asked for.
    await call('mkfs.ext4', ['-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0', disk.#image]);
    await disk.#mount();
    return disk;
  }

  private constructor(home: string) {
    this.#home = home;
    this.folder = join(home, 'mounted');
    this.#image = join(home, 'disk.img');
  }

  /** Whoever wrote to it has to be dead. The file system comes back as after a start of the machine: checked, with its journal replayed. */
  async cutPower(): Promise<void> {
    const copy = join(this.#home, `cut-${++this.#cuts}.img`);
    await this.#copy(copy);
    await this.#unmount();
    await rm(this.#image);
    this.#image = copy;
    // 1: it has mended what it found, of which the journal is a part.
    await call('e2fsck', ['-p', '-f', copy]).catch((error: { code?: number }) => {
      if (error.code !== 1) throw error;
    });
    await this.#mount();
  }

  async remove(): Promise<void> {
    await this.#unmount();
    await rm(this.#home, { recursive: true, force: true });
  }

  /** The disk at one moment: a copy during which the kernel wrote something is of none, and is made again. */
  async #copy(to: string): Promise<void> {
    for (let i = 0; i < COPIES_MAX; i++) {
      const before = this.#readCounters();
      await call('cp', ['--sparse=always', this.#image, to]);
      if (before.endsWith(' 0') && before === this.#readCounters()) return;
    }
    throw new Error(`the disk was written to during ${COPIES_MAX} copies`);
  }

  #readCounters(): string {
    const counters = readFileSync(`/sys/block/${basename(this.#device ?? '')}/stat`, 'utf8')
      .trim()
      .split(/\s+/);
    return [WRITES, SECTORS, UNDER_WAY].map((i) => counters[i as number]).join(' ');
  }

  async #mount(): Promise<void> {
    const { stdout } = await call('losetup', ['--find', '--show', this.#image]);
    this.#device = stdout.trim();
    await call('mount', ['-t', 'ext4', this.#device, this.folder]);
  }

  async #unmount(): Promise<void> {
    const device = this.#device;
    if (device === undefined) return;
    this.#device = undefined;
    // Processes of a browser that was killed end a moment after it.
    await until(`${this.folder} to be unmounted`, () =>
      call('umount', [this.folder]).then(
        () => true,
        () => false,
      ),
    );
    await call('losetup', ['--detach', device]);
  }
}

/** Why there can be no such disk here; undefined where there can. */
export function whyNoLoopDisk(): string | undefined {
  if (process.platform !== 'linux') return 'loop devices are Linux’s';
  if (process.getuid?.() !== 0) return 'it takes root to mount an image';
  const folder = mkdtempSync(join(tmpdir(), 'mangrove-disk-'));
  try {
    const image = join(folder, 'image');
    const at = join(folder, 'at');
    execFileSync(
      'sh',
      ['-ec', 'truncate -s 4M "$0"; mkfs.ext4 -q -F "$0"; mkdir "$1"; mount -o loop "$0" "$1"', image, at],
      {
        stdio: 'pipe',
      },
    );
    execFileSync('umount', [at]);
    return undefined;
  } catch (error) {
    return `this machine mounts no image: ${String((error as { stderr?: Buffer }).stderr ?? error)
      .trim()
      .split('\n')
      .at(-1)}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
