import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../../', import.meta.url));
const PACKAGES = ['protocol', 'client', 'relay'] as const;
const COMMAND_MS_MAX = 120_000;

/** A code block of README.md, by the name in the comment above it. */
export function readQuickStart(name: 'install' | 'main'): string {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const block = new RegExp(`<!-- quick-start:${name} -->\\n\`\`\`\\w+\\n([^]*?)\\n\`\`\``).exec(readme)?.[1];
  if (block === undefined) throw new Error(`README.md has no block quick-start:${name}`);
  return `${block}\n`;
}

/** An app outside of the tree that has installed Mangrove as its users do: from tarballs, by the README's commands. */
export class PackedApp {
  readonly folder: string;
  readonly #temporary = mkdtempSync(join(tmpdir(), 'mangrove-packed-'));
  readonly #processes: ChildProcess[] = [];
  readonly #removal = new AbortController();

  constructor() {
    this.folder = join(this.#temporary, 'app');
    mkdirSync(this.folder);
  }

  async install(): Promise<void> {
    await this.#pack(join(this.#temporary, 'tree'));
    const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const manifest = { private: true, type: 'module', devDependencies: { vite: devDependencies.vite } };
    this.write('package.json', JSON.stringify(manifest));
    const commands = readQuickStart('install').split('\n');
    for (const command of commands.filter((line) => line.startsWith('npm install '))) {
      const packages = command.split(' ').slice(2);
      await this.run('npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error', ...packages);
    }
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.folder, file), text);
  }

  /** Runs a command to its end and resolves to what it printed; rejects with that when it fails. */
  run(command: string, ...args: readonly string[]): Promise<string> {
    return this.#runIn(this.folder, command, ...args);
  }

  /** With the compiler of the tree: an app brings its own, and a second one would prove nothing more. */
  typeCheck(): Promise<string> {
    return this.run(process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '--noEmit', '-p', '.');
  }

  /** Starts what the app has installed; resolves when it has printed the pattern, to its first group. */
  start(args: readonly string[], pattern: RegExp): Promise<string> {
    // A group of its own, as npx does not pass a signal on to what it started.
    // Without colours, which tools also give where CI is set: they would stand between the words of the pattern.
    const { FORCE_COLOR: _, ...env } = process.env;
    const child = spawn('npx', args, {
      cwd: this.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...env, NO_COLOR: '1' },
    });
    this.#processes.push(child);
    return new Promise((resolve, reject) => {
      let output = '';
      const overdue = setTimeout(
        () => reject(new Error(`${args.join(' ')} has not printed ${pattern}: ${output}`)),
        COMMAND_MS_MAX,
      );
      const collect = (text: Buffer): void => {
        output += text.toString();
        const found = pattern.exec(output)?.[1];
        if (found === undefined) return;
        clearTimeout(overdue);
        resolve(found);
      };
      child.stdout.on('data', collect);
      child.stderr.on('data', collect);
      child.once('error', reject);
      child.once('exit', (code) => {
        clearTimeout(overdue);
        reject(new Error(`${args.join(' ')} ended with ${code}: ${output}`));
      });
    });
  }

  /** Ends what was started, and leaves nothing behind. */
  async remove(): Promise<void> {
    this.#removal.abort();
    await Promise.all(this.#processes.map(endGroup));
    rmSync(this.#temporary, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Packs copies of the packages into the app: prepack removes dist/, which other tests are running from. */
  async #pack(tree: string): Promise<void> {
    mkdirSync(join(tree, 'node_modules/@mangrove'), { recursive: true });
    cpSync(join(root, 'tsconfig.base.json'), join(tree, 'tsconfig.base.json'));
    for (const entry of readdirSync(join(root, 'node_modules'))) {
      if (entry !== '@mangrove') link(join(root, 'node_modules', entry), join(tree, 'node_modules', entry));
    }
    for (const name of PACKAGES) {
      cpSync(join(root, 'packages', name), join(tree, 'packages', name), {
        recursive: true,
        filter: (path) => !/[\\/](?:dist|node_modules)$/.test(path),
      });
      link(join(tree, 'packages', name), join(tree, 'node_modules/@mangrove', name));
    }
    const packOne = (name: (typeof PACKAGES)[number]) =>
      this.#runIn(join(tree, 'packages', name), 'npm', 'pack', '--pack-destination', this.folder, '--loglevel=error');
    // The others find the protocol built, and would otherwise both build it at once.
    await packOne('protocol');
    await Promise.all([packOne('client'), packOne('relay')]);
  }

  async #runIn(folder: string, command: string, ...args: readonly string[]): Promise<string> {
    const options = { cwd: folder, timeout: COMMAND_MS_MAX, maxBuffer: 16 * 1024 * 1024, signal: this.#removal.signal };
    try {
      return (await promisify(execFile)(command, args, options)).stdout;
    } catch (error) {
      const { stdout, stderr } = error as { stdout?: string; stderr?: string };
      throw new Error(`${command} ${args.join(' ')} failed: ${stdout ?? ''}${stderr ?? ''}`, { cause: error });
    }
  }
}

function link(target: string, path: string): void {
  symlinkSync(target, path, 'junction');
}

async function endGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  process.kill(-child.pid, 'SIGKILL');
  await exited;
}
