/** One vitest process a round, one after the other: a browser and a hundred workers do not compete for the cores, and a
 * runner that crashes or hangs takes down its own round only. */

const PROJECTS = [
  // The benches that it tries in short drive the built packages.
  { name: 'unit', needs: ['packages'] },
  { name: 'simulation', needs: [] },
  { name: 'fuzz', needs: [] },
  // Bugs that the tests must notice; all of them in the long run, each a bug of its own in a copy of the tree.
  { name: 'planted', needs: [], script: 'scripts/planted.mjs' },
  { name: 'runtimes', needs: ['packages', 'servers'] },
  { name: 'workerd', needs: ['packages'] },
  { name: 'workerd-forgetful', needs: ['packages'] },
  { name: 'engine', needs: [], isInBrowser: true },
  { name: 'browser', needs: ['packages', 'demo'], isInBrowser: true },
  // Of a run of everything only where it is a long one: they install the peers.
  { name: 'bench', needs: [], isLong: true },
];
/** Short runs of the benches, to see that they still work: they call what is inside of the packages, which no type checks. */
const BENCHES = [
  { name: 'growth', scriptArgs: ['--smoke'], needs: ['packages'] },
  { name: 'cost', scriptArgs: ['--smoke'], needs: ['packages'] },
  { name: 'failover', scriptArgs: ['--smoke'], needs: ['packages', 'demo', 'chromium'] },
  { name: 'e2e', scriptArgs: ['--smoke'], needs: ['packages', 'chromium'] },
  { name: 'browser', scriptArgs: ['--quick'], needs: ['packages', 'chromium'] },
  { name: 'reconcile', scriptArgs: ['--smoke'], needs: ['packages'] },
];
const ENGINES = ['chromium', 'firefox', 'webkit'];
const PLANTED_SAMPLE = ['--sample', '3'];

/** Of the engines beside Chromium, what a run of everything has of them: keys, the store, the page without its server, the editor. */
const SAMPLE = {
  engine: ['test/browser/engine/ed25519.test.ts', 'test/browser/engine/idb-store.test.ts'],
  browser: ['test/browser/offline.test.ts', 'test/browser/typing-together.test.ts'],
};

/**
 * What `scripts/test.mjs` runs for its arguments. `isOptional`: told and left out where its engine cannot be had.
 * Throws where an argument names nothing.
 */
export function planRounds(args) {
  const isLong = args.includes('--long');
  const at = args.indexOf('--engines');
  const engines = at < 0 ? ['chromium'] : known('engine', ENGINES, (args[at + 1] ?? '').split(','));
  const given = args.filter((arg, i) => !arg.startsWith('--') && (at < 0 || i !== at + 1));
  const names = known(
    'project',
    PROJECTS.map(({ name }) => name),
    given,
  );
  const isWhole = names.length === 0;
  const isChosen = (project) => (isWhole ? isLong || !project.isLong : names.includes(project.name));
  const rounds = PROJECTS.filter(isChosen).flatMap((project) => {
    if (project.name === 'bench') return BENCHES.map(inShort);
    return project.isInBrowser ? engines.map((engine) => inBrowser(project, engine)) : [toRound(project, isLong)];
  });
  if (isWhole && at < 0) rounds.push(...sampleRounds());
  return { isLong, rounds };
}

function sampleRounds() {
  return ENGINES.filter((engine) => engine !== 'chromium').flatMap((engine) =>
    PROJECTS.filter(({ name }) => name in SAMPLE).map((project) => ({
      ...inBrowser(project, engine),
      files: SAMPLE[project.name],
      isOptional: true,
    })),
  );
}

function inBrowser({ name, needs }, engine) {
  const title = engine === 'chromium' ? name : `${name} in ${engine}`;
  return { name: title, project: name, needs: [...needs, engine], env: { MANGROVE_BROWSER: engine }, files: [] };
}

function inShort({ name, scriptArgs, needs }) {
  return { name: `bench ${name}`, needs, script: `bench/${name}/run.mjs`, scriptArgs };
}

function toRound({ name, needs, script }, isLong) {
  return { name, project: name, needs, env: {}, files: [], script, scriptArgs: isLong ? [] : PLANTED_SAMPLE };
}

function known(what, all, given) {
  const unknown = given.filter((name) => !all.includes(name));
  if (unknown.length === 0) return given;
  throw new Error(`Unknown ${what}: ${unknown.join(', ')}. Known: ${all.join(', ')}.`);
}
